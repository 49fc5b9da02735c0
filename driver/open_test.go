package driver_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// A door is a driver that can only be closed.
type door struct {
	driver.Driver
	closed bool
}

func (d *door) Close() error {
	d.closed = true
	return nil
}

// An opening is what the opener of scheme opentest was asked.
type opening struct {
	host, user string
	name       string
	wait       time.Duration
	size       int
	door       *door
	err        error // what the opener answers
	rude       bool  // it does not ask Query.Err
}

var opened = map[string]*opening{}

// register makes a scheme of the test's own.
func register(t *testing.T, o *opening) (scheme string) {
	t.Helper()
	scheme = fmt.Sprintf("opentest%d", len(opened))
	opened[scheme] = o
	driver.Register(scheme, func(_ context.Context, u *url.URL, query *driver.Query) (driver.Driver, error) {
		o.host, o.user = u.Host, u.User.Username()
		o.name = query.String("name", "nobody")
		o.wait = query.Duration("wait", time.Minute)
		o.size = query.Int("size", 3)
		if !o.rude {
			if err := query.Err(); err != nil {
				return nil, err
			}
		}
		if o.err != nil {
			return nil, o.err
		}
		o.door = &door{}
		return o.door, nil
	})
	return scheme
}

func TestOpenReadsTheURL(t *testing.T) {
	var o opening
	scheme := register(t, &o)
	d, err := driver.Open(t.Context(), strings.ToUpper(scheme)+"://ann:secret@example.org:5?name=a%20b&wait=1h30m&size=7")
	if err != nil {
		t.Fatal(err)
	}
	if d != driver.Driver(o.door) || o.host != "example.org:5" || o.user != "ann" || o.name != "a b" || o.wait != 90*time.Minute || o.size != 7 {
		t.Errorf("got %+v", o)
	}
	if _, err := driver.Open(t.Context(), scheme+":"); err != nil {
		t.Fatal(err)
	}
	if o.name != "nobody" || o.wait != time.Minute || o.size != 3 {
		t.Errorf("defaults: got %+v", o)
	}
	if !slices.Contains(driver.Schemes(), scheme) || !slices.IsSorted(driver.Schemes()) {
		t.Errorf("schemes: %v", driver.Schemes())
	}
}

func TestASchemeIsRegisteredOnce(t *testing.T) {
	scheme := register(t, &opening{})
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), scheme) {
			t.Errorf("registered twice: %v", r)
		}
	}()
	driver.Register(scheme, nil)
}

const password = "s3cr3t-p4ss"

// TestOpenRefuses checks each refusal: it is an ErrInvalid, it says what to
// do, and it never repeats a password.
func TestOpenRefuses(t *testing.T) {
	scheme := register(t, &opening{})
	for _, c := range []struct{ name, url, says string }{
		{"empty", "", "a store URL starts with a scheme"},
		{"no scheme", "/var/lib/locks.db", "a store URL starts with a scheme"},
		{"no scheme, a password", ":" + password + "@host", "a store URL starts with a scheme"},
		{"unknown scheme", "nosuch://x:" + password + "@host", `no driver for scheme "nosuch"; known schemes: `},
		{"a user for a scheme", "ann:" + password + "@host:6379", "no driver for scheme"},
		{"a password for a scheme", password + "@host:6379", "a store URL starts with a scheme"},
		{"a path for a scheme", "/run/" + password + ":1", "a store URL starts with a scheme"},
		{"a long scheme", strings.Repeat("a", 5000) + ":x", "a store URL starts with a scheme"},
		{"bad port", "%s://ann:" + password + "@host:port", "URL is malformed"},
		{"bad escape", "%s://ann:" + password + "%zz@host", "URL is malformed"},
		{"bad escape in the path", "%s://ann:" + password + "@host/%zz", "URL is malformed"},
		{"space in the host", "%s://ann:" + password + "@ho st", "URL is malformed"},
		{"control character", "%s://ann:" + password + "@host\n", "URL is malformed"},
		{"bad query", "%s://ann:" + password + "@host?name=%zz", "query of the"},
		{"semicolon in the query", "%s://host?name=" + password + ";x", "query of the"},
		{"unknown query key", "%s://ann:" + password + "@host?wiat=" + password, `unknown query key "wiat"; known keys: name, size, wait`},
		{"query key given twice", "%s://host?name=" + password + "&name=b", `"name"`},
		{"bad duration", "%s://host?wait=" + password, `"wait": invalid argument: want a duration such as 90s`},
		{"duration without a unit", "%s://host?wait=15", `"wait": invalid argument: want a duration such as 90s`},
		{"bad number", "%s://host?size=" + password, `"size": invalid argument: want a whole number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := driver.Open(t.Context(), strings.ReplaceAll(c.url, "%s:", scheme+":"))
			if d != nil || !errors.Is(err, driver.ErrInvalid) {
				t.Fatalf("got %v, %v", d, err)
			}
			text := err.Error()
			if !strings.Contains(text, c.says) {
				t.Errorf("the error %q does not say %q", text, c.says)
			}
			if strings.Contains(text, password) || strings.Contains(text, "s3cr3t") {
				t.Errorf("the error %q tells the password", text)
			}
			if !strings.HasPrefix(text, "open ") || strings.Contains(text, "\n") || len(text) > 500 {
				t.Errorf("the error is not one plain line: %q", text)
			}
		})
	}
}

func TestOpenClosesWhatARudeOpenerOpened(t *testing.T) {
	o := opening{rude: true}
	scheme := register(t, &o)
	d, err := driver.Open(t.Context(), scheme+"://host?nosuch=1")
	if d != nil || !errors.Is(err, driver.ErrInvalid) {
		t.Fatalf("got %v, %v", d, err)
	}
	if o.door == nil || !o.door.closed {
		t.Error("the driver was left open")
	}
}

func TestOpenKeepsTheErrorOfTheOpener(t *testing.T) {
	o := opening{err: fmt.Errorf("dial: %w", driver.ErrUnavailable)}
	scheme := register(t, &o)
	_, err := driver.Open(t.Context(), scheme+"://host")
	if !errors.Is(err, driver.ErrUnavailable) || err.Error() != "open "+scheme+" store: dial: store is unavailable" {
		t.Errorf("got %v", err)
	}
	// What is wrong in the URL explains more than what followed from it.
	o.rude = true
	_, err = driver.Open(t.Context(), scheme+"://host?wait=soon")
	if !errors.Is(err, driver.ErrInvalid) || errors.Is(err, driver.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAnOpenerWithoutKeysSaysSo(t *testing.T) {
	scheme := fmt.Sprintf("opentest%d", len(opened))
	opened[scheme] = nil
	driver.Register(scheme, func(_ context.Context, _ *url.URL, query *driver.Query) (driver.Driver, error) {
		return nil, query.Err()
	})
	if _, err := driver.Open(t.Context(), scheme+":?a=1"); !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), "takes no query") {
		t.Errorf("got %v", err)
	}
}
