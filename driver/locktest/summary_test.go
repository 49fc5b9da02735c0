package locktest

import "testing"

func TestSummaryCountsWhatWasSkipped(t *testing.T) {
	s := &suite{ran: 7, skipped: map[string]int{"the store lacks b (too old)": 2, "the harness has no a (no server)": 1}}
	want := "locktest: 7 cases run, 3 skipped: 1 because the harness has no a (no server); 2 because the store lacks b (too old)"
	if got := s.summary(); got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if got, want := (&suite{ran: 7}).summary(), "locktest: 7 cases run, 0 skipped"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestCaseNamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range CaseNames() {
		if seen[name] {
			t.Errorf("two cases are called %s", name)
		}
		seen[name] = true
	}
}
