package zkbench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// jarsFolder is where Debian has its jars, each with the paths of those that it
// needs.
const jarsFolder = "/usr/share/java"

var errNoJar = errors.New("a jar is missing")

// classPath joins jars of Debian's. What is missing is named with the package
// that has it.
func classPath(pkg string, jars ...string) (string, error) {
	var paths []string
	for _, jar := range jars {
		path := filepath.Join(jarsFolder, jar+".jar")
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w: %s (Debian has it in package %s)", errNoJar, path, pkg)
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, string(os.PathListSeparator)), nil
}
