package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// stream reads the lines of `go test -json` as they are written to it. It is not for concurrent use.
type stream struct {
	res    *result
	out    io.Writer
	rest   []byte // of a line whose end has not come yet
	pkgs   map[string]*pkg
	order  []*pkg
	builds map[string][]string // output by import path, until printed
	broken []string            // import paths that did not build, until blamed on a package
}

// pkg is a package whose tests run.
type pkg struct {
	name    string // as people see it
	lines   []line
	running map[string]bool
	bad     map[string]bool // tests that failed
	counts  counts
	ended   bool
}

type line struct{ test, text string }

func newStream(res *result, out io.Writer) *stream {
	return &stream{res: res, out: out, pkgs: make(map[string]*pkg), builds: make(map[string][]string)}
}

// Write takes any piece of the stream. It never fails.
func (s *stream) Write(b []byte) (int, error) {
	s.rest = append(s.rest, b...)
	for {
		text, rest, found := bytes.Cut(s.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		s.line(text)
		s.rest = rest
	}
}

// line takes one line. What is not JSON was not written by test2json and is for people: print it.
func (s *stream) line(text []byte) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil || e.Action == "" {
		fmt.Fprintf(s.out, "%s\n", text)
		return
	}
	switch e.Action {
	case "build-output":
		s.builds[e.ImportPath] = append(s.builds[e.ImportPath], e.Output)
	case "build-fail":
		s.broken = append(s.broken, e.ImportPath)
	default:
		if e.Package != "" {
			s.testEvent(s.pkg(e.Package), e)
		}
	}
}

func (s *stream) pkg(importPath string) *pkg {
	p := s.pkgs[importPath]
	if p == nil {
		p = &pkg{name: s.res.shortName(importPath), running: make(map[string]bool), bad: make(map[string]bool)}
		s.pkgs[importPath] = p
		s.order = append(s.order, p)
	}
	return p
}

func (s *stream) testEvent(p *pkg, e event) {
	switch e.Action {
	case "run":
		p.running[e.Test] = true
	case "output":
		p.lines = append(p.lines, line{e.Test, e.Output})
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(p, e)
			return
		}
		delete(p.running, e.Test)
		s.endTest(p, e)
	}
}

func (s *stream) endTest(p *pkg, e event) {
	switch e.Action {
	case "pass":
		p.counts.passed++
	case "fail":
		s.failTest(p, e.Test, "")
	case "skip":
		sk := skip{pkg: p.name, test: e.Test, reason: skipReason(p.output(e.Test))}
		if s.res.ci && !isAllowed(s.res.allowed, sk) {
			// Not in p.bad: it wrote nothing but its reason.
			p.counts.failed++
			s.res.failures = append(s.res.failures, p.name+" "+e.Test+": skipped in CI, and scripts/allowed-skips.txt does not allow it: "+sk.text())
			return
		}
		p.counts.skipped++
		s.res.skips = append(s.res.skips, sk)
	}
}

func (s *stream) failTest(p *pkg, test, why string) {
	p.counts.failed++
	p.bad[test] = true
	s.res.failures = append(s.res.failures, p.name+" "+test+why)
}

// endPackage closes p's account and prints its line, and what failed in it in full.
func (s *stream) endPackage(p *pkg, e event) {
	p.ended = true
	for _, test := range p.unfinished() {
		s.failTest(p, test, ": it began and did not end")
	}
	if e.Action == "fail" && len(p.bad) == 0 {
		why := ": the package failed, and none of its tests did"
		if e.FailedBuild != "" {
			why = ": it does not build"
		}
		p.counts.failed++
		s.res.failures = append(s.res.failures, p.name+why)
	}
	s.res.counts = s.res.plus(p.counts)
	if e.FailedBuild != "" {
		s.printBuild(e.FailedBuild)
	}
	if p.counts.total() > 0 {
		s.res.packages++
	}
	if e.Action == "fail" || len(p.bad) > 0 {
		s.printFailure(p)
	}
	switch {
	case p.counts.failed > 0:
		fmt.Fprintf(s.out, "FAIL %s  %s  %.1fs\n", p.name, p.counts, e.Elapsed)
	case p.counts.total() == 0:
		s.res.untested = append(s.res.untested, p.name)
	default:
		fmt.Fprintf(s.out, "ok   %s  %s  %.1fs\n", p.name, p.counts, e.Elapsed)
	}
	p.lines = nil
}

// printFailure prints what failing tests wrote, and what nobody wrote for a test. When no test is to blame
// it prints everything: the cause may stand in the output of a test that passed.
func (s *stream) printFailure(p *pkg) {
	fmt.Fprintf(s.out, "\n---- %s\n", p.name)
	for _, l := range p.lines {
		if l.test == "" || p.bad[l.test] || len(p.bad) == 0 {
			fmt.Fprint(s.out, l.text)
		}
	}
	fmt.Fprintf(s.out, "----\n")
}

func (s *stream) printBuild(importPath string) {
	for _, text := range s.builds[importPath] {
		fmt.Fprint(s.out, text)
	}
	delete(s.builds, importPath)
	for i, b := range s.broken {
		if b == importPath {
			s.broken = append(s.broken[:i], s.broken[i+1:]...)
			break
		}
	}
}

// close takes the end of the stream: nothing more comes, so what is still open is lost.
func (s *stream) close() {
	if len(s.rest) > 0 {
		s.line(s.rest)
		s.rest = nil
	}
	for _, p := range s.order {
		if p.ended {
			continue
		}
		p.counts.failed++
		s.res.failures = append(s.res.failures, p.name+": the package's tests did not end")
		s.endPackage(p, event{Action: "fail"})
	}
	for _, b := range append([]string(nil), s.broken...) {
		s.res.fail(s.res.shortName(b) + ": it does not build")
		s.printBuild(b)
	}
	for b := range s.builds { // warnings of builds that succeeded
		s.printBuild(b)
	}
}

// output returns the lines that a test wrote.
func (p *pkg) output(test string) []string {
	var lines []string
	for _, l := range p.lines {
		if l.test == test {
			lines = append(lines, strings.TrimRight(l.text, "\n"))
		}
	}
	return lines
}
