package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/stilelock/stile/tools/internal/repo"
)

// limit bounds the whole smoke; a first run downloads modules and builds them.
const limit = 20 * time.Minute

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("consumer", flag.ContinueOnError)
	fs.SetOutput(stderr)
	update := fs.Bool("update", false, "write the graphs that were found to graphs/")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s, err := newSmoke(ctx, *update, stdout)
	if err == nil {
		err = s.all(ctx)
	}
	if err != nil {
		fmt.Fprintf(stderr, "consumer: %v\n", err)
		return 1
	}
	return 0
}

// smoke is one run over all released modules.
type smoke struct {
	root     string // folder of the repository
	rootPath string // import path of the root module
	rootGo   string // its go directive
	mods     []repo.Module
	update   bool
	out      io.Writer
}

func newSmoke(ctx context.Context, update bool, out io.Writer) (*smoke, error) {
	root, err := repo.FindRoot(".")
	if err != nil {
		return nil, err
	}
	mods, err := repo.Modules(root)
	if err != nil {
		return nil, err
	}
	main, err := repo.ReadMod(ctx, root)
	if err != nil {
		return nil, err
	}
	return &smoke{root: root, rootPath: main.Module.Path, rootGo: main.Go, mods: mods, update: update, out: out}, nil
}

// all runs every case, also after one has failed.
func (s *smoke) all(ctx context.Context) error {
	var errs []error
	cases := 0
	for _, m := range s.mods {
		if !m.Released {
			continue
		}
		n, err := s.module(ctx, m)
		cases += n
		if err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if cases == 0 {
		return fmt.Errorf("%s names no released module", repo.ListFile)
	}
	fmt.Fprintf(s.out, "consumer: %d programs, each with the module graph that it should have\n", cases)
	return nil
}
