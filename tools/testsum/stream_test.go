package main

import (
	"bytes"
	"strings"
	"testing"
)

// feed hands the stream to a new result, in pieces of the given size.
func feed(text string, size int) (*result, string) {
	r := &result{dir: ".", rootPath: "example.org/m"}
	var out bytes.Buffer
	s := newStream(r, &out)
	for b := []byte(text); len(b) > 0; {
		n := min(size, len(b))
		_, _ = s.Write(b[:n])
		b = b[n:]
	}
	s.close()
	return r, out.String()
}

const oneTest = `{"Action":"start","Package":"example.org/m/p"}
{"Action":"run","Package":"example.org/m/p","Test":"TestX"}
{"Action":"output","Package":"example.org/m/p","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"pass","Package":"example.org/m/p","Test":"TestX","Elapsed":0}
{"Action":"pass","Package":"example.org/m/p","Elapsed":0.1}
`

func TestStreamInPieces(t *testing.T) {
	for _, size := range []int{1, 7, 4096} {
		r, out := feed(oneTest, size)
		if r.counts != (counts{passed: 1}) || r.packages != 1 {
			t.Errorf("pieces of %d: have %+v; output:\n%s", size, r.counts, out)
		}
	}
}

// TestCutStreamFails cuts a stream of one passing test at every line and at every byte: a pass is only
// believed when the package has ended.
func TestCutStreamFails(t *testing.T) {
	for n := len(`{"Action":"start","Package":"example.org/m/p"}`); n < len(oneTest)-1; n++ {
		if r, out := feed(oneTest[:n], n); r.failed == 0 {
			t.Fatalf("cut after %d bytes, at %q: no failure; output:\n%s", n, oneTest[max(0, n-20):n], out)
		}
	}
}

func TestStreamPrintsWhatIsNotJSON(t *testing.T) {
	_, out := feed("go: something odd\n"+oneTest, 100)
	wantText(t, out, "go: something odd\n")
}

func TestStreamKeepsABuildFailureThatNoPackageClaims(t *testing.T) {
	r, out := feed(`{"ImportPath":"example.org/m/q","Action":"build-output","Output":"q.go:1: broken\n"}
{"ImportPath":"example.org/m/q","Action":"build-fail"}
`, 100)
	wantFailures(t, r, out, "./q: it does not build")
	wantText(t, out, "q.go:1: broken")
}

func TestShortName(t *testing.T) {
	r := &result{rootPath: "example.org/m"}
	for path, want := range map[string]string{
		"example.org/m": ".", "example.org/m/a/b": "./a/b", "example.org/mother": "example.org/mother", "other.org/x": "other.org/x",
		"example.org/m/a [example.org/m/a.test]": "./a [example.org/m/a.test]",
	} {
		if got := r.shortName(path); got != want {
			t.Errorf("%s: have %s, want %s", path, got, want)
		}
	}
}

func TestSkipReason(t *testing.T) {
	for text, want := range map[string]string{
		"=== RUN   TestX\n    x_test.go:5: needs root\n--- SKIP: TestX (0.00s)":                        "needs root",
		"=== RUN   TestX\n    x_test.go:4: a log line\n    x_test.go:5: needs\n        root\n--- SKIP": "needs root",
		"=== RUN   TestX/sub\n    --- SKIP: TestX/sub (0.00s)":                                         "",
	} {
		if got := skipReason(strings.Split(text, "\n")); got != want {
			t.Errorf("%q: have %q, want %q", text, got, want)
		}
	}
}

func TestParseAllowedRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"./a | TestX | reason":         "want four fields",
		"./a | TestX |  | why":         `"part of the reason" is empty`,
		"./a | TestX | reason |":       `"why" is empty`,
		"* | * | reason | why":         "any test of any package",
		"# fine\n./a | T | r | w\n./b": "line 3",
	} {
		if _, err := parseAllowed(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: have error %v, want one with %q", text, err, want)
		}
	}
}

func TestAllowedMatchesTheWholeName(t *testing.T) {
	list, err := parseAllowed(strings.NewReader("./a | TestX | moon | none here\n./b/* | TestY/* | sun | nor here"))
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[skip]bool{
		{"./a", "TestX", "needs a moon"}:    true,
		{"./a", "TestXY", "needs a moon"}:   false,
		{"./a/b", "TestX", "needs a moon"}:  false,
		{"./a", "TestX", "needs root"}:      false,
		{"./a", "TestX", ""}:                false,
		{"./b/c", "TestY/deep/er", "a sun"}: true,
	} {
		if got := isAllowed(list, s); got != want {
			t.Errorf("%+v: have %v, want %v", s, got, want)
		}
	}
}

func TestLastLine(t *testing.T) {
	c := counts{passed: 12, skipped: 3}
	if got := c.lastLine(); got != "12 passed, 0 failed, 3 skipped" {
		t.Errorf("have %q", got)
	}
	for c, want := range map[counts]bool{{passed: 1}: true, {}: false, {skipped: 2}: false, {passed: 5, failed: 1}: false} {
		if c.good() != want {
			t.Errorf("%+v: good is %v", c, !want)
		}
	}
}
