package zkbench

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/stilelock/stile/bench/internal/work"
)

// A library is a lock library.
type library struct {
	name  string
	about string // the settings, for people

	// dial makes a client of its own, with a session of its own. It is nil of
	// Curator, which is told what to do and not called.
	dial func(ctx context.Context, addr string) (work.Client, error)
}

// stileName is the library that the others are compared with.
const stileName = "stile"

// libraries returns all, ours first.
func libraries() []*library {
	return []*library{stileLibrary(), zkLibrary(), curatorLibrary()}
}

// dial makes n clients, and returns what closes them.
func dial(ctx context.Context, l *library, addr string, n int) (clients []work.Client, hangUp func(), err error) {
	hangUp = func() {
		for _, c := range clients {
			c.Close()
		}
	}
	for range n {
		c, err := l.dial(ctx, addr)
		if err != nil {
			hangUp()
			return nil, nil, fmt.Errorf("connect %s: %w", l.name, err)
		}
		clients = append(clients, c)
	}
	return clients, hangUp, nil
}

// A crowd is many clients that look like one: a key that ends in /7 is the
// affair of the eighth.
type crowd []work.Client

// Acquire has the key's client acquire it.
func (c crowd) Acquire(ctx context.Context, key string) (work.Hold, error) {
	n, err := strconv.Atoi(key[strings.LastIndexByte(key, '/')+1:])
	if err != nil {
		return nil, fmt.Errorf("find client of key: %w", err)
	}
	return c[n%len(c)].Acquire(ctx, key)
}

// Close does nothing: who dialled the clients closes them.
func (c crowd) Close() {}
