package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stilelock/stile/tools/internal/repo"
)

// consumerPath is the module path of the scratch program.
const consumerPath = "example.com/consumer"

// use writes a program that imports the packages, tidies, builds and starts it outside the workspace, and
// returns its module graph.
func (s *smoke) use(ctx context.Context, packages, env []string) (graph, error) {
	dir, err := os.MkdirTemp("", "stile-consumer-")
	if err != nil {
		return graph{}, err
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{"go.mod": s.goMod(packages), "main.go": program(packages)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return graph{}, err
		}
	}
	env = append([]string{"GOWORK=off"}, env...)
	bin := filepath.Join(dir, "consumer")
	for _, args := range [][]string{{"mod", "tidy"}, {"build", "-o", bin, "."}} {
		if _, err := repo.Go(ctx, dir, env, args...); err != nil {
			return graph{}, err
		}
	}
	if err := start(ctx, bin); err != nil {
		return graph{}, err
	}
	return readGraph(ctx, dir, env)
}

// goMod requires the modules of the packages, and replaces every released module by its folder.
func (s *smoke) goMod(packages []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "module %s\n\ngo %s\n\n", consumerPath, s.rootGo)
	for _, m := range s.mods {
		if !m.Released {
			continue
		}
		modPath := m.Path(s.rootPath)
		if m.Dir == "." || slices.Contains(packages, modPath) {
			fmt.Fprintf(&b, "require %s v0.0.0\n", modPath)
		}
		fmt.Fprintf(&b, "replace %s => %q\n", modPath, s.dir(m))
	}
	return b.String()
}

func program(packages []string) string {
	var b strings.Builder
	b.WriteString("package main\n\nimport (\n")
	for _, p := range slices.Compact(slices.Sorted(slices.Values(packages))) {
		fmt.Fprintf(&b, "\t_ %q\n", p)
	}
	b.WriteString(")\n\nfunc main() {}\n")
	return b.String()
}

// start runs a program to its end, which must be a good one.
func start(ctx context.Context, bin string, args ...string) error {
	out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("start the program: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

func readGraph(ctx context.Context, dir string, env []string) (graph, error) {
	mod, err := repo.ReadMod(ctx, dir)
	if err != nil {
		return graph{}, err
	}
	out, err := repo.Go(ctx, dir, env, "list", "-m", "-f", "{{.Path}}", "all")
	if err != nil {
		return graph{}, err
	}
	modules := slices.DeleteFunc(strings.Fields(string(out)), func(m string) bool { return m == consumerPath })
	slices.Sort(modules)
	return graph{goLine: mod.Go, modules: modules}, nil
}
