package sqlitelock

import (
	"database/sql"
	"fmt"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A view is a [lockqueue.View] of one key within a transaction. It reads and
// writes single rows, and writes the row of the key once: Key must be called
// before the command, as the machine does, and flush after it. It serves one
// command.
type view struct {
	*statements
	key string
	// asked and permits are those of the attempt that the command brings, if
	// it brings one: an idle key's record does not know its next limit yet.
	asked   driver.LeaseID
	permits int
	// reachable answers Reachable.
	reachable func(waiter *lockqueue.Entry) bool

	record lockqueue.Key
	// sole is the holder that is kept in the row of the key, or nil.
	sole   *lockqueue.Entry
	stored bool // the row of the key is in the table
	dirty  bool // it differs from what is in the table
	// empty: the table entries has no row of this key.
	empty bool
	// waits tells, of each row of entries that this command knows of, whether
	// it stands there among the waiters.
	waits map[driver.LeaseID]bool
}

var _ lockqueue.View = (*view)(nil)

// Key implements [lockqueue.View].
func (v *view) Key() (lockqueue.Key, error) {
	row, stored, err := one(scanKey(v.readKey.QueryRowContext(whole, v.key).Scan))
	if err != nil {
		return lockqueue.Key{}, err
	}
	v.record, v.sole, v.stored = row.Key, row.sole, stored
	v.empty = row.Waiting == 0 && (row.Held == 0 || row.sole != nil)
	return row.Key, nil
}

// SetKey implements [lockqueue.View].
func (v *view) SetKey(k lockqueue.Key) error {
	v.record, v.dirty = k, true
	return nil
}

// flush writes the row of the key if the command has changed it.
func (v *view) flush() error {
	if !v.dirty {
		return nil
	}
	k := &v.record
	var holder any
	if v.sole != nil {
		packed, err := packEntry(v.sole)
		if err != nil {
			return err
		}
		holder = packed
	}
	stmt := v.updateKey
	if !v.stored {
		stmt = v.insertKey
	}
	v.stored, v.dirty = true, false
	return changeOne(stmt.ExecContext(whole, k.Limit, int64(k.Mode), k.Held, k.Waiting,
		int64(k.LastToken), int64(k.LastSeq), int64(k.Used), holder, v.key))
}

// Entry implements [lockqueue.View].
func (v *view) Entry(id driver.LeaseID) (lockqueue.Entry, bool, error) {
	if v.sole != nil && v.sole.ID == id {
		return *v.sole, true, nil
	}
	if v.empty {
		return lockqueue.Entry{}, false, nil
	}
	return one(v.read(v.entry, v.key, id[:]))
}

// First implements [lockqueue.View].
func (v *view) First() (lockqueue.Entry, error) { return must(v.read(v.first, v.key)) }

// NextDue implements [lockqueue.View].
func (v *view) NextDue() (lockqueue.Entry, error) {
	if v.sole != nil {
		return *v.sole, nil
	}
	return must(v.read(v.due, v.key))
}

// must is for an entry that the key's record says is there.
func must(e lockqueue.Entry, err error) (lockqueue.Entry, error) {
	e, found, err := one(e, err)
	if err == nil && !found {
		err = errDamaged
	}
	return e, err
}

// read reads a row of the table entries.
func (v *view) read(stmt *sql.Stmt, args ...any) (lockqueue.Entry, error) {
	e, err := scanEntry(stmt.QueryRowContext(whole, args...).Scan)
	if err == nil {
		v.know(&e)
	}
	return e, err
}

func (v *view) know(e *lockqueue.Entry) {
	if v.waits == nil {
		v.waits = make(map[driver.LeaseID]bool, 2)
	}
	v.waits[e.ID] = e.Phase == lockqueue.Waiting
	v.empty = false
}

// Holders implements [lockqueue.View].
func (v *view) Holders(limit int) ([]lockqueue.Entry, error) {
	if v.sole != nil {
		return []lockqueue.Entry{*v.sole}, nil
	}
	rows, err := v.holders.QueryContext(whole, v.key, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // Err says what went wrong.
	var entries []lockqueue.Entry
	for rows.Next() {
		e, err := scanEntry(rows.Scan)
		if err != nil {
			return nil, err
		}
		v.know(&e)
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// Put implements [lockqueue.View].
func (v *view) Put(e lockqueue.Entry) error {
	waited, inTable := v.waits[e.ID]
	switch {
	case v.sole != nil && v.sole.ID == e.ID:
		v.sole, v.dirty = &e, true
		return nil
	case e.Phase == lockqueue.Waiting || inTable && !waited:
		return v.putRow(&e, inTable, false)
	case v.isCrowd(&e, inTable):
		return v.putRow(&e, inTable, waited)
	}
	v.sole, v.dirty = &e, true
	if !inTable {
		return nil
	}
	delete(v.waits, e.ID)
	return changeOne(v.remove.ExecContext(whole, v.key, 1, int64(e.Seq)))
}

// isCrowd reports whether a new holder may be one of many.
func (v *view) isCrowd(e *lockqueue.Entry, known bool) bool {
	permits := v.record.Limit
	if !known && e.ID == v.asked {
		permits = v.permits
	}
	return e.Mode == driver.Shared || permits > 1
}

// putRow writes a row of the table entries: a new one, one that stays in its
// place, or one that moves from the waiters to the holders.
func (v *view) putRow(e *lockqueue.Entry, stored, moves bool) error {
	metadata, err := encodeMetadata(e.Metadata)
	if err != nil {
		return err
	}
	args := make([]any, 0, 17)
	args = append(args, int64(e.Phase), int64(e.Mode), int64(e.TTL), int64(e.MinHold), e.Tokens, int64(e.Since), int64(e.SinceWall),
		int64(e.Expires), int64(e.Until()), e.Owner, metadata, e.Addr)
	waits, place := placeOf(e)
	stmt := v.update
	switch {
	case !stored:
		stmt = v.insert
		args = append(args, int64(e.Seq), e.ID[:], v.key, waits, place)
	case moves:
		stmt = v.move
		args = append(args, place, v.key, int64(e.Seq))
	default:
		args = append(args, v.key, waits, place)
	}
	v.know(e)
	return changeOne(stmt.ExecContext(whole, args...))
}

// Remove implements [lockqueue.View].
func (v *view) Remove(e lockqueue.Entry) error {
	if v.sole != nil && v.sole.ID == e.ID {
		v.sole, v.dirty = nil, true
		return nil
	}
	delete(v.waits, e.ID)
	waits, place := placeOf(&e)
	return changeOne(v.remove.ExecContext(whole, v.key, waits, place))
}

// Reachable implements [lockqueue.View].
func (v *view) Reachable(waiter lockqueue.Entry) bool { return v.reachable(&waiter) }

// changeOne fails unless a statement has changed one row, as every statement
// of a view does in a file that is sound.
func changeOne(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("change %d rows: %w", n, errDamaged)
	}
	return err
}
