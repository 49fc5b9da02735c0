package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// counts is how many tests ended in which way.
type counts struct{ passed, failed, skipped int }

func (c counts) total() int { return c.passed + c.failed + c.skipped }

// good tells whether tests ran and none failed.
func (c counts) good() bool { return c.passed > 0 && c.failed == 0 }

func (c counts) plus(o counts) counts {
	return counts{c.passed + o.passed, c.failed + o.failed, c.skipped + o.skipped}
}

// String leaves out what is zero, but always says how many passed.
func (c counts) String() string {
	text := fmt.Sprintf("%d passed", c.passed)
	if c.failed > 0 {
		text += fmt.Sprintf(", %d failed", c.failed)
	}
	if c.skipped > 0 {
		text += fmt.Sprintf(", %d skipped", c.skipped)
	}
	return text
}

// lastLine has the one form that other programs may look for.
func (c counts) lastLine() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

type skip struct{ pkg, test, reason string }

// text is the reason, or that there is none.
func (s skip) text() string {
	if s.reason == "" {
		return "no reason given"
	}
	return s.reason
}

// result is what the tests of one module came to.
type result struct {
	dir      string // of the module, below the root
	rootPath string // import path of the root module
	ci       bool
	allowed  []allowedSkip

	counts
	packages int
	untested []string // packages in which no test ran
	skips    []skip
	failures []string
	elapsed  time.Duration
}

// shortName writes an import path as go test takes it at the root of the repository.
func (r *result) shortName(importPath string) string {
	rest, ok := strings.CutPrefix(importPath, r.rootPath)
	if !ok || (rest != "" && rest[0] != '/' && rest[0] != ' ') {
		return importPath
	}
	return "." + rest
}

// fail counts one failure that is not a test's.
func (r *result) fail(what string) {
	r.failed++
	r.failures = append(r.failures, what)
}

// close looks at the module as a whole, once its tests have ended.
func (r *result) close(filtered bool, out io.Writer) {
	if r.total() == 0 && !filtered {
		r.fail(r.dir + ": no test ran in this module")
	}
	if len(r.untested) > 0 {
		fmt.Fprintf(out, "-    no tests: %s\n", strings.Join(r.untested, " "))
	}
}

// unfinished returns, sorted, the tests of p that began and have not ended.
func (p *pkg) unfinished() []string {
	return slices.Sorted(maps.Keys(p.running))
}

// summarise prints what happened in each module, every skip with its reason and every failure, and returns the sum.
func summarise(results []*result, out io.Writer) counts {
	var total counts
	fmt.Fprintf(out, "\nSummary\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "module\tpackages\tpassed\tfailed\tskipped\ttime\t\n")
	for _, r := range results {
		total = total.plus(r.counts)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t\n", r.dir, r.packages, r.passed, r.failed, r.skipped, r.elapsed.Round(time.Second))
	}
	w.Flush()
	printSkips(results, out)
	printFailures(results, out)
	fmt.Fprintln(out)
	return total
}

func printSkips(results []*result, out io.Writer) {
	title := "\nSkipped, each with its reason:\n"
	for _, r := range results {
		// Tests of a package that give the same reason stand together, in the order in which they ran.
		slices.SortStableFunc(r.skips, func(a, b skip) int {
			return cmp.Or(strings.Compare(a.pkg, b.pkg), strings.Compare(a.reason, b.reason))
		})
		var last skip
		for _, s := range r.skips {
			if s.pkg != last.pkg || s.reason != last.reason || title != "" {
				fmt.Fprintf(out, "%s  %s: %s\n", title, s.pkg, s.text())
			}
			note := ""
			if !isAllowed(r.allowed, s) {
				note = " (not in scripts/allowed-skips.txt: a failure in CI)"
			}
			fmt.Fprintf(out, "    %s%s\n", s.test, note)
			title, last = "", s
		}
	}
}

func printFailures(results []*result, out io.Writer) {
	title := "\nFailed:\n"
	for _, r := range results {
		for _, f := range r.failures {
			fmt.Fprintf(out, "%s  %s\n", title, f)
			title = ""
		}
	}
}
