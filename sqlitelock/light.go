package sqlitelock

import (
	"fmt"

	"github.com/stilelock/stile/driver/lockqueue"
)

// Waiters are heard of every few seconds, and crowds of them would keep the
// disk busy with nothing but that: a commit that waits for the disk holds up
// all who want to write, holders who must renew among them. But a place in line
// is worth nothing after a power failure, since a reboot ends all that waited.
// So a refresh is light: its commit does not wait for the disk. It is whole and
// everybody sees it, as any commit; the next one that waits for the disk takes
// it along. Whatever grants is never light.

// beginSynced begins a transaction, with or without a sync at its end. SQLite
// changes that between transactions only.
func (db *database) beginSynced(synced bool) error {
	if synced != db.synced {
		text := "PRAGMA synchronous=NORMAL" // With a write-ahead log: no sync at a commit.
		if synced {
			text = "PRAGMA synchronous=FULL"
		}
		if _, err := db.conn.ExecContext(whole, text); err != nil {
			return fmt.Errorf("set sync: %w", err)
		}
		db.synced = synced
	}
	_, err := db.begin.ExecContext(whole)
	return err
}

// isLight reports whether a batch may do without a sync. A sweep may not.
func (d *Driver) isLight(batch []*command) bool {
	return allLight(batch) && !d.sweepComes(len(batch))
}

func allLight(batch []*command) bool {
	for _, c := range batch {
		if !c.light {
			return false
		}
	}
	return true
}

// uneventful reports whether all that a batch has done is to keep places in
// line.
func uneventful(batch []*command) bool {
	for _, c := range batch {
		if c.result.Status != lockqueue.Queued || len(c.result.Woken) > 0 {
			return false
		}
	}
	return true
}

// executeSynced runs a batch anew, in a transaction that is synced, because a
// refresh has turned out to be more than that.
func (d *Driver) executeSynced(db *database, batch []*command) error {
	if _, err := db.rollback.ExecContext(whole); err != nil {
		return err
	}
	err := whileBusy(whole, d.options.BusyTimeout, func() error { return db.beginSynced(true) })
	if err != nil {
		return err
	}
	return d.executeAll(db, batch)
}
