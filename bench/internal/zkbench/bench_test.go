package zkbench

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// TestEveryItemRuns runs everything with every library for a moment, against a
// real server, so that the program cannot rot. It looks at what must be so and
// at no speed.
func TestEveryItemRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	config, err := Parse([]string{
		"-rounds", "2", "-duration", "100ms", "-warm", "50ms", "-workers", "6", "-waiters", "3,40", "-json", file,
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
	for _, item := range r.Items {
		libraries := make(map[string]bool)
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
			if main := item.Metrics[0]; main.Name != "requests/s" && row.Spread[main.Name].Max <= 0 {
				t.Errorf("%s: %s's %s is %v", item.Name, row.Title(), main.Name, row.Spread[main.Name])
			}
		}
		for _, name := range []string{stileName, "zk.Lock", "Curator"} {
			if !libraries[name] {
				t.Errorf("%s: %s did not take part", item.Name, name)
			}
		}
	}
}
