package redisbench

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestEveryItemRuns runs everything with every library for a moment, against a
// real server, so that the program cannot rot. It looks at what must be so and
// at no speed.
func TestEveryItemRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	config, err := Parse([]string{
		"-rounds", "2", "-duration", "50ms", "-workers", "6", "-waiters", "3,40", "-keys", "50",
		"-key-ttl", "1s", "-retention", "1s", "-json", file,
	}, func(*flag.FlagSet) {})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), config, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	if stat, err := os.Stat(file); err != nil || stat.Size() == 0 {
		t.Errorf("the JSON file: %v", err)
	}
	libraries := make(map[string]bool)
	for _, item := range r.Items {
		for _, row := range item.Rows {
			libraries[row.Library] = true
			if len(row.Rounds) == 0 {
				t.Errorf("%s: %s did not run", item.Name, row.Title())
			}
			for _, values := range row.Rounds {
				for _, m := range item.Metrics {
					if _, ok := values[m.Name]; !ok {
						t.Errorf("%s: %s has no figure for %q", item.Name, row.Title(), m.Name)
					}
				}
				if len(values) != len(item.Metrics) {
					t.Errorf("%s: %s has %d figures, and %d are shown", item.Name, row.Title(), len(values), len(item.Metrics))
				}
				if values["overlaps"] != 0 {
					t.Errorf("%s: %s has %v overlaps", item.Name, row.Title(), values["overlaps"])
				}
			}
			if main := item.Metrics[0]; row.Library == stileName && item.Name != "idle-waiters" && row.Spread[main.Name].Max <= 0 {
				t.Errorf("%s: stile's %s is %v", item.Name, main.Name, row.Spread[main.Name])
			}
		}
	}
	for _, name := range []string{stileName, "redsync", "redislock", "rueidislock"} {
		if !libraries[name] {
			t.Errorf("%s did not take part", name)
		}
	}
}

// TestNobodyElsesServerIsFlushed runs against a server that is not its own.
func TestNobodyElsesServerIsFlushed(t *testing.T) {
	theirs, err := connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := theirs.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := theirs.admin.Set(t.Context(), "theirs", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	config := Config{Addr: theirs.addr, Rounds: 1, Duration: 10 * time.Millisecond, Workers: 2, Waiters: []int{1}, Keys: 1}
	if config.Only, err = pattern("only", "uncontended-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), config, io.Discard); err != nil {
		t.Fatal(err)
	}
	if n, err := theirs.admin.Exists(t.Context(), "theirs").Result(); err != nil || n != 1 {
		t.Errorf("the key of the server's owner: %d, %v", n, err)
	}
	if config.Only, err = pattern("only", "many-keys"); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), config, io.Discard); !errors.Is(err, errNotOwn) {
		t.Errorf("many-keys on somebody else's server: error %v", err)
	}
}

// TestNoServer says what is missing.
func TestNoServer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := connect(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "redis-server") {
		t.Errorf("without redis-server: error %v", err)
	}
}
