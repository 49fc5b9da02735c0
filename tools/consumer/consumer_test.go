package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stilelock/stile/tools/internal/repo"
)

func TestGraphTextRoundTrip(t *testing.T) {
	g := graph{goLine: "1.26.0", modules: []string{"example.org/a", "example.org/b"}}
	got, err := parseGraph(g.text())
	if err != nil {
		t.Fatal(err)
	}
	if err := got.diff(g); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "go 1.26.0\n", "example.org/a\n", "go 1.26.0\nexample.org/a v1.0.0\n"} {
		if _, err := parseGraph(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func TestGraphDiff(t *testing.T) {
	want := graph{goLine: "1.25.0", modules: []string{"example.org/a", "example.org/b"}}
	err := graph{goLine: "1.26.0", modules: []string{"example.org/a", "example.org/c"}}.diff(want)
	for _, text := range []string{"becomes 1.26.0, want 1.25.0", "holds example.org/c", "lacks example.org/b"} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in %v", text, err)
		}
	}
}

func TestGraphForeign(t *testing.T) {
	for module, bad := range map[string]bool{
		"example.org/m": false, "example.org/m/lib": false, "example.org/m/other": true, "example.org/mother": false,
		"github.com/spf13/cobra": true, "modernc.org/sqlite": false,
	} {
		err := graph{modules: []string{module}}.foreign("example.org/m", "example.org/m/lib")
		if (err != nil) != bad {
			t.Errorf("%s: have %v", module, err)
		}
	}
}

// scratch makes a small repository of a root module and a driver, and a smoke over it.
func scratch(t *testing.T, files map[string]string) *smoke {
	t.Helper()
	all := map[string]string{
		"go.mod":            "module example.org/m\n\ngo 1.25.0\n",
		"m.go":              "package m\n",
		"sub/sub.go":        "package sub\n",
		"internal/in/in.go": "package in\n",
		"lib/go.mod":        "module example.org/m/lib\n\ngo 1.26.0\n\nrequire example.org/m v0.0.0\n\nreplace example.org/m => ../\n",
		"lib/lib.go":        "package lib\n\nimport _ \"example.org/m\"\n",
		"other/go.mod":      "module example.org/m/other\n\ngo 1.26.0\n",
		"other/other.go":    "package other\n",
		"helper/main.go":    "package main\n\nfunc main() {}\n",
	}
	for name, text := range files {
		all[name] = text
	}
	root := t.TempDir()
	for name, text := range all {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "tools", "consumer", "graphs"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOPROXY", "off")
	return &smoke{root: root, rootPath: "example.org/m", rootGo: "1.25.0", out: io.Discard, mods: []repo.Module{
		{Dir: ".", Released: true}, {Dir: "lib", Released: true}, {Dir: "other", Released: true}, {Dir: "tools"},
	}}
}

func TestSmoke(t *testing.T) {
	s := scratch(t, nil)
	if err := s.all(t.Context()); err == nil || !strings.Contains(err.Error(), "lib.txt") || !strings.Contains(err.Error(), "make graphs") {
		t.Fatalf("without graphs: have %v, want an error that names the missing files", err)
	}
	s.update = true
	if err := s.all(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.root, "tools", "consumer", "graphs", "lib.txt"))
	if err != nil || !strings.HasSuffix(string(text), "go 1.26.0\nexample.org/m\nexample.org/m/lib\n") {
		t.Errorf("the graph of lib is %q, %v", text, err)
	}
	s.update = false
	var out strings.Builder
	s.out = &out
	// The root, sub, lib and other.
	if err := s.all(t.Context()); err != nil || !strings.Contains(out.String(), "4 programs") {
		t.Errorf("have %v, output %q", err, out.String())
	}
}

func TestSmokeRefusesASiblingEvenOnUpdate(t *testing.T) {
	s := scratch(t, map[string]string{
		"lib/go.mod": "module example.org/m/lib\n\ngo 1.26.0\n\nrequire example.org/m/other v0.0.0\n\nreplace example.org/m/other => ../other\n",
		"lib/lib.go": "package lib\n\nimport _ \"example.org/m/other\"\n",
	})
	s.update = true
	if err := s.all(t.Context()); err == nil || !strings.Contains(err.Error(), "holds example.org/m/other") {
		t.Errorf("have %v", err)
	}
}

func TestSmokeRefusesARootThatRaisesGo(t *testing.T) {
	s := scratch(t, map[string]string{"go.mod": "module example.org/m\n\ngo 1.26.0\n"})
	if err := s.all(t.Context()); err == nil || !strings.Contains(err.Error(), "becomes 1.26.0, want 1.25.0") {
		t.Errorf("have %v", err)
	}
}

func TestSmokeRefusesAModuleWithoutACase(t *testing.T) {
	s := scratch(t, nil)
	if err := os.Rename(filepath.Join(s.root, "lib", "lib.go"), filepath.Join(s.root, "lib", "lib.txt")); err != nil {
		t.Fatal(err)
	}
	if err := s.all(t.Context()); err == nil || !strings.Contains(err.Error(), "lib: no package at the module's top") {
		t.Errorf("have %v", err)
	}
}

func TestSmokeStartsACommand(t *testing.T) {
	files := map[string]string{"lib/lib.go": "package main\n\nimport _ \"example.org/m\"\n\nfunc main() {}\n"}
	s := scratch(t, files)
	if err := s.command(t.Context(), s.mods[1]); err != nil {
		t.Error(err)
	}
	files["lib/lib.go"] = "package main\n\nfunc main() { panic(\"at start\") }\n"
	s = scratch(t, files)
	if err := s.command(t.Context(), s.mods[1]); err == nil || !strings.Contains(err.Error(), "at start") {
		t.Errorf("have %v", err)
	}
}
