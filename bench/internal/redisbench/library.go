package redisbench

import (
	"context"

	"github.com/stilelock/stile/bench/internal/work"
)

// A library is a lock library with one way to use it.
type library struct {
	name    string   // what counts as one rival: the best of its variants counts
	variant string   // the settings, in a word or two
	about   string   // the settings, for people
	plain   []string // commands that it sends beside scripts, and that its scripts do not call

	in dialed

	// dial makes a client of its own, with connections of its own.
	dial func(ctx context.Context, addr string, workers int) (work.Client, error)
}

func (l *library) String() string {
	if l.variant == "" {
		return l.name
	}
	return l.name + " (" + l.variant + ")"
}

// dialed says in which work a variant takes part, so that each library stands
// there with what suits it best and not with all that it can do.
type dialed uint8

const (
	alone  dialed = 1 << iota // one client, one worker
	shared                    // one client, many workers
	line                      // many clients, one key
)

// stileName is the library that the others are compared with.
const stileName = "stile"

// libraries returns all, ours first.
func libraries() []*library {
	all := stileLibrary()
	all = append(all, redsyncLibraries()...)
	all = append(all, redislockLibraries()...)
	return append(all, rueidislockLibrary()...)
}
