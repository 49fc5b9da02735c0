package sqlitelock

import (
	"fmt"
	"slices"
	"time"

	"github.com/stilelock/stile/driver/lockqueue"
)

// maxBatch is how many commands share a transaction at most.
const maxBatch = 256

// write is the writing goroutine: it runs the commands of this process, as
// many in one transaction as have arrived, until Close.
func (d *Driver) write() {
	defer d.running.Done()
	for {
		select {
		case first := <-d.queue:
			batch := d.commit([]*command{first})
			d.tell(batch)
			for _, c := range batch {
				close(c.done)
			}
			if d.sweeper.strays {
				d.sweeper.strays = false
				d.post.sweep()
			}
		case <-d.stop:
			return // No call is under way, so the queue is empty.
		}
	}
}

// commit runs a batch in one transaction, together with what arrives until it
// is its turn. It returns the commands that have an outcome now.
func (d *Driver) commit(batch []*command) []*command {
	if err := d.gate.enter(d.options.BusyTimeout); err != nil {
		return fail(d.collect(batch), unavailable(d.path, err))
	}
	defer d.gate.leave()
	clear(d.refused)
	db, batch, err := d.begin(batch)
	if err != nil {
		return fail(batch, err)
	}
	batch = startAll(batch)
	if len(batch) == 0 { // Nobody waits for it any more.
		if db != nil {
			_, _ = db.rollback.ExecContext(whole)
		}
		return nil
	}
	swept, err := d.executeAndSweep(db, batch)
	if err == nil {
		err = d.finish(db)
	}
	if err != nil {
		return fail(batch, err)
	}
	return append(batch, swept...)
}

func fail(batch []*command, err error) []*command {
	for _, c := range batch {
		c.result, c.err = lockqueue.Result{}, err
	}
	return batch
}

// executeAndSweep runs the commands of a batch, and a sweep if one is due. It
// returns the commands of the sweep.
func (d *Driver) executeAndSweep(db *database, batch []*command) (swept []*command, err error) {
	err = d.executeAll(db, batch)
	if err == nil && !db.synced && !uneventful(batch) {
		err = d.executeSynced(db, batch)
	}
	if err == nil && db.synced && d.sweepIsDue(len(batch)) {
		if swept, err = d.sweep(db); err != nil {
			// What is wrong with some other key is not these commands' fault:
			// they run again, without the sweep.
			swept = nil
			_, _ = db.rollback.ExecContext(whole) // It fails if SQLite has rolled back by itself.
			if _, err = db.begin.ExecContext(whole); err == nil {
				err = d.executeAll(db, batch)
			}
		}
	}
	if err != nil {
		d.rollBack(db, err)
		return nil, unavailable(d.path, err)
	}
	return swept, nil
}

func (d *Driver) executeAll(db *database, batch []*command) error {
	for _, c := range batch {
		if err := d.execute(db, c); err != nil {
			return err
		}
	}
	return nil
}

// rollBack ends a transaction after an error.
func (d *Driver) rollBack(db *database, err error) {
	_, _ = db.rollback.ExecContext(whole) // It fails if SQLite has rolled back by itself.
	d.discard(err)
}

// begin begins a transaction for a batch, which grows by what arrives in the
// meantime and shrinks by what is abandoned. Without a batch there is no
// database.
func (d *Driver) begin(batch []*command) (*database, []*command, error) {
	var t *turn
	for {
		db, err := d.database()
		if err != nil {
			return nil, batch, err
		}
		err = db.beginSynced(!d.isLight(batch))
		batch = d.collect(batch)
		if err == nil && (db.synced || allLight(batch)) {
			return db, batch, nil
		}
		if err == nil { // What has arrived is to be on disk.
			_, err = db.rollback.ExecContext(whole)
			if err == nil {
				continue
			}
		}
		if !isBusy(err) {
			d.discard(err)
			return nil, batch, unavailable(d.path, fmt.Errorf("begin: %w", err))
		}
		if len(batch) == 0 {
			return nil, nil, nil
		}
		if batch = d.giveUp(batch); len(batch) == 0 {
			return nil, nil, nil
		}
		if t == nil {
			t = newTurn(d.options.BusyTimeout)
		}
		<-time.After(t.next())
	}
}

// giveUp fails those of a batch that have waited for too long. Each has its
// own time, whenever the others came.
func (d *Driver) giveUp(batch []*command) []*command {
	limit := d.options.BusyTimeout
	return slices.DeleteFunc(batch, func(c *command) bool {
		if time.Since(c.since) < limit {
			return false
		}
		c.err = unavailable(d.path, fmt.Errorf("wait %v for its turn: %w", limit, errBusy))
		close(c.done)
		return true
	})
}

// collect leaves out of a batch what was abandoned and adds what has arrived.
func (d *Driver) collect(batch []*command) []*command {
	batch = slices.DeleteFunc(batch, func(c *command) bool { return c.state.Load() == abandoned })
	for len(batch) < maxBatch {
		select {
		case c := <-d.queue:
			batch = append(batch, c)
		default:
			return batch
		}
	}
	return batch
}

// startAll leaves out of a batch what was abandoned. From here on no command
// in it can be.
func startAll(batch []*command) []*command {
	return slices.DeleteFunc(batch, func(c *command) bool { return !c.state.CompareAndSwap(pending, started) })
}

// execute runs one command within the transaction. Its error is the store's:
// what a command refuses is in its result and hurts nobody else.
func (d *Driver) execute(db *database, c *command) (err error) {
	v := &view{statements: &db.statements, key: c.key, asked: c.asked, permits: c.permits, reachable: d.reachable}
	c.now = d.options.clock.now()
	if c.result, err = c.step(v, c.now); err != nil {
		return err
	}
	return v.flush()
}

// finish commits. An error is an ErrAmbiguous if the disk failed: the
// transaction may be found whole after a crash.
func (d *Driver) finish(db *database) error {
	err := whileBusy(whole, d.options.BusyTimeout, func() error {
		_, err := db.commit.ExecContext(whole)
		return err
	})
	if err == nil {
		if !db.synced {
			d.lights.Add(1)
		}
		return nil
	}
	d.rollBack(db, err)
	if connectionIsGood(err) {
		return unavailable(d.path, fmt.Errorf("commit: %w", err))
	}
	return ambiguous(d.path, fmt.Errorf("commit: %w", err))
}

// tell tells those whom the commands of a batch concern, other than the
// senders, after the commit.
func (d *Driver) tell(batch []*command) {
	var mail outbox
	for _, c := range batch {
		if c.err != nil {
			continue
		}
		if c.result.Status == lockqueue.Granted { // Other calls may wait for the same attempt.
			d.listeners.granted(c.key, &c.result.Entry)
		}
		for i := range c.result.Woken {
			granted := &c.result.Woken[i]
			if !d.listeners.granted(c.key, granted) {
				mail.add(addressee{granted.Addr, lookAgain}, granted.ID)
			}
		}
		if c.ends && !c.result.Entry.ID.IsZero() {
			d.tellEnded(c, &mail)
		}
	}
	for to, ids := range mail {
		d.post.send(to, ids)
	}
}

// tellEnded tells the one whose lease or wait a Release or Break has ended. A
// lease that its own process released has nobody who does not know.
func (d *Driver) tellEnded(c *command, mail *outbox) {
	ended := &c.result.Entry
	waited := ended.Phase == lockqueue.Waiting
	switch {
	case waited && d.listeners.withdrawn(ended.ID), c.breaks && d.listeners.nudge(ended.ID):
		return
	case ended.Addr == d.post.current():
		return
	case waited:
		mail.add(addressee{ended.Addr, withdrawn}, ended.ID)
	default:
		mail.add(addressee{ended.Addr, lookAgain}, ended.ID)
	}
}

// reachable answers [lockqueue.View]: a waiter whose socket refuses is dead.
// One without an address looks by itself.
func (d *Driver) reachable(waiter *lockqueue.Entry) bool {
	if waiter.Addr == "" || waiter.Addr == d.post.current() {
		return true
	}
	// What has refused is gone then, and must not pass for alive when a command
	// runs a second time.
	if d.refused[waiter.Addr] || !d.post.alive(waiter.Addr) {
		d.refused[waiter.Addr] = true
		return false
	}
	return true
}

// database returns the open database, opened anew if the last error was of a
// kind that a connection does not survive, or if the file at its path is
// another one now. Only the writing goroutine calls it.
func (d *Driver) database() (*database, error) {
	if !d.suspect && d.db.inPlace() {
		return d.db, nil
	}
	db, err := openDatabase(whole, d.path, d.options.clock.boot(), d.options.BusyTimeout)
	if err != nil {
		return nil, err
	}
	d.dbMu.Lock()
	defer d.dbMu.Unlock()
	d.db.close()
	d.db, d.suspect = db, false
	return db, nil
}

// discard makes the next command open the database anew after an error that
// its connections may not survive.
func (d *Driver) discard(err error) {
	d.suspect = d.suspect || !connectionIsGood(err)
}
