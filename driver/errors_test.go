package driver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// TestErrorsMatch pins every way in which the errors match one another, bare
// and wrapped: callers are built on it.
func TestErrorsMatch(t *testing.T) {
	all := map[string]error{
		"busy": driver.ErrBusy, "wait timeout": driver.ErrWaitTimeout, "lost": driver.ErrLost,
		"unavailable": driver.ErrUnavailable, "ambiguous": driver.ErrAmbiguous, "limit": driver.ErrLimitMismatch,
		"invalid": driver.ErrInvalid, "invalid key": driver.ErrInvalidKey, "closed": driver.ErrClosed,
		"busy error": &driver.BusyError{Key: "k"}, "limit error": &driver.LimitError{Key: "k", InUse: 1, Asked: 2},
	}
	also := map[string]string{ // Besides themselves.
		"ambiguous": "unavailable", "invalid key": "invalid", "busy error": "busy", "limit error": "limit",
	}
	for name, err := range all {
		for other, target := range all {
			want := name == other || also[name] == other
			for form, err := range map[string]error{
				"bare":          err,
				"wrapped":       fmt.Errorf("acquire: %w", err),
				"wrapped twice": fmt.Errorf("run: %w", fmt.Errorf("acquire: %w", err)),
				"joined":        errors.Join(errors.New("something else"), err),
			} {
				if got := errors.Is(err, target); got != want {
					t.Errorf("%s %s is %s: %v, want %v", form, name, other, got, want)
				}
			}
		}
	}
}

func TestTypedErrorsAreFoundWithAs(t *testing.T) {
	var busy *driver.BusyError
	if err := fmt.Errorf("try: %w", &driver.BusyError{Key: "k", Limit: 2}); !errors.As(err, &busy) || busy.Key != "k" || busy.Limit != 2 {
		t.Errorf("got %+v", busy)
	}
	var limit *driver.LimitError
	if err := fmt.Errorf("try: %w", &driver.LimitError{Key: "k", InUse: 2, Asked: 3}); !errors.As(err, &limit) || limit.InUse != 2 || limit.Asked != 3 {
		t.Errorf("got %+v", limit)
	}
}

func TestErrorTexts(t *testing.T) {
	since := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	holder := driver.Holder{ID: driver.LeaseID{0xab}, Owner: "host:12 backup", Since: since, Expires: since.Add(15 * time.Second)}
	rude := holder
	rude.Owner, rude.Ended = "a\n\x1b[31mb", driver.EndedReleased
	for _, c := range []struct {
		err  error
		want string
	}{
		{&driver.BusyError{Key: "k"}, `key "k" is busy: others wait in line before it`},
		{
			&driver.BusyError{Key: "a\nb", Holders: []driver.Holder{holder}},
			`key "a\nb" is busy: held by host:12 backup since 2026-03-04 05:06:07Z, until 2026-03-04 05:06:22Z unless renewed (lease ab000000000000000000000000000000)`,
		},
		{
			&driver.BusyError{Key: "k", Holders: []driver.Holder{rude}},
			`key "k" is busy: held by a��[31mb since 2026-03-04 05:06:07Z, until 2026-03-04 05:06:22Z though released (lease ab000000000000000000000000000000)`,
		},
		{
			&driver.BusyError{Key: "k", Holders: []driver.Holder{{Owner: "somebody else", Expires: since}}},
			`key "k" is busy: held by somebody else, until 2026-03-04 05:06:07Z unless renewed`,
		},
		{
			&driver.BusyError{Key: "k", Holders: []driver.Holder{{Owner: "somebody else"}}},
			`key "k" is busy: held by somebody else`,
		},
		{&driver.LimitError{Key: "k", InUse: 2, Asked: 3}, `key "k" is in use with limit 2, not 3: use the same limit everywhere, or wait until the key is free`},
		{driver.ErrAmbiguous, "outcome is unknown"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	many := &driver.BusyError{Key: "k", Holders: []driver.Holder{holder, holder, holder}}
	if got := many.Error(); !strings.HasSuffix(got, " and 2 more") {
		t.Errorf("got %s", got)
	}
}
