package sqlitelock

import (
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// Nothing in the file ends by itself: a lease that has run out stays until
// somebody asks for its key. So now and then a process that writes anyway goes
// through the keys, some at a time, ends what has run out, and drops the
// records of keys that have been idle for longer than the retention. Where one
// process stops, the next goes on.

const (
	// sweepKeys is how many keys one sweep looks at.
	sweepKeys = 256
	// sweepWaiters is how many dead waiters one sweep takes out of a line.
	sweepWaiters = 64
	// sweepEvery is after how many commands the next sweep is due while a
	// round is not finished: half as many as it looks at keys, so that sweeps
	// keep up with any number of new keys.
	sweepEvery = sweepKeys / 2
)

// A sweeper is what the writing goroutine remembers between sweeps.
type sweeper struct {
	next     time.Time // when to look whether a round is due
	halfway  bool      // a round is not finished
	commands int       // that ran since the last sweep
	strays   bool      // dead sockets are to be looked for
}

// sweepComes reports whether a sweep is due after that many more commands.
func (d *Driver) sweepComes(commands int) bool {
	s := &d.sweeper
	return time.Now().After(s.next) || s.halfway && s.commands+commands >= sweepEvery
}

// sweepIsDue reports, after that many more commands, whether a sweep is due,
// and takes it as done.
func (d *Driver) sweepIsDue(commands int) bool {
	s := &d.sweeper
	s.commands += commands
	if now := time.Now(); now.After(s.next) {
		s.next = now.Add(d.options.timing.sweep)
		s.strays = true
	} else if !s.halfway || s.commands < sweepEvery {
		return false
	}
	s.commands = 0
	return true
}

// sweep looks at the next few keys, in the transaction of a batch, so that it
// costs no write of its own. It returns the commands that it ran.
func (d *Driver) sweep(db *database) ([]*command, error) {
	now := d.options.clock.now()
	cursor, err := db.meta("sweep_key")
	if err != nil {
		return nil, err
	}
	if cursor == "" {
		began, err := db.meta("sweep_began")
		if err != nil {
			return nil, err
		}
		at, _ := strconv.ParseInt(began, 10, 64) // It is empty at first.
		if began != "" && now.Lease-lockqueue.Micros(at) < lockqueue.FromDuration(d.options.timing.sweep) {
			d.sweeper.halfway = false
			return nil, nil // Another process has just done it.
		}
		if err := db.setMeta("sweep_began", strconv.FormatInt(int64(now.Lease), 10)); err != nil {
			return nil, err
		}
	}
	keys, err := db.keysAfter(cursor)
	if err != nil {
		return nil, err
	}
	var settled []*command
	for _, k := range keys {
		if !k.Idle() {
			commands, err := d.settle(db, &k, now)
			if err != nil {
				return nil, err
			}
			settled = append(settled, commands...)
		} else if k.Forgettable(now, d.retention) {
			if err := changeOne(db.dropKey.ExecContext(whole, k.name)); err != nil {
				return nil, err
			}
		}
	}
	d.sweeper.halfway = len(keys) == sweepKeys
	next := ""
	if d.sweeper.halfway {
		next = keys[len(keys)-1].name
	}
	if next != cursor {
		err = db.setMeta("sweep_key", next)
	}
	return settled, err
}

// settle lets a key's line move up and takes dead waiters out of it.
func (d *Driver) settle(db *database, k *namedKey, now lockqueue.Now) ([]*command, error) {
	steps := []func(v *view, now lockqueue.Now) (lockqueue.Result, error){
		func(v *view, now lockqueue.Now) (lockqueue.Result, error) { return lockqueue.Settle(v, now) },
	}
	if k.Waiting > 0 {
		dead, err := db.deadWaitersOf(k.name, now)
		if err != nil {
			return nil, err
		}
		for _, id := range dead {
			steps = append(steps, func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
				return lockqueue.Release(v, now, id)
			})
		}
	}
	commands := make([]*command, 0, len(steps))
	for _, step := range steps {
		c := &command{key: k.name, step: step, done: make(chan struct{})}
		if err := d.execute(db, c); err != nil {
			return nil, err
		}
		commands = append(commands, c)
	}
	return commands, nil
}

// A namedKey is a row of the table keys, as far as a sweep needs it.
type namedKey struct {
	lockqueue.Key
	name string
}

func (db *database) keysAfter(cursor string) (keys []namedKey, err error) {
	rows, err := db.keysFrom.QueryContext(whole, cursor, sweepKeys)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err says what went wrong.
	for rows.Next() {
		var k namedKey
		var token int64
		if err := rows.Scan(&k.name, &k.Held, &k.Waiting, &token, &k.Used); err != nil {
			return nil, err
		}
		k.LastToken = uint64(token)
		keys = append(keys, k)
	}
	return keys, rows.Err()
}

func (db *database) deadWaitersOf(key string, now lockqueue.Now) (ids []driver.LeaseID, err error) {
	rows, err := db.deadWaiters.QueryContext(whole, key, int64(now.Lease), sweepWaiters)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err says what went wrong.
	for rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		var id driver.LeaseID
		copy(id[:], text)
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (db *database) meta(name string) (value string, err error) {
	err = db.readMeta.QueryRowContext(whole, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func (db *database) setMeta(name, value string) error {
	return changeOne(db.writeMeta.ExecContext(whole, name, value))
}
