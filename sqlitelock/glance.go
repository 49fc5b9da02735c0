package sqlitelock

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// A glance is what a waiter wants to know when something has changed. It is
// of one moment: crowds of waiters look at every change, so all of it comes
// from one statement, and from no more of the rows than it takes.
type glance struct {
	waits bool             // the attempt stands in line
	lease *lockqueue.Entry // what it was granted, or what is left of that; nil if there is nothing

	first  driver.LeaseID   // who is first in line
	due    lockqueue.Micros // when the key next changes by itself
	hasDue bool
}

// glanceQuery reads the holder that is kept in the key's row, whether the
// attempt waits, the first in line, and when the first of many holders gives
// way. It looks up no row that an index answers for.
const glanceQuery = `SELECT keys.holder,
	(SELECT waits FROM entries WHERE key = ?1 AND id = ?2),
	first.id, first.expires,
	CASE WHEN keys.holder IS NULL THEN
		(SELECT gives_way FROM entries INDEXED BY entries_due WHERE key = ?1 AND waits = 0 ORDER BY gives_way LIMIT 1) END
	FROM keys LEFT JOIN
		(SELECT id, expires FROM entries WHERE key = ?1 AND waits = 1 ORDER BY place LIMIT 1) AS first
	WHERE keys.key = ?1`

// glance looks at one attempt and its line.
func (d *Driver) glance(key string, id driver.LeaseID) (g glance, err error) {
	err = d.reading(whole, func(db *database) error {
		var crowd bool
		g, crowd, err = scanGlance(db.glance.QueryRowContext(whole, key, id[:]).Scan, id)
		if err != nil || !crowd {
			return err
		}
		// One of many holders is in a row of its own. It may have ended since.
		e, found, err := one(scanEntry(db.look.QueryRowContext(whole, key, id[:]).Scan))
		if found {
			g.waits = e.Phase == lockqueue.Waiting
			if !g.waits {
				g.lease = &e
			}
		}
		return err
	})
	return g, err
}

// scanGlance reads a row of glanceQuery. It reports whether the attempt is one
// of many holders.
func scanGlance(scan func(...any) error, id driver.LeaseID) (g glance, crowd bool, err error) {
	const columns = 5
	c, err := scanCells(scan, columns)
	if errors.Is(err, sql.ErrNoRows) { // Nobody asks for the key any more.
		return glance{}, false, nil
	}
	if err != nil {
		return glance{}, false, err
	}
	var bad bool
	until, held := lockqueue.Micros(0), false
	if packed, _ := c[0].([]byte); packed != nil {
		sole, err := unpackEntry(packed)
		if err != nil {
			return glance{}, false, err
		}
		until, held = sole.Until(), true
		if sole.ID == id {
			g.lease = &sole
		}
	} else if c[4] != nil {
		until, held = lockqueue.Micros(c.number(4, &bad)), true
	}
	if c[1] != nil && g.lease == nil {
		g.waits = c.number(1, &bad) == 1
		crowd = !g.waits
	}
	if c[2] != nil {
		first, _ := c[2].([]byte)
		bad = bad || copy(g.first[:], first) != len(first) || len(first) != len(g.first)
		g.due, g.hasDue = min(lockqueue.Micros(c.number(3, &bad)), until), held
	}
	if bad {
		return glance{}, false, fmt.Errorf("read line: %w", errDamaged)
	}
	return g, crowd, nil
}
