package zklock

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// crowd is how many holders a BusyError names.
const crowd = 8

// batch is how many nodes are asked for in one go.
const batch = 256

// List implements [driver.Driver].
func (d *Driver) List(ctx context.Context, prefix string) iter.Seq2[driver.State, error] {
	return func(yield func(driver.State, error) bool) {
		fail := func(err error) { yield(driver.State{}, fmt.Errorf("list keys: %w", err)) }
		if err := d.enter(ctx); err != nil {
			fail(err)
			return
		}
		var keys []string
		err := d.reading(ctx, func(s *zk.Session) (err error) {
			keys, err = d.keys(ctx, s, prefix)
			return err
		})
		if err != nil {
			fail(err)
			return
		}
		for _, key := range keys {
			var state driver.State
			err := d.reading(ctx, func(s *zk.Session) (err error) {
				state, err = d.state(ctx, s, key)
				return err
			})
			if err == nil && d.isClosing() {
				err = driver.ErrClosed
			}
			if err != nil {
				fail(err)
				return
			}
			if len(state.Holders)+len(state.Waiters) > 0 && !yield(state, nil) {
				return
			}
		}
	}
}

func (d *Driver) isClosing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// reading calls f, which changes nothing, with a session, and with another one if
// that has ended meanwhile.
func (d *Driver) reading(ctx context.Context, f func(*zk.Session) error) error {
	for try := 1; ; try++ {
		it, err := d.sessions.get(ctx, 0)
		if err != nil {
			return err
		}
		err = f(it.session)
		isOver := it.session.Err() != nil
		it.give()
		if err == nil || !isOver || ctx.Err() != nil || try == sessionTries {
			return err
		}
	}
}

// ask sends a request that changes nothing, again if its answer was lost.
func ask(ctx context.Context, s *zk.Session, r zk.Request) (*zk.Reply, error) {
	for {
		reply, err := s.Start(r)[0].Wait(ctx)
		if !isLost(err) || ctx.Err() != nil || s.Err() != nil {
			return reply, err
		}
	}
}

// look lists a node's children as they are at the leader: this server may be behind
// what the caller knows from elsewhere.
func look(ctx context.Context, s *zk.Session, path string) (*zk.Reply, error) {
	for {
		calls := s.Start(&zk.Sync{Path: path}, &zk.Children{Path: path})
		_, err := calls[0].Wait(ctx)
		var reply *zk.Reply
		if err == nil {
			reply, err = calls[1].Wait(ctx)
		}
		if !isLost(err) || ctx.Err() != nil || s.Err() != nil {
			return reply, err
		}
	}
}

// keys are those whose name begins with prefix, in byte order.
func (d *Driver) keys(ctx context.Context, s *zk.Session, prefix string) ([]string, error) {
	listed, err := look(ctx, s, d.options.Root)
	if errors.Is(err, zk.NoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err)
	}
	var keys []string
	for _, name := range listed.Children {
		if key, ours := unescape(name); ours && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// line lists a key's folder.
func (d *Driver) line(ctx context.Context, s *zk.Session, folder string) (line, error) {
	listed, err := look(ctx, s, folder)
	if errors.Is(err, zk.NoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(err)
	}
	return parseLine(listed.Children), nil
}

// state is what is known of a key.
func (d *Driver) state(ctx context.Context, s *zk.Session, key string) (driver.State, error) {
	folder := d.folder(key)
	l, err := d.line(ctx, s, folder)
	if err != nil {
		return driver.State{}, err
	}
	state := driver.State{Key: key, Limit: l.limit()}
	holders, others := l.split()
	err = d.read(ctx, s, folder, holders, func(i int, r *record, stat *zk.Stat) {
		state.Holders = append(state.Holders, holder(&holders[i], r, stat))
	})
	if err == nil {
		err = d.read(ctx, s, folder, others, func(i int, r *record, stat *zk.Stat) {
			state.Waiters = append(state.Waiters, waiter(&others[i], r, stat))
		})
	}
	return state, err
}

// holders are the first of those who hold.
func (d *Driver) holders(ctx context.Context, s *zk.Session, folder string, l line) ([]driver.Holder, error) {
	var holders []driver.Holder
	first, _ := l.split()
	first = first[:min(len(first), crowd)]
	err := d.read(ctx, s, folder, first, func(i int, r *record, stat *zk.Stat) {
		holders = append(holders, holder(&first[i], r, stat))
	})
	return holders, err
}

// read reads the nodes of a line that are still there.
func (d *Driver) read(ctx context.Context, s *zk.Session, folder string, l line, found func(i int, r *record, stat *zk.Stat)) error {
	for begin := 0; begin < len(l); begin += batch {
		part := l[begin:min(begin+batch, len(l))]
		requests := make([]zk.Request, len(part))
		for i := range part {
			requests[i] = &zk.Get{Path: folder + "/" + part[i].name}
		}
		for i, call := range s.Start(requests...) {
			reply, err := call.Wait(ctx)
			if isLost(err) {
				reply, err = ask(ctx, s, requests[i])
			}
			if errors.Is(err, zk.NoNode) {
				continue
			}
			if err != nil {
				return explain(err)
			}
			r := readRecord(reply.Data)
			found(begin+i, &r, &reply.Stat)
		}
	}
	return nil
}

// busy is the error of a request that will not wait.
func (d *Driver) busy(ctx context.Context, key string) error {
	busy := &driver.BusyError{Key: key}
	err := d.reading(ctx, func(s *zk.Session) error {
		l, err := d.line(ctx, s, d.folder(key))
		if err != nil {
			return err
		}
		busy.Limit = l.limit()
		busy.Holders, err = d.holders(ctx, s, d.folder(key), l)
		return err
	})
	if err != nil {
		return err
	}
	return busy
}
