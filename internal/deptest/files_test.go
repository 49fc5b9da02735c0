package deptest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// outsideImports names each import, in any Go file of the module at root, of a path that is neither in module
// nor in the standard library. It returns how many files it read, too.
func outsideImports(root, module string, std map[string]bool) (found []string, files int, err error) {
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		files++
		imports, err := importsOf(filepath.Join(root, filepath.FromSlash(name)))
		for _, imported := range imports {
			if !std[imported] && !inModule(root, module, imported) {
				found = append(found, fmt.Sprintf("%s is imported by %s", imported, name))
			}
		}
		return err
	})
	return found, files, err
}

// inModule tells whether an import path is of the module at root, not of a module in a folder below.
func inModule(root, module, imported string) bool {
	dir, below := strings.CutPrefix(imported, module+"/")
	if !below {
		return imported == module
	}
	for ; dir != "."; dir = path.Dir(dir) {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(dir), "go.mod")); err == nil {
			return false
		}
	}
	return true
}

// skipFolder leaves out other modules, and what the go command leaves out.
func skipFolder(root, name string) error {
	if name == "." {
		return nil
	}
	if base := path.Base(name); base == "testdata" || base[0] == '.' || base[0] == '_' {
		return fs.SkipDir
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name), "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func importsOf(file string) ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		imports = append(imports, imported)
	}
	return imports, nil
}
