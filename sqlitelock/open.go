package sqlitelock

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

const (
	defaultBusyTimeout = 5 * time.Second
	defaultRetention   = time.Hour
)

// Options configure an open store. A nil *Options is the same as its zero
// value.
type Options struct {
	// BusyTimeout is how long a command waits for its turn to write while
	// other processes write. After that it fails with driver.ErrUnavailable.
	// Default: 5 seconds.
	BusyTimeout time.Duration
	// Retention is how long the last token of an idle key is remembered. After
	// that the wall clock alone keeps tokens rising. Default: 1 hour.
	Retention time.Duration

	// Tests bring their own; nil and zero are what programs use.
	clock  clock
	timing timing
}

// A timing is how often a store does what nobody asked for.
type timing struct {
	// waiterTTL is how long a waiter that is not heard of keeps its place.
	waiterTTL time.Duration
	// refresh is how often a waiter is heard of.
	refresh time.Duration
	// look is how often the file is looked at while somebody waits, in case a
	// message was lost; blindLook is the same where there are no messages.
	look, blindLook time.Duration
	// sweep is how often old records are removed.
	sweep time.Duration
}

func (t timing) orDefault() timing {
	if t != (timing{}) {
		return t
	}
	return timing{
		waiterTTL: 15 * time.Second,
		refresh:   5 * time.Second,
		look:      time.Second,
		blindLook: 50 * time.Millisecond,
		sweep:     time.Minute,
	}
}

// Open opens the store in the database file at path, and makes the file and
// its directories if they are missing. A relative path counts from the current
// directory of this moment. ctx bounds the opening only.
//
// It returns driver.ErrInvalid for a path that can never work, and
// driver.ErrUnavailable for a file that cannot be used as it is.
func Open(ctx context.Context, path string, opts *Options) (*Driver, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if opts == nil {
		opts = &Options{}
	}
	options, err := opts.checked()
	if err != nil {
		return nil, err
	}
	if err := checkPath(path); err != nil {
		return nil, err
	}
	resolved, err := resolvePath(path)
	if err != nil {
		return nil, err
	}
	if err := checkFileSystem(resolved); err != nil {
		return nil, err
	}
	if options.clock == nil {
		if options.clock, err = systemClock(); err != nil {
			return nil, err
		}
	}
	db, err := openDatabase(ctx, resolved, options.clock.boot(), options.BusyTimeout)
	if err != nil {
		return nil, err
	}
	return start(db, options), nil
}

func (o Options) checked() (Options, error) {
	if o.BusyTimeout < 0 || o.Retention < 0 {
		return o, fmt.Errorf("check options: %w: BusyTimeout and Retention must not be negative", driver.ErrInvalid)
	}
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	if o.Retention == 0 {
		o.Retention = defaultRetention
	}
	o.timing = o.timing.orDefault()
	return o, nil
}

func checkPath(path string) error {
	switch {
	case path == "":
		return fmt.Errorf("read path: %w: it is empty: name a database file", driver.ErrInvalid)
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("read path: %w: it holds a zero byte", driver.ErrInvalid)
	case path == ":memory:":
		return fmt.Errorf("read path: %w: no two processes share a database in memory: name a file, or use mem: for locks within one process", driver.ErrInvalid)
	case strings.HasPrefix(path, "file:"):
		return fmt.Errorf("read path: %w: want the path of a file, not a file: URL", driver.ErrInvalid)
	}
	return nil
}

// start runs the store of an open database.
func start(db *database, options Options) *Driver {
	d := &Driver{
		options:   options,
		path:      db.path,
		retention: lockqueue.FromDuration(options.Retention),
		waiterTTL: lockqueue.FromDuration(options.timing.waiterTTL),
		db:        db,
		gate:      openGate(db.path),
		queue:     make(chan *command, maxBatch),
		closing:   make(chan struct{}),
		stop:      make(chan struct{}),
		refused:   make(map[string]bool),
	}
	d.post = newPostbox(db.path, db.file.Mode().Perm(), d.listeners.news)
	d.running.Add(1)
	go d.write()
	return d
}
