package deptest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the folder of the root module.
const root = "../.."

func TestRootDependsOnTheStandardLibraryAlone(t *testing.T) {
	module, err := goModule(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	pkgs, err := listDeps(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(pkgs, func(p listed) bool { return p.ImportPath == module+"/internal/deptest" }) {
		t.Fatalf("go list shows no package of %s", module)
	}
	for _, found := range outsideDeps(pkgs) {
		t.Errorf("%s: the root module imports the standard library alone, its tests included", found)
	}
}

func TestRootFilesImportTheStandardLibraryAlone(t *testing.T) {
	module, err := goModule(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	found, files, err := outsideImports(root, module, standard(t))
	if err != nil {
		t.Fatal(err)
	}
	if files < 3 {
		t.Fatalf("it read %d files only", files)
	}
	for _, f := range found {
		t.Errorf("%s: the root module imports the standard library alone, on every system", f)
	}
}

func TestRootRequiresNothing(t *testing.T) {
	out, err := goCommand(t.Context(), root, "list", "-m", "all")
	if err != nil {
		t.Fatal(err)
	}
	if mods := strings.Fields(string(out)); len(mods) != 1 {
		t.Errorf("the root module's graph is %q, want itself alone", mods)
	}
}

// standard returns the packages of the standard library, and the two names that are none but stand for it.
func standard(t *testing.T) map[string]bool {
	t.Helper()
	out, err := goCommand(t.Context(), root, "list", "std")
	if err != nil {
		t.Fatal(err)
	}
	std := make(map[string]bool)
	for _, p := range strings.Fields(string(out)) {
		std[p] = true
	}
	if !std["testing"] || std["C"] {
		t.Fatal("go list std does not show the standard library")
	}
	return std
}

// TestAStrangerIsNamed plants an import of each kind, in code, in a test and in a file for another system.
func TestAStrangerIsNamed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":         "module example.org/m\n\ngo 1.25.0\n",
		"m.go":           "package m\n\nimport (\n\t_ \"example.org/m/in\"\n\t_ \"net/http\"\n)\n",
		"in/in.go":       "package in\n\nimport (\n\t_ \"example.org/code\"\n\t_ \"example.org/m/sub\"\n)\n",
		"in/in_test.go":  "package in_test\n\nimport (\n\t_ \"example.org/intest\"\n\t_ \"testing\"\n)\n",
		"in/in_plan9.go": "package in\n\nimport _ \"example.org/plan9\"\n",
		"cgo/cgo.go":     "package cgo\n\nimport \"C\"\n",
		"sub/go.mod":     "module example.org/m/sub\n",
		"sub/sub.go":     "package sub\n\nimport _ \"example.org/its/own\"\n",
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	pkgs, err := listDeps(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"C is imported by example.org/m/cgo",
		"example.org/code is imported by example.org/m/in",
		"example.org/intest is imported by example.org/m/in_test",
		"example.org/m/sub is imported by example.org/m/in",
	}
	if got := outsideDeps(pkgs); !slices.Equal(got, want) {
		t.Errorf("go list: have %q, want %q", got, want)
	}
	want = []string{
		"C is imported by cgo/cgo.go",
		"example.org/code is imported by in/in.go",
		"example.org/plan9 is imported by in/in_plan9.go",
		"example.org/intest is imported by in/in_test.go",
		"example.org/m/sub is imported by in/in.go",
	}
	got, _, err := outsideImports(dir, "example.org/m", standard(t))
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("files: have %q, %v, want %q", got, err, want)
	}
}
