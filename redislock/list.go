package redislock

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/script"
)

// scanStep is how many keys one step of a scan looks at, and inspectStep how
// many locks are read at once.
const (
	scanStep    = 512
	inspectStep = 64
)

// List implements [driver.Driver]. It begins with the key that prefix itself
// may be; for the others it looks through all keys of the database, a step at a
// time, so that the server has time for others. A key that only a program
// without stile holds is listed if the driver's own prefix says that it is a
// lock, or if it is asked for by its whole name.
func (d *Driver) List(ctx context.Context, prefix string) iter.Seq2[driver.State, error] {
	return func(yield func(driver.State, error) bool) {
		if err := d.list(ctx, prefix, func(s driver.State) bool { return yield(s, nil) }); err != nil {
			yield(driver.State{}, fmt.Errorf("list keys: %w", err))
		}
	}
}

func (d *Driver) list(ctx context.Context, prefix string, yield func(driver.State) bool) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.calls.Done()
	if driver.CheckKey(prefix) == nil {
		states, err := heed(ctx, d, func() ([]driver.State, error) { return d.inspect(ctx, []string{prefix}) })
		if err != nil {
			return err
		}
		if len(states) > 0 && !yield(states[0]) {
			return nil
		}
	}
	keys, err := heed(ctx, d, func() ([]string, error) { return d.scan(ctx, prefix) })
	if err != nil {
		return err
	}
	for some := range slices.Chunk(keys, inspectStep) {
		states, err := heed(ctx, d, func() ([]driver.State, error) { return d.inspect(ctx, some) })
		if err != nil {
			return err
		}
		for i := range states {
			if d.prefix == "" && isForeign(&states[i]) {
				continue // Any string of the database, as far as we know.
			}
			if !yield(states[i]) {
				return nil
			}
		}
	}
	return nil
}

// heed returns what f returns, or that ctx has ended. A client that connects to
// a node which does not answer hears no context until its own limits end that;
// and a list comes to nodes that nothing else has come to. Close waits for f.
func heed[T any](ctx context.Context, d *Driver, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	d.ears.work.Go(func() {
		value, err := f()
		answers <- answer{value, err}
	})
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("%w: %w", driver.ErrUnavailable, ctx.Err())
	}
}

// isForeign reports whether the key is of no concern to anybody who uses stile.
func isForeign(s *driver.State) bool {
	return len(s.Waiters) == 0 && len(s.Holders) == 1 && s.Holders[0].ID.IsZero()
}

// scan returns the keys that may be in use, in order, without prefix itself. A
// key whose holder is gone may still have waiters for a moment.
func (d *Driver) scan(ctx context.Context, prefix string) ([]string, error) {
	nodes := []rueidis.Client{d.client}
	if d.cluster {
		nodes = slices.Collect(maps.Values(d.client.Nodes()))
	}
	found := map[string]struct{}{}
	for _, node := range nodes {
		for _, pattern := range []string{glob(d.prefix+prefix) + "*", "stile:line:{*"} {
			for cursor, more := uint64(0), true; more; more = cursor != 0 {
				entry, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(pattern).Count(scanStep).Build()).AsScanEntry()
				if err != nil {
					return nil, d.explain(ctx, "", err)
				}
				for _, name := range entry.Elements {
					key, is := script.KeyOf(d.prefix, name)
					if is && key != prefix && strings.HasPrefix(key, prefix) && driver.CheckKey(key) == nil {
						found[key] = struct{}{}
					}
				}
				cursor = entry.Cursor
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// inspect reads some keys in one go, and returns the states of those in use.
func (d *Driver) inspect(ctx context.Context, names []string) ([]driver.State, error) {
	var (
		asked    []string
		all      []*script.Keys
		commands rueidis.Commands
	)
	for _, name := range names {
		keys, err := script.KeysFor(d.prefix, name)
		if err != nil {
			continue // It cannot be a lock.
		}
		asked, all = append(asked, name), append(all, &keys)
		commands = append(commands, d.evalsha(&script.Inspect, &keys, script.InspectArgs()))
	}
	if len(commands) == 0 {
		return nil, nil
	}
	var states []driver.State
	for i, result := range d.client.DoMulti(ctx, commands...) {
		message, err := result.ToMessage()
		switch {
		case err == nil:
		case isRedis(err, "NOSCRIPT"):
			if message, err = d.run(ctx, &script.Inspect, all[i], script.InspectArgs()); err != nil {
				return nil, err
			}
		case isRedis(err, "WRONGTYPE"):
			continue // Somebody's list or hash under a name that a lock could have.
		default:
			return nil, d.explain(ctx, all[i][script.Lock], err)
		}
		values, err := list(message)
		if err != nil {
			return nil, err
		}
		state, err := script.ParseState(values, asked[i])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
		}
		if len(state.Holders)+len(state.Waiters) > 0 {
			states = append(states, state)
		}
	}
	return states, nil
}

// glob escapes what a pattern of Redis would read as more than itself.
func glob(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(text)
}
