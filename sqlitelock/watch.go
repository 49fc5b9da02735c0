package sqlitelock

import (
	"database/sql"
	"time"

	"github.com/stilelock/stile/driver/lockqueue"
)

// watch begins to look at the file, for as long as somebody waits.
func (d *Driver) watch() {
	d.watchMu.Lock()
	defer d.watchMu.Unlock()
	d.waits++
	if d.waits == 1 {
		d.unwatch = make(chan struct{})
		d.watching.Add(1)
		go d.watchFile(d.unwatch)
	}
}

// watchNoMore ends one watch.
func (d *Driver) watchNoMore() {
	d.watchMu.Lock()
	defer d.watchMu.Unlock()
	d.waits--
	if d.waits == 0 {
		close(d.unwatch)
	}
}

// watchFile makes all waiters look when the file has changed, in case a
// message was lost, and when the machine has slept, since the timers of the
// waiters have slept too.
func (d *Driver) watchFile(stop chan struct{}) {
	defer d.watching.Done()
	timing := d.options.timing
	var seen fileVersion
	defer func() { seen.forget() }()
	last := d.options.clock.now().Lease
	timer := time.NewTimer(timing.look)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		pause := timing.look
		if d.post.current() == "" {
			pause = timing.blindLook
		}
		now := d.options.clock.now().Lease
		// A lone waiter's look costs what it costs to ask whether there is news.
		if d.listeners.lone() || d.changed(&seen) || now-last > lockqueue.FromDuration(3*timing.look) {
			d.listeners.wakeAll()
		}
		last = now
		timer.Reset(pause)
	}
}

// A fileVersion is SQLite's count of the changes that one connection has seen
// others make. It can be compared on that connection only.
type fileVersion struct {
	db     *database
	conn   *sql.Conn
	read   *sql.Stmt // on conn
	number int64
}

// forget closes the statement first, as with [statements.close].
func (v *fileVersion) forget() {
	if v.read != nil {
		_ = v.read.Close()
	}
	if v.conn != nil {
		_ = v.conn.Close()
	}
	*v = fileVersion{}
}

// changed reports whether the file may have changed since the last call.
func (d *Driver) changed(seen *fileVersion) bool {
	changed := true
	err := d.reading(whole, func(db *database) error {
		if seen.db != db {
			seen.forget()
			conn, err := db.reader.Conn(whole)
			if err != nil {
				return err
			}
			seen.db, seen.conn, seen.number = db, conn, -1
			if seen.read, err = conn.PrepareContext(whole, "PRAGMA data_version"); err != nil {
				return err
			}
		}
		var number int64
		if err := seen.read.QueryRowContext(whole).Scan(&number); err != nil {
			return err
		}
		changed = number != seen.number
		seen.number = number
		return nil
	})
	if err != nil {
		seen.forget()
		return false // The next refresh tells whether the file is well.
	}
	return changed
}
