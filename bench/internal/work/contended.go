package work

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Contended is what a fight for one key gave.
type Contended struct {
	Counts   []int           // how often each client was granted
	Waits    []time.Duration // of each grant
	Longest  time.Duration   // the longest wait, with those that had not ended yet
	Changes  int             // grants to another client than the one that had held last
	Overlaps int             // how often a client was granted while another held
	Took     time.Duration
}

// Grants is the sum of Counts.
func (c *Contended) Grants() int { return len(c.Waits) }

// A fight is one run of RunContended.
type fight struct {
	key         string
	hold, think time.Duration
	start       time.Time
	d           time.Duration
	inside      atomic.Int32
	overlaps    atomic.Int32
	last        atomic.Pointer[fighter] // who held last
	changes     atomic.Int64
}

// A fighter is what one client of a fight did.
type fighter struct {
	client     Client
	waits      []time.Duration
	unfinished time.Duration // how long it had been waiting at the end
	err        error
}

// RunContended has all clients want the same key for d: each acquires it, keeps
// it for hold, releases it, and comes back after think.
func RunContended(ctx context.Context, clients []Client, key string, hold, think, d time.Duration, w Window) (Contended, error) {
	fighters := make([]*fighter, len(clients))
	for i, c := range clients {
		// So that connections stand and scripts are loaded.
		if err := pair(ctx, c, fmt.Sprintf("%s/warm/%d", key, i)); err != nil {
			return Contended{}, err
		}
		fighters[i] = &fighter{client: c}
	}
	settle()
	if err := w.Begin(ctx); err != nil {
		return Contended{}, err
	}
	line, stop := context.WithCancel(ctx)
	defer stop()
	f := &fight{key: key, hold: hold, think: think, start: time.Now(), d: d}
	var group sync.WaitGroup
	for _, who := range fighters {
		group.Go(func() { f.run(ctx, line, who) })
	}
	pause(ctx, d)
	err := w.End(ctx)
	stop()
	group.Wait()
	c := Contended{Took: d, Changes: int(f.changes.Load()), Overlaps: int(f.overlaps.Load())}
	for _, who := range fighters {
		if err == nil {
			err = who.err
		}
		c.Counts = append(c.Counts, len(who.waits))
		c.Waits = append(c.Waits, who.waits...)
		c.Longest = max(c.Longest, who.unfinished)
	}
	for _, wait := range c.Waits {
		c.Longest = max(c.Longest, wait)
	}
	return c, err
}

// run fights until line ends. A grant that comes after the time is over does
// not count.
func (f *fight) run(ctx, line context.Context, who *fighter) {
	for line.Err() == nil {
		called := time.Now()
		hold, err := who.client.Acquire(line, f.key)
		granted := time.Now()
		over := granted.Sub(f.start) > f.d
		if over || line.Err() != nil {
			who.unfinished = max(f.start.Add(f.d).Sub(called), 0)
		} else if err == nil {
			who.waits = append(who.waits, granted.Sub(called))
			if last := f.last.Swap(who); last != nil && last != who {
				f.changes.Add(1)
			}
		}
		if err != nil {
			// What a library says when its caller's context has ended is its own affair.
			if line.Err() == nil {
				who.err = fmt.Errorf("acquire contended key: %w", err)
			}
			return
		}
		// The end of the context may end a hold as well, so nothing counts after it.
		if f.inside.Add(1) != 1 && line.Err() == nil {
			f.overlaps.Add(1)
		}
		pause(line, f.hold)
		f.inside.Add(-1)
		if err := hold.Release(ctx); err != nil && line.Err() == nil {
			who.err = fmt.Errorf("release contended key: %w", err)
			return
		}
		pause(line, f.think)
	}
}
