package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tree is what the repository's folders hold.
type tree struct {
	modules []string // folders with a go.mod, "." for the root
	folders map[string]*folder
}

// folder is a folder with Go files.
type folder struct {
	command    bool              // package main
	docFile    bool              // it has a doc.go with a package comment
	documented bool              // some file has a package comment
	imports    map[string]string // path to the first file that imports it
}

// scan reads every go.mod's place and every Go file's head below root. It leaves out what the go command
// leaves out: testdata, and names that begin with a dot or an underscore.
func scan(root string) (*tree, error) {
	t := &tree{folders: make(map[string]*folder)}
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		switch {
		case d.IsDir() && name != "." && (base == "testdata" || base == "node_modules" || strings.ContainsAny(base[:1], "._")):
			return fs.SkipDir
		case base == "go.mod":
			t.modules = append(t.modules, path.Dir(name))
		case !d.IsDir() && path.Ext(base) == ".go":
			return t.addFile(root, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree: %w", err)
	}
	return t, nil
}

func (t *tree) addFile(root, name string) error {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(name)), nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	f := t.folders[path.Dir(name)]
	if f == nil {
		f = &folder{imports: make(map[string]string)}
		t.folders[path.Dir(name)] = f
	}
	f.add(name, file)
	return nil
}

func (f *folder) add(name string, file *ast.File) {
	f.command = f.command || file.Name.Name == "main"
	if file.Doc != nil && !strings.HasSuffix(name, "_test.go") {
		f.documented = true
		f.docFile = f.docFile || path.Base(name) == "doc.go"
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser accepted it, so this cannot be
		}
		if _, seen := f.imports[imported]; !seen {
			f.imports[imported] = name
		}
	}
}

// sorted returns the paths of the folders, in order.
func (t *tree) sorted() []string {
	return slices.Sorted(maps.Keys(t.folders))
}

// moduleOf returns the module that a folder belongs to: the nearest go.mod at or above it.
func (t *tree) moduleOf(dir string) string {
	for d := dir; d != "."; d = path.Dir(d) {
		if slices.Contains(t.modules, d) {
			return d
		}
	}
	return "."
}
