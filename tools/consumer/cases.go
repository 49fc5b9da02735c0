package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/stilelock/stile/tools/internal/repo"
)

// module runs the cases of one released module and returns how many there were.
func (s *smoke) module(ctx context.Context, m repo.Module) (int, error) {
	if m.Dir == "." {
		return s.rootPackages(ctx)
	}
	name, err := repo.Go(ctx, s.dir(m), []string{"GOWORK=off"}, "list", "-f", "{{.Name}}", ".")
	if err != nil {
		return 0, fmt.Errorf("%s: no package at the module's top, so no case is known for it: %w", m.Dir, err)
	}
	if strings.TrimSpace(string(name)) == "main" {
		return 1, s.command(ctx, m)
	}
	return 1, s.driver(ctx, m)
}

func (s *smoke) dir(m repo.Module) string {
	return filepath.Join(s.root, filepath.FromSlash(m.Dir))
}

// importable prints the packages that a program can import: no command, and none of test files only.
const importable = `{{if and .GoFiles (ne .Name "main")}}{{.ImportPath}}{{end}}`

// rootPackages uses each public package of the root module in a program of its own.
func (s *smoke) rootPackages(ctx context.Context) (int, error) {
	list, err := repo.Go(ctx, s.root, []string{"GOWORK=off"}, "list", "-f", importable, "./...")
	if err != nil {
		return 0, err
	}
	var errs []error
	cases := 0
	for _, pkg := range strings.Fields(string(list)) {
		if strings.Contains(pkg+"/", "/internal/") {
			continue
		}
		cases++
		// No proxy: there is nothing to ask one for.
		got, err := s.use(ctx, []string{s.rootPath, pkg}, []string{"GOPROXY=off"})
		if err == nil {
			err = got.diff(graph{goLine: s.rootGo, modules: []string{s.rootPath}})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("a program that imports %s only: %w", pkg, err))
		}
	}
	if cases == 0 {
		errs = append(errs, errors.New("the root module has no public package"))
	}
	return cases, errors.Join(errs...)
}

// driver uses the root and one driver.
func (s *smoke) driver(ctx context.Context, m repo.Module) error {
	got, err := s.use(ctx, []string{s.rootPath, m.Path(s.rootPath)}, nil)
	if err == nil {
		err = s.compare(m, got)
	}
	if err != nil {
		return fmt.Errorf("a program that imports %s only: %w", m.Path(s.rootPath), err)
	}
	return nil
}

// compare holds got against the rules first, so that -update cannot break them, then against graphs/.
func (s *smoke) compare(m repo.Module, got graph) error {
	if err := got.foreign(s.rootPath, m.Path(s.rootPath)); err != nil {
		return err
	}
	name := filepath.Join(s.root, "tools", "consumer", "graphs", strings.ReplaceAll(m.Dir, "/", "_")+".txt")
	if s.update {
		return os.WriteFile(name, []byte(got.text()), 0o644)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("%w; write it with `make graphs` and read it", err)
	}
	want, err := parseGraph(string(text))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := got.diff(want); err != nil {
		return fmt.Errorf("%w; if that is meant, run `make graphs` and say why in the change", err)
	}
	return nil
}

// command builds a command in its folder, outside the workspace, and asks it for help.
func (s *smoke) command(ctx context.Context, m repo.Module) error {
	tmp, err := os.MkdirTemp("", "stile-consumer-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	bin := filepath.Join(tmp, "command")
	if _, err := repo.Go(ctx, s.dir(m), []string{"GOWORK=off"}, "build", "-o", bin, "."); err != nil {
		return fmt.Errorf("build the command %s outside the workspace: %w", m.Dir, err)
	}
	return start(ctx, bin, "--help")
}
