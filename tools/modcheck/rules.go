package main

import (
	"context"
	"fmt"
	"go/version"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stilelock/stile/tools/internal/repo"
)

// compareLists names modules that one of the three lists has and another has not.
func compareLists(mods []repo.Module, work repo.WorkFile, onDisk []string) []string {
	listed, used, found := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	var problems []string
	for _, m := range mods {
		listed[m.Dir] = true
	}
	for _, u := range work.Use {
		used[path.Clean(filepath.ToSlash(u.DiskPath))] = true
	}
	for _, dir := range onDisk {
		found[dir] = true
		if !listed[dir] {
			problems = append(problems, fmt.Sprintf("%s has a go.mod and is not in %s: add it there, released or not", dir, repo.ListFile))
		}
	}
	for _, m := range mods {
		if !found[m.Dir] {
			problems = append(problems, fmt.Sprintf("%s is in %s and has no go.mod", m.Dir, repo.ListFile))
		}
		if !used[m.Dir] {
			problems = append(problems, fmt.Sprintf("%s is in %s and not in go.work: add it with `go work use ./%s`", m.Dir, repo.ListFile, m.Dir))
		}
	}
	for _, u := range work.Use {
		if dir := path.Clean(filepath.ToSlash(u.DiskPath)); !listed[dir] {
			problems = append(problems, fmt.Sprintf("%s is in go.work and not in %s", dir, repo.ListFile))
		}
	}
	return problems
}

// compareDocs names folders of Go files that do not say what they are for.
func compareDocs(t *tree) []string {
	var problems []string
	for _, dir := range t.sorted() {
		switch f := t.folders[dir]; {
		case f.command && !f.documented:
			problems = append(problems, dir+" is a command without a package comment: say what it promises")
		case !f.command && !f.docFile:
			problems = append(problems, dir+" has no doc.go with a package comment: say what it promises and what it does not")
		}
	}
	return problems
}

// checkGraph looks at each module's go.mod.
func checkGraph(ctx context.Context, root string, mods []repo.Module, main repo.ModFile) ([]string, error) {
	byPath := make(map[string]repo.Module)
	for _, m := range mods {
		byPath[m.Path(main.Module.Path)] = m
	}
	var problems []string
	for _, m := range mods {
		file, err := repo.ReadMod(ctx, filepath.Join(root, filepath.FromSlash(m.Dir)))
		if err != nil {
			return problems, err
		}
		problems = append(problems, checkModFile(m, file, main, byPath)...)
	}
	return problems, nil
}

func checkModFile(m repo.Module, file, main repo.ModFile, byPath map[string]repo.Module) []string {
	var problems []string
	name := path.Join(m.Dir, "go.mod")
	if want := m.Path(main.Module.Path); file.Module.Path != want {
		problems = append(problems, fmt.Sprintf("%s: its path is %s, want %s", name, file.Module.Path, want))
	}
	if version.Compare("go"+file.Go, "go"+main.Go) < 0 {
		problems = append(problems, fmt.Sprintf("%s: go %s is lower than the root module's %s", name, file.Go, main.Go))
	}
	if m.Dir == "." && len(file.Require) > 0 {
		problems = append(problems, fmt.Sprintf("%s: the root module requires %s; it imports the standard library alone", name, file.Require[0].Path))
	}
	replaced := make(map[string]string)
	for _, r := range file.Replace {
		replaced[r.Old.Path] = r.New.Path
	}
	for _, r := range file.Require {
		sibling, ok := byPath[r.Path]
		if !ok {
			if r.Path == main.Module.Path || strings.HasPrefix(r.Path, main.Module.Path+"/") {
				problems = append(problems, fmt.Sprintf("%s: it requires %s, which is not in %s", name, r.Path, repo.ListFile))
			}
			continue
		}
		if m.Released && !sibling.Released {
			problems = append(problems, fmt.Sprintf("%s: it is released and requires %s, which is not", name, r.Path))
		}
		if to := path.Join(m.Dir, replaced[r.Path]); replaced[r.Path] == "" || to != sibling.Dir {
			problems = append(problems, fmt.Sprintf("%s: it requires %s without a replace to the folder %s", name, r.Path, sibling.Dir))
		}
	}
	return problems
}

// internalImports names files of released modules that import internal packages of the root module.
func internalImports(t *tree, mods []repo.Module, rootPath string) []string {
	released := make(map[string]bool)
	for _, m := range mods {
		released[m.Dir] = m.Released && m.Dir != "."
	}
	var problems []string
	for _, dir := range t.sorted() {
		if !released[t.moduleOf(dir)] {
			continue
		}
		imports := t.folders[dir].imports
		for _, imported := range slices.Sorted(maps.Keys(imports)) {
			if t.internalOfRoot(imported, rootPath) {
				problems = append(problems, fmt.Sprintf("%s imports %s: what drivers share belongs in the package driver", imports[imported], imported))
			}
		}
	}
	return problems
}

// internalOfRoot tells whether an import path names an internal package of the root module.
func (t *tree) internalOfRoot(imported, rootPath string) bool {
	dir, below := strings.CutPrefix(imported, rootPath+"/")
	return below && t.moduleOf(dir) == "." && slices.Contains(strings.Split(dir, "/"), "internal")
}
