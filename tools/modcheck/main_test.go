package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// good is a small repository that keeps every rule.
func good() map[string]string {
	return map[string]string{
		"modules.txt":            ". yes 1\nlib yes 1\ncmd/app yes 1\ntests no 1\n",
		"go.work":                "go 1.26.0\n\nuse (\n\t.\n\t./cmd/app\n\t./lib\n\t./tests\n)\n",
		"go.mod":                 "module example.org/m\n\ngo 1.25.0\n",
		"doc.go":                 "// Package m is it.\npackage m\n",
		"internal/in/doc.go":     "// Package in is inside.\npackage in\n",
		"lib/go.mod":             "module example.org/m/lib\n\ngo 1.26.0\n\nrequire example.org/m v0.0.0\n\nreplace example.org/m => ../\n",
		"lib/doc.go":             "// Package lib is a driver.\npackage lib\n",
		"lib/lib.go":             "package lib\n\nimport _ \"example.org/m/lib/internal/in\"\n",
		"lib/internal/in/doc.go": "// Package in is inside lib.\npackage in\n",
		"cmd/app/go.mod":         "module example.org/m/cmd/app\n\ngo 1.26.0\n\nrequire example.org/m/lib v0.0.0\n\nreplace example.org/m/lib => ../../lib\n",
		"cmd/app/main.go":        "// Command app runs.\npackage main\n",
		"tests/go.mod":           "module example.org/m/tests\n\ngo 1.26.0\n",
		"tests/doc.go":           "// Package tests tests.\npackage tests\n",
		"tests/x_test.go":        "package tests\n\nimport _ \"example.org/m/internal/in\"\n",
		"testdata/go.mod":        "module example.org/other\n",
		".tmp/x.go":              "package broken\n",
	}
}

func TestCheck(t *testing.T) {
	const none = "" // as a file's text: the file is not there
	for name, c := range map[string]struct {
		change map[string]string
		want   []string
	}{
		"nothing amiss": {nil, nil},
		"module not listed": {
			map[string]string{"modules.txt": ". yes 1\nlib yes 1\ncmd/app yes 1\n"},
			[]string{"tests has a go.mod and is not in modules.txt", "tests is in go.work and not in modules.txt"},
		},
		"module not used": {
			map[string]string{"go.work": "go 1.26.0\n\nuse (\n\t.\n\t./cmd/app\n\t./lib\n)\n"},
			[]string{"tests is in modules.txt and not in go.work"},
		},
		"another path": {
			map[string]string{"tests/go.mod": "module example.org/m/test\n\ngo 1.26.0\n"},
			[]string{"tests/go.mod: its path is example.org/m/test"},
		},
		"lower go": {
			map[string]string{"tests/go.mod": "module example.org/m/tests\n\ngo 1.24.0\n"},
			[]string{"tests/go.mod: go 1.24.0 is lower"},
		},
		"root requires": {
			map[string]string{"go.mod": "module example.org/m\n\ngo 1.25.0\n\nrequire example.org/x v1.0.0\n"},
			[]string{"go.mod: the root module requires example.org/x"},
		},
		"released requires unreleased": {
			map[string]string{"lib/go.mod": "module example.org/m/lib\n\ngo 1.26.0\n\nrequire example.org/m/tests v0.0.0\n\nreplace example.org/m/tests => ../tests\n"},
			[]string{"lib/go.mod: it is released and requires example.org/m/tests"},
		},
		"no replace": {
			map[string]string{"lib/go.mod": "module example.org/m/lib\n\ngo 1.26.0\n\nrequire example.org/m v0.0.0\n"},
			[]string{"lib/go.mod: it requires example.org/m without a replace to the folder ."},
		},
		"replace to elsewhere": {
			map[string]string{"lib/go.mod": "module example.org/m/lib\n\ngo 1.26.0\n\nrequire example.org/m v0.0.0\n\nreplace example.org/m => ../tests\n"},
			[]string{"lib/go.mod: it requires example.org/m without a replace to the folder ."},
		},
		"unknown sibling": {
			map[string]string{"lib/go.mod": "module example.org/m/lib\n\ngo 1.26.0\n\nrequire example.org/m/gone v0.0.0\n"},
			[]string{"lib/go.mod: it requires example.org/m/gone, which is not in modules.txt"},
		},
		"driver imports internal": {
			map[string]string{"lib/x_plan9.go": "package lib\n\nimport _ \"example.org/m/internal/in\"\n"},
			[]string{"lib/x_plan9.go imports example.org/m/internal/in"},
		},
		"no doc.go": {
			map[string]string{"lib/doc.go": none},
			[]string{"lib has no doc.go"},
		},
		"doc.go without a comment": {
			map[string]string{"doc.go": "package m\n"},
			[]string{". has no doc.go with a package comment"},
		},
		"command without a comment": {
			map[string]string{"cmd/app/main.go": "package main\n"},
			[]string{"cmd/app is a command without a package comment"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := good()
			maps.Copy(files, c.change)
			root := t.TempDir()
			for name, text := range files {
				if text != none {
					write(t, filepath.Join(root, filepath.FromSlash(name)), text)
				}
			}
			got, n, err := check(t.Context(), root)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("have %q, want %q", got, c.want)
			}
			if n < 3 {
				t.Errorf("it looked at %d modules", n)
			}
		})
	}
}

func TestCheckListedModuleWithoutGoMod(t *testing.T) {
	root := t.TempDir()
	files := good()
	delete(files, "tests/go.mod")
	for name, text := range files {
		write(t, filepath.Join(root, filepath.FromSlash(name)), text)
	}
	got, _, err := check(t.Context(), root)
	if err == nil || len(got) != 1 || !strings.HasPrefix(got[0], "tests is in modules.txt and has no go.mod") {
		t.Errorf("have %q, %v", got, err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
