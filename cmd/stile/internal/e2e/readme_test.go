package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is the folder of the README, seen from this one.
const repository = "../../../.."

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The README's first command, word for word, on a machine that has nothing.
func TestReadmeFirstCommand(t *testing.T) {
	const command = "go run ./cmd/stile run nightly -- echo hello"
	if !strings.Contains(readme(t), "\n"+command+"\n") {
		t.Fatalf("the README has no %q", command)
	}
	h := newHome(t)
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = repository
	// Go's own caches stay where they are: they are no part of the promise.
	for _, name := range []string{"GOPATH", "GOCACHE", "GOMODCACHE"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(value)))
	}
	cmd.Env = append(cmd.Env, "HOME="+h.dir, "PATH="+os.Getenv("PATH"), "GOFLAGS="+os.Getenv("GOFLAGS"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || string(out) != "hello\n" || stderr.Len() != 0 {
		t.Errorf("prints %q and %q: %v", out, stderr.String(), err)
	}
	if _, err := os.Stat(h.path(".local/state/stile/locks.db")); err != nil {
		t.Errorf("the default store: %v", err)
	}
}

// The README's example, put into a function, runs.
func TestReadmeExample(t *testing.T) {
	_, rest, _ := strings.Cut(readme(t), "```go\n")
	example, _, found := strings.Cut(rest, "```\n")
	imports, body, split := strings.Cut(example, ")\n")
	if !found || !split {
		t.Fatal("the README has no Go example that begins with its imports")
	}
	if lines := strings.Count(example, "\n"); lines > 15 {
		t.Errorf("the example has %d lines, want at most 15", lines)
	}
	program := "package main\n\n" + imports + "\n\"context\"\n\"fmt\"\n\"os\"\n)\n" + `
func work(ctx context.Context) error {
` + body + `
}

func ship(ctx context.Context, order int, token uint64) error {
	fmt.Println("shipped", order, token > 0, ctx.Err())
	return nil
}

func main() {
	if err := work(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
`
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "example")
	// Here, so that the imports are those of this repository.
	if out, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("build the example: %v\n%s\n%s", err, out, program)
	}
	run := exec.Command(binary)
	run.Dir = dir
	out, err := run.CombinedOutput()
	if err != nil || string(out) != "shipped 42 true <nil>\n" {
		t.Errorf("the example prints %q: %v", out, err)
	}
}
