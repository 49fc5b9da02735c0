package sqlitelock

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"strings"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

const (
	// listKeys is how many records are read in one transaction; idle keys have
	// a record too. Between two transactions the caller is at work.
	listKeys = 4096
	// listStates is how many states are read in one transaction.
	listStates = 64
)

// List implements [driver.Driver]. Each state is of one moment; different ones
// may be of different moments. It reads the records of idle keys too, for as
// long as they are retained.
func (d *Driver) List(ctx context.Context, prefix string) iter.Seq2[driver.State, error] {
	return func(yield func(driver.State, error) bool) {
		from, inclusive := prefix, true
		for {
			page, last, err := d.listSome(ctx, prefix, from, inclusive)
			if err != nil {
				yield(driver.State{}, err)
				return
			}
			for _, state := range page {
				if !yield(state, nil) {
					return
				}
			}
			if last == "" {
				return
			}
			from, inclusive = last, false
		}
	}
}

// listSome reads the states of the next keys in use. last is where to go on,
// empty at the end.
func (d *Driver) listSome(ctx context.Context, prefix, from string, inclusive bool) (page []driver.State, last string, err error) {
	if err := d.enter(ctx); err != nil {
		return nil, "", err
	}
	defer d.calls.Done()
	if err := d.freshen(ctx); err != nil {
		return nil, "", err
	}
	err = d.reading(ctx, func(db *database) error {
		page, last, err = db.listSome(d.options.clock.now(), prefix, from, inclusive)
		return err
	})
	if err != nil && ctx.Err() != nil {
		return nil, "", fmt.Errorf("list keys: %w", ctx.Err())
	}
	if err != nil {
		return nil, "", unavailable(d.path, fmt.Errorf("list keys: %w", err))
	}
	return page, last, nil
}

// freshen opens the file anew if another one is at its path now.
func (d *Driver) freshen(ctx context.Context) error {
	d.dbMu.RLock()
	inPlace := d.db.inPlace()
	d.dbMu.RUnlock()
	if inPlace {
		return nil
	}
	// The writing goroutine opens files, whatever the command.
	_, err := d.do(ctx, &command{step: func(*view, lockqueue.Now) (lockqueue.Result, error) {
		return lockqueue.Result{}, nil
	}})
	return err
}

func (db *database) listSome(now lockqueue.Now, prefix, from string, inclusive bool) (page []driver.State, last string, err error) {
	tx, err := db.reader.BeginTx(whole, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, "", err
	}
	defer tx.Rollback() // It has only read.
	keys, last, err := db.keysInUse(tx, prefix, from, inclusive)
	if err != nil {
		return nil, "", err
	}
	for _, key := range keys {
		state, err := db.readState(tx, now, key)
		if err != nil {
			return nil, "", err
		}
		if len(state.Holders)+len(state.Waiters) > 0 {
			page = append(page, state)
		}
	}
	return page, last, nil
}

// keysInUse returns the next keys that somebody holds or waits for, in byte
// order. last is where to go on, empty at the end.
func (db *database) keysInUse(tx *sql.Tx, prefix, from string, inclusive bool) (keys []string, last string, err error) {
	query := db.listAfter
	if inclusive {
		query = db.listFrom
	}
	rows, err := tx.StmtContext(whole, query).QueryContext(whole, from, listKeys)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close() //nolint:errcheck // Err says what went wrong.
	read := 0
	for ; rows.Next() && len(keys) < listStates; read++ {
		var users int
		if err := rows.Scan(&last, &users); err != nil {
			return nil, "", err
		}
		if !strings.HasPrefix(last, prefix) {
			return keys, "", nil // They are sorted, so no more will.
		}
		if users > 0 {
			keys = append(keys, last)
		}
	}
	if read < listKeys && len(keys) < listStates {
		last = ""
	}
	return keys, last, rows.Err()
}

// readState reads what is alive of one key.
func (db *database) readState(tx *sql.Tx, now lockqueue.Now, key string) (driver.State, error) {
	state := driver.State{Key: key, Holders: []driver.Holder{}, Waiters: []driver.Waiter{}}
	row, err := scanKey(tx.StmtContext(whole, db.lookKey).QueryRowContext(whole, key).Scan)
	if err != nil {
		return state, err
	}
	state.Limit = row.Limit
	if row.sole != nil && row.sole.Live(now) {
		state.Holders = append(state.Holders, row.sole.Holder(now))
	}
	rows, err := tx.StmtContext(whole, db.listEntries).QueryContext(whole, key)
	if err != nil {
		return state, err
	}
	defer rows.Close() //nolint:errcheck // Err says what went wrong.
	for rows.Next() {
		e, err := scanEntry(rows.Scan)
		switch {
		case err != nil:
			return state, err
		case !e.Live(now):
		case e.Phase == lockqueue.Waiting:
			state.Waiters = append(state.Waiters, e.Waiter())
		default:
			state.Holders = append(state.Holders, e.Holder(now))
		}
	}
	return state, rows.Err()
}
