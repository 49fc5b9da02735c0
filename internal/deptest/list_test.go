package deptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// listed is what this test needs of a package in `go list -json`.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Main bool }
}

// goCommand runs the go command in dir, outside any workspace.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return out, nil
}

// goModule returns the path of the module in dir.
func goModule(ctx context.Context, dir string) (string, error) {
	out, err := goCommand(ctx, dir, "list", "-m")
	return strings.TrimSpace(string(out)), err
}

// listDeps returns every package that the packages and tests of the module in dir depend on, themselves
// included. A package that cannot be found is listed too: it is not in the standard library.
func listDeps(ctx context.Context, dir string) ([]listed, error) {
	out, err := goCommand(ctx, dir, "list", "-e", "-deps", "-test", "-json=ImportPath,Standard,Imports,Module", "./...")
	if err != nil {
		return nil, err
	}
	var pkgs []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what go list printed: %w", err)
		}
		pkgs = append(pkgs, p)
	}
}

// outsideDeps names each package that is neither in the listed module nor in the standard library, with its
// importers. A module in a folder below is another module.
func outsideDeps(pkgs []listed) []string {
	allowed := map[string]bool{"C": false} // go list knows no package "C", but cgo is no standard library
	for _, p := range pkgs {
		allowed[p.ImportPath] = p.Standard || (p.Module != nil && p.Module.Main)
	}
	importers := make(map[string][]string)
	for _, p := range pkgs {
		if p.Standard {
			continue // what the standard library brings along is its own
		}
		for _, imported := range p.Imports {
			if !allowed[imported] {
				importers[imported] = append(importers[imported], plain(p.ImportPath))
			}
		}
	}
	var found []string
	for imported, by := range importers {
		slices.Sort(by)
		found = append(found, fmt.Sprintf("%s is imported by %s", imported, strings.Join(slices.Compact(by), ", ")))
	}
	slices.Sort(found)
	return found
}

// plain takes "p [p.test]", "p_test [p.test]" and "p.test" to p or p_test: the package that a person wrote.
func plain(importPath string) string {
	path, _, _ := strings.Cut(importPath, " ")
	return strings.TrimSuffix(path, ".test")
}
