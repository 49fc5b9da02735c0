package sqlitelock

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

const (
	// keyColumns are what scanKey reads, in this order.
	keyColumns = "permits, mode, held, waiting, last_token, last_seq, used, holder"
	keyCells   = 8
	// entryColumns are what scanEntry reads.
	entryColumns = "id, phase, mode, seq, iif(waits, 0, place), ttl, min_hold, tokens, " +
		"since, since_wall, expires, owner, metadata, addr"
	entryCells = 14
)

// cells are the values of a row as SQLite has them. To scan into anything else
// takes a detour through text for every number.
type cells []any

// scanCells reads n values.
func scanCells(scan func(...any) error, n int) (cells, error) {
	c, to := make(cells, n), make([]any, n)
	for i := range c {
		to[i] = &c[i]
	}
	return c, scan(to...)
}

// number returns a value that must be one; bad notes that it is not.
func (c cells) number(i int, bad *bool) int64 {
	n, ok := c[i].(int64)
	*bad = *bad || !ok
	return n
}

// text is like number.
func (c cells) text(i int, bad *bool) string {
	s, ok := c[i].(string)
	*bad = *bad || !ok
	return s
}

// A keyRow is a row of the table keys.
type keyRow struct {
	lockqueue.Key
	// sole is the holder that is kept in the row, or nil.
	sole *lockqueue.Entry
}

// scanKey reads the row of a key.
func scanKey(scan func(...any) error) (keyRow, error) {
	c, err := scanCells(scan, keyCells)
	if err != nil {
		return keyRow{}, err
	}
	var bad bool
	k := keyRow{Key: lockqueue.Key{
		Limit:     int(c.number(0, &bad)),
		Mode:      driver.Mode(c.number(1, &bad)),
		Held:      int(c.number(2, &bad)),
		Waiting:   int(c.number(3, &bad)),
		LastToken: uint64(c.number(4, &bad)),
		LastSeq:   uint64(c.number(5, &bad)),
		Used:      lockqueue.Micros(c.number(6, &bad)),
	}}
	if packed, _ := c[7].([]byte); packed != nil {
		e, err := unpackEntry(packed)
		if err != nil {
			return keyRow{}, err
		}
		k.sole, bad = &e, bad || k.Held != 1 || e.Phase == lockqueue.Waiting
	}
	if bad || k.Limit < 0 || k.Mode > driver.Shared || k.Held < 0 || k.Waiting < 0 || int64(k.LastToken) < 0 || int64(k.LastSeq) < 0 {
		return keyRow{}, fmt.Errorf("read key: %w", errDamaged)
	}
	return k, nil
}

// scanEntry reads a row of the table entries.
func scanEntry(scan func(...any) error) (lockqueue.Entry, error) {
	c, err := scanCells(scan, entryCells)
	if err != nil {
		return lockqueue.Entry{}, err
	}
	var bad bool
	id, _ := c[0].([]byte)
	e := lockqueue.Entry{
		Phase:     lockqueue.Phase(c.number(1, &bad)),
		Mode:      driver.Mode(c.number(2, &bad)),
		Seq:       uint64(c.number(3, &bad)),
		Token:     uint64(c.number(4, &bad)),
		TTL:       lockqueue.Micros(c.number(5, &bad)),
		MinHold:   lockqueue.Micros(c.number(6, &bad)),
		Tokens:    int(c.number(7, &bad)),
		Since:     lockqueue.Micros(c.number(8, &bad)),
		SinceWall: lockqueue.Micros(c.number(9, &bad)),
		Expires:   lockqueue.Micros(c.number(10, &bad)),
		Owner:     c.text(11, &bad),
		Addr:      c.text(13, &bad),
	}
	metadata := c.text(12, &bad)
	if bad || copy(e.ID[:], id) != len(id) || len(id) != len(e.ID) {
		return lockqueue.Entry{}, fmt.Errorf("read entry: %w", errDamaged)
	}
	return checkedEntry(e, metadata)
}

// checkedEntry refuses what this package never writes.
func checkedEntry(e lockqueue.Entry, metadata string) (lockqueue.Entry, error) {
	if e.Phase > lockqueue.Broken || e.Mode > driver.Shared || e.Tokens < 1 {
		return lockqueue.Entry{}, fmt.Errorf("read entry: %w", errDamaged)
	}
	if metadata != "" {
		if err := json.Unmarshal([]byte(metadata), &e.Metadata); err != nil {
			return lockqueue.Entry{}, fmt.Errorf("read metadata: %w: %w", errDamaged, err)
		}
	}
	return e, nil
}

// one tells that there is no row from an error.
func one[T any](row T, err error) (_ T, found bool, _ error) {
	if errors.Is(err, sql.ErrNoRows) {
		return row, false, nil
	}
	return row, err == nil, err
}

// placeOf returns where an entry stands in its key's range of the table.
func placeOf(e *lockqueue.Entry) (waits int, place int64) {
	if e.Phase == lockqueue.Waiting {
		return 1, int64(e.Seq)
	}
	return 0, int64(e.Token)
}

// encodeMetadata returns what the column metadata holds: JSON, or nothing.
func encodeMetadata(metadata map[string]string) (string, error) {
	if len(metadata) == 0 {
		return "", nil
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		return "", fmt.Errorf("write metadata: %w", err)
	}
	return string(text), nil
}
