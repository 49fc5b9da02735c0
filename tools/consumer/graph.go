package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// graph is what a program drags into its user's module: other modules, and a newer Go.
type graph struct {
	goLine  string   // the go directive after go mod tidy
	modules []string // sorted, without the program's own
}

// commandsOnly are modules that belong to commands: none may stand in the graph of a library's user.
var commandsOnly = []string{"github.com/spf13/cobra", "github.com/spf13/pflag"}

const graphHead = `# What a program gets that imports this module alone: its go directive and its module graph.
# make graphs rewrites this file. A change here is a change for every user: read it, and say why.
`

func (g graph) text() string {
	return graphHead + "go " + g.goLine + "\n" + strings.Join(g.modules, "\n") + "\n"
}

func parseGraph(text string) (graph, error) {
	var g graph
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch goLine, isGo := strings.CutPrefix(line, "go "); {
		case line == "" || line[0] == '#':
		case isGo && g.goLine == "":
			g.goLine = goLine
		case strings.ContainsAny(line, " \t"):
			return g, fmt.Errorf("%q: want one module path", line)
		default:
			g.modules = append(g.modules, line)
		}
	}
	if g.goLine == "" || len(g.modules) == 0 {
		return g, errors.New("want a go line and at least one module")
	}
	slices.Sort(g.modules)
	return g, nil
}

// diff says how g differs from want.
func (g graph) diff(want graph) error {
	var errs []error
	if g.goLine != want.goLine {
		errs = append(errs, fmt.Errorf("its go directive becomes %s, want %s", g.goLine, want.goLine))
	}
	for _, m := range g.modules {
		if !slices.Contains(want.modules, m) {
			errs = append(errs, fmt.Errorf("its graph holds %s, which is not expected", m))
		}
	}
	for _, m := range want.modules {
		if !slices.Contains(g.modules, m) {
			errs = append(errs, fmt.Errorf("its graph lacks %s, which is expected", m))
		}
	}
	return errors.Join(errs...)
}

// foreign names modules that must not be in the graph of a driver's user.
func (g graph) foreign(rootPath, driverPath string) error {
	var errs []error
	for _, m := range g.modules {
		sibling := strings.HasPrefix(m, rootPath+"/") && m != driverPath
		if sibling || slices.Contains(commandsOnly, m) {
			errs = append(errs, fmt.Errorf("its graph holds %s, which no user of a driver should get", m))
		}
	}
	return errors.Join(errs...)
}
