package redistest

import (
	"fmt"
	"strings"
	"time"
)

// Info returns a section of INFO as names and values.
func (s *Server) Info(section string) (map[string]string, error) {
	value, err := s.Do("INFO", section)
	if err != nil {
		return nil, err
	}
	info := make(map[string]string)
	for line := range strings.Lines(fmt.Sprint(value)) {
		if name, value, is := strings.Cut(strings.TrimSpace(line), ":"); is {
			info[name] = value
		}
	}
	return info, nil
}

// until asks until the answer is yes, for a bounded time.
func until(what string, yes func() bool) error {
	deadline := time.Now().Add(3 * startPatience)
	for pause := 5 * time.Millisecond; !yes(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("wait until %s: it is not so after %v", what, 3*startPatience)
		}
		<-time.After(pause)
	}
	return nil
}
