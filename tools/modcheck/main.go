package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/stilelock/stile/tools/internal/repo"
)

func main() {
	os.Exit(run(context.Background(), os.Stdout, os.Stderr))
}

func run(ctx context.Context, stdout, stderr io.Writer) int {
	root, err := repo.FindRoot(".")
	if err != nil {
		fmt.Fprintf(stderr, "modcheck: %v\n", err)
		return 1
	}
	problems, n, err := check(ctx, root)
	for _, p := range problems {
		fmt.Fprintf(stderr, "modcheck: %s\n", p)
	}
	if err != nil {
		fmt.Fprintf(stderr, "modcheck: %v\n", err)
	}
	if err != nil || len(problems) > 0 {
		return 1
	}
	fmt.Fprintf(stdout, "modcheck: %d modules, nothing amiss\n", n)
	return 0
}

// check returns the problems of the repository at root, and how many modules it looked at.
func check(ctx context.Context, root string) (problems []string, n int, err error) {
	mods, err := repo.Modules(root)
	if err != nil {
		return nil, 0, err
	}
	t, err := scan(root)
	if err != nil {
		return nil, 0, err
	}
	work, err := repo.ReadWork(ctx, root)
	if err != nil {
		return nil, 0, err
	}
	main, err := repo.ReadMod(ctx, root)
	if err != nil {
		return nil, 0, err
	}
	problems = append(compareLists(mods, work, t.modules), compareDocs(t)...)
	graph, err := checkGraph(ctx, root, mods, main)
	if err != nil {
		return problems, len(mods), err
	}
	problems = append(problems, graph...)
	return append(problems, internalImports(t, mods, main.Module.Path)...), len(mods), nil
}
