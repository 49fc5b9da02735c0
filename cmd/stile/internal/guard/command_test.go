package guard

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFindAsAShellDoes(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, mode := range map[string]os.FileMode{"one/tool": 0o644, "two/tool": 0o755, "one/plain": 0o644, "here": 0o755} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	path := "one:two::/no/such/folder"
	for _, test := range []struct {
		name, want string
		status     int
	}{
		{"tool", "two/tool", 0}, // one/tool cannot be executed: go on
		{"one/tool", "", 126},   // said with a slash: no search
		{"plain", "", 126},      // found, but nowhere executable
		{"here", "./here", 0},   // an empty folder in PATH is the current one
		{"./here", "./here", 0}, //
		{"one", "", 126},        // a folder
		{"./one", "", 126},      //
		{"missing", "", 127},    //
		{"./missing", "", 127},  //
		{"here/below", "", 127}, // below a file
		{"", "", 127},           //
		{"a\nb", "", 127},       //
	} {
		got, err := Find(test.name, path)
		var start *StartError
		switch {
		case test.status == 0 && (err != nil || got != test.want):
			t.Errorf("Find(%q) = %q, %v; want %q", test.name, got, err, test.want)
		case test.status != 0 && (!errors.As(err, &start) || start.Status != test.status):
			t.Errorf("Find(%q) = %q, %v; want status %d", test.name, got, err, test.status)
		}
	}
}
