package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// allowedSkip is one line of the list of allowed skips.
type allowedSkip struct {
	pkg, test *regexp.Regexp
	reason    string // part of the reason that the test gives
}

func readAllowed(name string) ([]allowedSkip, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the allowed skips: %w", err)
	}
	defer f.Close()
	list, err := parseAllowed(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return list, nil
}

// parseAllowed reads lines of the form `package | test | part of the reason | why it is allowed`.
func parseAllowed(r io.Reader) ([]allowedSkip, error) {
	var list []allowedSkip
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		fields := strings.Split(text, "|")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if err := checkAllowed(fields); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		list = append(list, allowedSkip{pkg: wildcard(fields[0]), test: wildcard(fields[1]), reason: fields[2]})
	}
	return list, lines.Err()
}

func checkAllowed(fields []string) error {
	if len(fields) != 4 {
		return fmt.Errorf("want four fields (package | test | part of the reason | why), have %d", len(fields))
	}
	for i, what := range []string{"package", "test", "part of the reason", "why"} {
		if fields[i] == "" {
			return fmt.Errorf("the field %q is empty", what)
		}
	}
	if strings.Trim(fields[0]+fields[1], "*") == "" {
		return errors.New("it would allow a skip of any test of any package: name one of them")
	}
	return nil
}

// wildcard matches the whole of a text against a pattern in which * stands for anything.
func wildcard(pattern string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
}

func isAllowed(list []allowedSkip, s skip) bool {
	for _, a := range list {
		if a.pkg.MatchString(s.pkg) && a.test.MatchString(s.test) && strings.Contains(s.reason, a.reason) {
			return true
		}
	}
	return false
}

// location is what testing puts before a message: the file and the line.
var location = regexp.MustCompile(`^\s*[^\s:]+\.go:\d+: `)

// skipReason finds the reason in a skipped test's output: its last message. It is empty when there is none.
func skipReason(output []string) string {
	var reason []string
	for _, text := range output {
		trimmed := strings.TrimSpace(text)
		switch {
		case trimmed == "", strings.HasPrefix(trimmed, "=== "), strings.HasPrefix(trimmed, "--- "):
		case location.MatchString(text):
			reason = []string{strings.TrimSpace(location.ReplaceAllString(text, ""))}
		case len(reason) > 0:
			reason = append(reason, trimmed)
		}
	}
	return strings.Join(reason, " ")
}
