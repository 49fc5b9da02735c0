package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runModule writes files as a module, runs its tests with the real go test, and returns what came of it.
func runModule(t *testing.T, files map[string]string, adjust func(*result)) (*result, string) {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.org/m\n\ngo 1.25.0\n"
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	r := &result{dir: ".", rootPath: "example.org/m"}
	if adjust != nil {
		adjust(r)
	}
	var out, stderr bytes.Buffer
	testModule(t.Context(), r, dir, []string{"test", "-json", "-count=1", "-timeout=1m", "./..."}, &out, &stderr)
	out.Write(stderr.Bytes())
	r.close(false, &out)
	out.WriteString(summarise([]*result{r}, &out).lastLine())
	return r, out.String()
}

// wantFailures compares what failed, by the beginning of each line.
func wantFailures(t *testing.T, r *result, out string, want ...string) {
	t.Helper()
	slices.Sort(r.failures)
	if !slices.EqualFunc(r.failures, want, strings.HasPrefix) || r.failed != len(want) {
		t.Errorf("failed %d: %q, want %q; output:\n%s", r.failed, r.failures, want, out)
	}
}

func wantText(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%q is not in the output:\n%s", text, out)
		}
	}
}

func TestCountsTestsSubtestsExamplesAndSeeds(t *testing.T) {
	r, out := runModule(t, map[string]string{
		"a_test.go": `package m
import ("fmt"; "testing")
func TestOne(t *testing.T) { t.Run("sub", func(t *testing.T) {}); t.Run("skipped", func(t *testing.T) { t.Skip("for\na reason") }) }
func FuzzTwo(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, n int) {}) }
func Example_three() { fmt.Println("x") // Output: x
}
`,
		"none/none.go": "package none\n",
	}, nil)
	wantFailures(t, r, out)
	// TestOne, TestOne/sub, FuzzTwo, FuzzTwo/seed#0, Example_three.
	wantText(t, out, "ok   .  5 passed, 1 skipped", "5 passed, 0 failed, 1 skipped", "no tests: ./none",
		"  .: for a reason\n    TestOne/skipped (not in scripts/allowed-skips.txt")
	if !strings.HasSuffix(out, "\n5 passed, 0 failed, 1 skipped") {
		t.Errorf("the last line is not the sum:\n%s", out)
	}
}

func TestFailureIsPrintedInFull(t *testing.T) {
	r, out := runModule(t, map[string]string{
		"a_test.go": `package m
import "testing"
func TestGood(t *testing.T) { t.Log("quiet") }
func TestBad(t *testing.T) {
	t.Log("first line")
	t.Run("inner", func(t *testing.T) { t.Error("the cause") })
	t.Run("fine", func(t *testing.T) { t.Log("beside the point") })
}
`,
	}, nil)
	wantFailures(t, r, out, ". TestBad", ". TestBad/inner")
	wantText(t, out, "first line", "the cause", "2 passed, 2 failed, 0 skipped")
	for _, text := range []string{"quiet", "beside the point"} {
		if strings.Contains(out, text) {
			t.Errorf("%q of a test that passed is in the output:\n%s", text, out)
		}
	}
}

func TestPackageThatDoesNotBuildFails(t *testing.T) {
	for name, file := range map[string]string{
		"type error in a test": "package m\nimport \"testing\"\nfunc TestX(t *testing.T) { var n int = \"text\" }\n",
		"vet":                  "package m\nimport (\"fmt\"; \"testing\")\nfunc TestX(t *testing.T) { fmt.Printf(\"%d\", \"text\") }\n",
		"syntax":               "package m\nfunc {\n",
	} {
		t.Run(name, func(t *testing.T) {
			r, out := runModule(t, map[string]string{"bad/a_test.go": file, "good/a_test.go": goodTest}, nil)
			if r.failed != 1 || r.passed != 1 {
				t.Errorf("have %+v, %q", r.counts, r.failures)
			}
			wantText(t, out, "./bad: ", "a_test.go:", "1 passed, 1 failed, 0 skipped")
		})
	}
}

const goodTest = "package p\nimport \"testing\"\nfunc TestGood(t *testing.T) {}\n"

func TestPackageWhoseDependencyDoesNotBuildFails(t *testing.T) {
	r, out := runModule(t, map[string]string{
		"dep/dep.go":  "package dep\n\nvar X int = \"text\"\n",
		"a/a_test.go": "package a\nimport (\"testing\"; \"example.org/m/dep\")\nfunc TestX(t *testing.T) { _ = dep.X }\n",
		"b/a_test.go": goodTest,
	}, nil)
	if r.failed == 0 || r.passed != 1 {
		t.Errorf("have %+v, %q", r.counts, r.failures)
	}
	wantText(t, out, "./a: it does not build", "dep.go:3:", "1 passed,")
}

func TestPanicFailsWhatRan(t *testing.T) {
	r, out := runModule(t, map[string]string{
		"a_test.go": `package m
import "testing"
func TestA(t *testing.T) { t.Parallel(); <-make(chan int) }
func TestB(t *testing.T) { t.Run("sub", func(t *testing.T) { panic("the cause") }) }
func TestC(t *testing.T) {}
`,
	}, nil)
	wantText(t, out, "panic: the cause", ". TestA", ". TestB", "FAIL")
	if r.failed < 3 {
		t.Errorf("TestA, TestB and TestB/sub did not pass, but failed is %d: %q", r.failed, r.failures)
	}
}

func TestExitInATestFails(t *testing.T) {
	r, out := runModule(t, map[string]string{
		"a_test.go": "package m\nimport (\"os\"; \"testing\")\nfunc TestGood(t *testing.T) {}\nfunc TestExit(t *testing.T) { os.Exit(0) }\n",
	}, nil)
	wantFailures(t, r, out, ". TestExit")
}

func TestTestMainThatFailsIsNotLost(t *testing.T) {
	r, out := runModule(t, map[string]string{
		"a_test.go": `package m
import ("fmt"; "os"; "testing")
func TestMain(m *testing.M) { m.Run(); fmt.Println("leaked a goroutine"); os.Exit(3) }
func TestGood(t *testing.T) {}
`,
	}, nil)
	wantFailures(t, r, out, ".: the package failed, and none of its tests did")
	wantText(t, out, "leaked a goroutine", "1 passed, 1 failed, 0 skipped")
}

func TestGoTestThatCannotStartFails(t *testing.T) {
	r, out := runModule(t, map[string]string{"a_test.go": "package m\nimport _ \"example.org/nowhere\"\n"}, nil)
	if r.failed == 0 {
		t.Errorf("a missing module is not a failure:\n%s", out)
	}
	wantText(t, out, "example.org/nowhere")
}

func TestModuleWithoutTestsFails(t *testing.T) {
	r, out := runModule(t, map[string]string{"a.go": "package m\n"}, nil)
	wantFailures(t, r, out, ".: no test ran in this module")
	wantText(t, out, "0 passed, 1 failed, 0 skipped")
}

func TestSkipInCIFailsUnlessAllowed(t *testing.T) {
	files := func() map[string]string {
		return map[string]string{"a_test.go": `package m
import "testing"
func TestGood(t *testing.T) {}
func TestSkip(t *testing.T) { t.Skip("needs a moon") }
func TestSilent(t *testing.T) { t.SkipNow() }
`}
	}
	ci := func(list string) func(*result) {
		allowed, err := parseAllowed(strings.NewReader(list))
		if err != nil {
			t.Fatal(err)
		}
		return func(r *result) { r.ci, r.allowed = true, allowed }
	}
	r, out := runModule(t, files(), ci(""))
	wantFailures(t, r, out, ". TestSilent: skipped in CI", ". TestSkip: skipped in CI")
	wantText(t, out, "needs a moon", "no reason given", "1 passed, 2 failed, 0 skipped")
	if strings.Contains(out, "--- SKIP") {
		t.Errorf("a skip that is not allowed is told in one line, not with its output:\n%s", out)
	}

	r, out = runModule(t, files(), ci(". | TestS* | a moon | there is none here"))
	wantFailures(t, r, out, ". TestSilent: skipped in CI")
	wantText(t, out, "  .: needs a moon\n    TestSkip\n", "1 passed, 1 failed, 1 skipped")
}

func TestStoppedRunFails(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.org/m\n\ngo 1.25.0\n",
		// It tells that it runs through a file, as go test would hold its output back until it ends.
		"a_test.go": "package m\nimport (\"os\"; \"testing\")\nfunc TestHang(t *testing.T) { os.Create(\"running\"); select {} }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "off")
	stopWhenRunning(t, dir)
}
