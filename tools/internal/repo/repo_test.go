package repo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseModules(t *testing.T) {
	got, err := parseModules(strings.NewReader("# a comment\n\n.  yes 2\nsqlitelock yes 1 # its reason\ncmd/stile yes 1\ntests no 3\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Module{{".", true, 2}, {"sqlitelock", true, 1}, {"cmd/stile", true, 1}, {"tests", false, 3}}
	if !slices.Equal(got, want) {
		t.Errorf("have %v, want %v", got, want)
	}
	if p := want[2].Path("example.org/m"); p != "example.org/m/cmd/stile" {
		t.Errorf("path of cmd/stile is %q", p)
	}
	if p := want[0].Path("example.org/m"); p != "example.org/m" {
		t.Errorf("path of the root is %q", p)
	}
}

func TestParseModulesRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"# only a comment\n", "lists no module"},
		"a missing field": {".\nsqlitelock yes\n", "line 1: want three fields"},
		"a bad released":  {". maybe 1\n", `released "maybe"`},
		"a bad parallel":  {". yes 0\n", `parallel "0"`},
		"a path outside":  {"../other yes 1\n", `path "../other"`},
		"an unclean path": {"./sqlitelock yes 1\n", `path "./sqlitelock"`},
		"a double":        {". yes 1\n. no 1\n", "line 2: . is listed twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseModules(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("have error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestFindRoot(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, ListFile), []byte(". yes 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := FindRoot(deep)
	if err != nil || got != root {
		t.Errorf("have %q, %v, want %q", got, err, root)
	}
	mods, err := Modules(got)
	if err != nil || len(mods) != 1 {
		t.Errorf("have %v, %v, want one module", mods, err)
	}
}

func TestReadModAndWork(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/m/sub\n\ngo 1.25.0\n\nrequire example.org/m v0.1.0\n\nreplace example.org/m => ../\n",
		// The paths need not exist: the file is only read.
		"go.work": "go 1.26.0\n\nuse (\n\t.\n\t./tools\n)\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mod, err := ReadMod(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if mod.Module.Path != "example.org/m/sub" || mod.Go != "1.25.0" || len(mod.Require) != 1 || mod.Replace[0].New.Path != "../" {
		t.Errorf("have %+v", mod)
	}
	work, err := ReadWork(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if work.Go != "1.26.0" || len(work.Use) != 2 || work.Use[1].DiskPath != "./tools" {
		t.Errorf("have %+v", work)
	}
	if _, err := ReadMod(t.Context(), t.TempDir()); err == nil {
		t.Error("no error for a folder without go.mod")
	}
}
