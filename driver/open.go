package driver

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Opener opens the store that a URL names. It reads every query key that it
// knows from query, then asks [Query.Err] before it touches the store. Its
// errors must not contain the URL: it may carry a password.
type Opener func(ctx context.Context, u *url.URL, query *Query) (Driver, error)

var registry struct {
	sync.RWMutex
	openers map[string]Opener
}

// Register makes a driver known under a URL scheme, in lower case. Drivers
// call it from init. It panics if the scheme is taken: two drivers for one
// scheme in one program are a programming error.
func Register(scheme string, open Opener) {
	registry.Lock()
	defer registry.Unlock()
	if _, taken := registry.openers[scheme]; taken {
		panic("driver: scheme " + scheme + " is registered twice")
	}
	if registry.openers == nil {
		registry.openers = make(map[string]Opener)
	}
	registry.openers[scheme] = open
}

// Schemes returns the registered URL schemes in alphabetical order.
func Schemes() []string {
	registry.RLock()
	defer registry.RUnlock()
	return slices.Sorted(maps.Keys(registry.openers))
}

// Open opens the store that rawURL names with the driver that is registered
// for its scheme. An unknown scheme, an unknown query key and a malformed URL
// are [ErrInvalid]. No error repeats the URL or its password.
func Open(ctx context.Context, rawURL string) (Driver, error) {
	scheme, _, found := strings.Cut(rawURL, ":")
	scheme = strings.ToLower(scheme)
	if !found || !isScheme(scheme) {
		// It is not repeated: what stands there may be a password, as in PASSWORD@HOST:PORT.
		return nil, fmt.Errorf("open store: %w: a store URL starts with a scheme and a colon; known schemes: %s", ErrInvalid, strings.Join(Schemes(), ", "))
	}
	registry.RLock()
	open := registry.openers[scheme]
	registry.RUnlock()
	if open == nil {
		return nil, fmt.Errorf("open store: %w: no driver for scheme %q; known schemes: %s", ErrInvalid, scheme, strings.Join(Schemes(), ", "))
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		// The parser's error repeats the URL, password and all.
		return nil, fmt.Errorf("open store: %w: the %s URL is malformed", ErrInvalid, scheme)
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("open store: %w: the query of the %s URL is malformed", ErrInvalid, scheme)
	}
	query := &Query{values: values, known: map[string]bool{}}
	d, err := open(ctx, u, query)
	if err == nil {
		err = query.Err()
		if err != nil {
			_ = d.Close() // Nothing is held yet; the query's error says what to do.
		}
	} else if queryErr := query.Err(); queryErr != nil {
		err = queryErr // What is wrong in the URL explains more than what followed from it.
	}
	if err != nil {
		return nil, fmt.Errorf("open %s store: %w", scheme, err)
	}
	return d, nil
}

// isScheme reports whether text could be the scheme of a store: a few letters
// and digits, joined by plus, minus and dot.
func isScheme(text string) bool {
	return text != "" && len(text) <= 32 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

// A Query reads the query of a store URL and remembers which keys its driver
// knows. It is not safe for concurrent use.
type Query struct {
	values url.Values
	known  map[string]bool
	first  error
}

// String returns the value of key, or def if the URL has none.
func (q *Query) String(key, def string) string {
	q.known[key] = true
	values := q.values[key]
	switch len(values) {
	case 0:
		return def
	case 1:
		return values[0]
	default:
		q.fail(fmt.Errorf("read query key %q: %w: it is given %d times", key, ErrInvalid, len(values)))
		return def
	}
}

// Duration returns the value of key as a duration such as 1h30m, or def if the
// URL has none. A malformed value is reported by [Open].
func (q *Query) Duration(key string, def time.Duration) time.Duration {
	text := q.String(key, "")
	if text == "" {
		return def
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		q.fail(fmt.Errorf("read query key %q: %w: want a duration such as 90s or 1h", key, ErrInvalid))
		return def
	}
	return d
}

// Int returns the value of key as a whole number, or def if the URL has none.
// A malformed value is reported by [Open].
func (q *Query) Int(key string, def int) int {
	text := q.String(key, "")
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		q.fail(fmt.Errorf("read query key %q: %w: want a whole number", key, ErrInvalid))
		return def
	}
	return n
}

func (q *Query) fail(err error) {
	if q.first == nil {
		q.first = err
	}
}

// Err returns what is wrong with the query: a malformed value, or a key that
// was not asked for. A driver calls it when it has read all its keys and
// before it touches the store.
func (q *Query) Err() error {
	if q.first != nil {
		return q.first
	}
	for _, key := range slices.Sorted(maps.Keys(q.values)) {
		if !q.known[key] {
			known := slices.Sorted(maps.Keys(q.known))
			if len(known) == 0 {
				return fmt.Errorf("%w: the URL takes no query, got the key %q", ErrInvalid, key)
			}
			return fmt.Errorf("%w: unknown query key %q; known keys: %s", ErrInvalid, key, strings.Join(known, ", "))
		}
	}
	return nil
}
