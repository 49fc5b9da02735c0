package repo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// ListFile is the name of the list of modules, at the root of the repository.
const ListFile = "modules.txt"

// Module is one line of the list.
type Module struct {
	Dir      string // folder below the root, with slashes; "." is the root
	Released bool   // users import or install it
	Parallel int    // how many of its packages are tested at once, at least 1
}

// Path returns the module's import path, given that of the root module.
func (m Module) Path(root string) string {
	return path.Join(root, m.Dir)
}

// FindRoot returns the folder of the repository: the nearest one at or above dir that holds the list.
func FindRoot(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for d := abs; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, ListFile)); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("find the repository: no %s at or above %s", ListFile, abs)
		}
	}
}

// Modules reads the list of the repository at root, in its order.
func Modules(root string) ([]Module, error) {
	f, err := os.Open(filepath.Join(root, ListFile))
	if err != nil {
		return nil, fmt.Errorf("read the list of modules: %w", err)
	}
	defer f.Close()
	mods, err := parseModules(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ListFile, err)
	}
	return mods, nil
}

func parseModules(r io.Reader) ([]Module, error) {
	var mods []Module
	seen := make(map[string]bool)
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		m, err := parseModule(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if seen[m.Dir] {
			return nil, fmt.Errorf("line %d: %s is listed twice", n, m.Dir)
		}
		seen[m.Dir] = true
		mods = append(mods, m)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(mods) == 0 {
		return nil, errors.New("it lists no module")
	}
	return mods, nil
}

func parseModule(fields []string) (Module, error) {
	if len(fields) != 3 {
		return Module{}, fmt.Errorf("want three fields (path, released, parallel), have %d", len(fields))
	}
	m := Module{Dir: fields[0]}
	if path.Clean(m.Dir) != m.Dir || path.IsAbs(m.Dir) || m.Dir == ".." || strings.HasPrefix(m.Dir, "../") {
		return Module{}, fmt.Errorf("path %q: want a clean path below the root, with slashes", m.Dir)
	}
	switch fields[1] {
	case "yes":
		m.Released = true
	case "no":
	default:
		return Module{}, fmt.Errorf("released %q: want yes or no", fields[1])
	}
	n, err := strconv.Atoi(fields[2])
	if err != nil || n < 1 {
		return Module{}, fmt.Errorf("parallel %q: want a whole number from 1 up", fields[2])
	}
	m.Parallel = n
	return m, nil
}
