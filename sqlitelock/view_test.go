package sqlitelock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// TestViewIsLikeMemory runs random commands over the rows of a file and over
// lockqueue.Memory. The results must be the same, and so must be what they
// leave behind.
func TestViewIsLikeMemory(t *testing.T) {
	for range 40 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed_%d", seed), func(t *testing.T) {
			t.Parallel()
			compareViews(t, rand.New(rand.NewPCG(seed, 0)), 150)
		})
	}
}

// FuzzViewIsLikeMemory is the same for seeds that the fuzzer chooses.
func FuzzViewIsLikeMemory(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		compareViews(t, rand.New(rand.NewPCG(seed, 0)), 60)
	})
}

// A twin is one key in both views, and who has asked for it.
type twin struct {
	key    string
	memory *lockqueue.Memory
	ids    []driver.LeaseID
}

func compareViews(t *testing.T, r *rand.Rand, commands int) {
	clock := newHandClock("boot")
	path := filepath.Join(t.TempDir(), "locks.db")
	options := &Options{clock: clock}
	d := openAt(t, path, options)
	dead := make(map[driver.LeaseID]bool)
	twins := []*twin{{key: "a"}, {key: "a/b"}, {key: "ä"}}
	for _, tw := range twins {
		tw.memory = lockqueue.NewMemory()
		tw.memory.CanReach = func(waiter lockqueue.Entry) bool { return !dead[waiter.ID] }
	}
	for n := range commands {
		if r.IntN(4) == 0 {
			clock.advance(time.Duration(r.IntN(40)) * time.Millisecond)
		}
		if r.IntN(50) == 0 { // What is in the file is all there is.
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = openAt(t, path, options)
		}
		tw := twins[r.IntN(len(twins))]
		if len(tw.ids) > 0 && r.IntN(8) == 0 {
			dead[tw.ids[r.IntN(len(tw.ids))]] = true
		}
		what, step, asked, permits := randomStep(r, tw)
		c := &command{key: tw.key, asked: asked, permits: permits, step: func(v *view, now lockqueue.Now) (lockqueue.Result, error) {
			v.reachable = func(waiter *lockqueue.Entry) bool { return !dead[waiter.ID] }
			return step(v, now)
		}}
		if _, err := d.do(context.Background(), c); err != nil {
			t.Fatalf("command %d, %s: %v", n, what, err)
		}
		want, err := step(tw.memory, c.now)
		if err != nil {
			t.Fatalf("command %d, %s: in memory: %v", n, what, err)
		}
		if !reflect.DeepEqual(normal(c.result), normal(want)) {
			t.Fatalf("command %d, %s on %q:\n file   %+v\n memory %+v", n, what, tw.key, c.result, want)
		}
		compareTwin(t, d, tw)
	}
}

// randomStep makes a command that both views can run.
func randomStep(r *rand.Rand, tw *twin) (what string, step func(lockqueue.View, lockqueue.Now) (lockqueue.Result, error), asked driver.LeaseID, permits int) {
	id := driver.LeaseID{}
	if len(tw.ids) > 0 {
		id = tw.ids[r.IntN(len(tw.ids))]
	}
	switch r.IntN(10) {
	case 0, 1, 2, 3:
		if len(tw.ids) == 0 || r.IntN(5) > 0 {
			for i := range id {
				id[i] = byte(r.Uint32())
			}
			tw.ids = append(tw.ids, id)
		}
		a := lockqueue.Attempt{
			ID: id, Mode: driver.Mode(r.IntN(2)), Limit: 1, TTL: randomSpan(r), MinHold: randomSpan(r) * lockqueue.Micros(r.IntN(2)),
			Tokens: 1 + r.IntN(3), Owner: "ö'\"" + strings.Repeat("x", r.IntN(5)), NoWait: r.IntN(4) == 0,
			WaiterTTL: randomSpan(r), Addr: []string{"", "0123"}[r.IntN(2)],
		}
		if a.Mode == driver.Exclusive {
			a.Limit = []int{1, 1, 3}[r.IntN(3)]
		}
		if r.IntN(3) == 0 {
			a.Metadata = map[string]string{"job": "nightly", "ü": "\n\""}
		}
		return fmt.Sprintf("acquire %+v", a), func(v lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
			return lockqueue.Acquire(v, now, &a)
		}, id, a.Limit
	case 4, 5:
		ttl := randomSpan(r)
		return fmt.Sprintf("renew %v for %d", id, ttl), func(v lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
			return lockqueue.Renew(v, now, id, 0, ttl)
		}, driver.LeaseID{}, 0
	case 6, 7:
		return fmt.Sprintf("release %v", id), func(v lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
			return lockqueue.Release(v, now, id)
		}, driver.LeaseID{}, 0
	case 8:
		how := driver.BreakHow(r.IntN(2))
		return fmt.Sprintf("break %v (%d)", id, how), func(v lockqueue.View, now lockqueue.Now) (lockqueue.Result, error) {
			return lockqueue.Break(v, now, id, how)
		}, driver.LeaseID{}, 0
	default:
		return "settle", lockqueue.Settle, driver.LeaseID{}, 0
	}
}

func randomSpan(r *rand.Rand) lockqueue.Micros {
	return lockqueue.FromDuration(time.Duration(1+r.IntN(80)) * time.Millisecond)
}

// normal makes equal results deeply equal.
func normal(r lockqueue.Result) lockqueue.Result {
	if len(r.Woken) == 0 {
		r.Woken = nil
	}
	if len(r.Holders) == 0 {
		r.Holders = nil
	}
	return r
}

// compareTwin compares all that is known of a key.
func compareTwin(t *testing.T, d *Driver, tw *twin) {
	t.Helper()
	v := &view{statements: &d.db.statements, key: tw.key}
	key, err := v.Key()
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := tw.memory.Key(); key != want {
		t.Fatalf("key %q:\n file   %+v\n memory %+v", tw.key, key, want)
	}
	holders, err := v.Holders(1000)
	if err != nil {
		t.Fatal(err)
	}
	wantHolders, _ := tw.memory.Holders(1000)
	if len(holders)+len(wantHolders) > 0 && !reflect.DeepEqual(holders, wantHolders) {
		t.Fatalf("holders of %q:\n file   %+v\n memory %+v", tw.key, holders, wantHolders)
	}
	waiting := rowsOf(t, d, tw.key)
	if v.sole == nil {
		waiting = waiting[len(holders):]
	}
	if want := tw.memory.Line(); !slices.EqualFunc(waiting, want, func(a, b lockqueue.Entry) bool { return reflect.DeepEqual(a, b) }) {
		t.Fatalf("line of %q:\n file   %+v\n memory %+v", tw.key, waiting, want)
	}
}

// rowsOf reads the rows of a key in the table entries, holders first.
func rowsOf(t *testing.T, d *Driver, key string) (entries []lockqueue.Entry) {
	t.Helper()
	rows, err := d.db.conn.QueryContext(context.Background(), "SELECT "+entryColumns+" FROM entries WHERE key = ? ORDER BY waits, place", key)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(rows.Scan)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return entries
}

// TestQueryPlans makes sure that no statement of a command reads more rows
// than it returns.
func TestQueryPlans(t *testing.T) {
	d := newStore(t, nil)
	for name, query := range map[string]string{
		"readKey": "SELECT " + keyColumns + " FROM keys WHERE key = 'k'",
		"entry":   "SELECT " + entryColumns + " FROM entries WHERE key = 'k' AND id = x'00'",
		"first":   "SELECT " + entryColumns + " FROM entries WHERE key = 'k' AND waits = 1 ORDER BY place LIMIT 1",
		"holders": "SELECT " + entryColumns + " FROM entries WHERE key = 'k' AND waits = 0 ORDER BY place LIMIT 8",
		"glance":  strings.NewReplacer("?1", "'k'", "?2", "x'00'").Replace(glanceQuery),
		"due":     "SELECT " + entryColumns + " FROM entries INDEXED BY entries_due WHERE key = 'k' AND waits = 0 ORDER BY gives_way LIMIT 1",
	} {
		rows, err := d.db.conn.QueryContext(context.Background(), "EXPLAIN QUERY PLAN "+query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			frame := name == "glance" && (strings.HasPrefix(detail, "SCALAR SUBQUERY") || detail == "MATERIALIZE first" ||
				detail == "CO-ROUTINE first" || strings.HasPrefix(detail, "SCAN first"))
			if !frame && !strings.HasPrefix(detail, "SEARCH") {
				t.Errorf("%s: %s", name, detail)
			}
		}
		if err := rows.Err(); err != nil {
			t.Error(err)
		}
		rows.Close()
	}
}

func TestPack(t *testing.T) {
	e := lockqueue.Entry{
		ID: driver.NewLeaseID(), Phase: lockqueue.Broken, Mode: driver.Exclusive, Seq: 7, TTL: 15_000_000, MinHold: 1,
		Tokens: driver.MaxTokens, Token: 1 << 52, Since: 123, SinceWall: 1 << 51, Expires: 456, Owner: "host:1 ü",
		Metadata: map[string]string{"a": "b"}, Addr: "0123456789abcdef01234567",
	}
	packed, err := packEntry(&e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpackEntry(packed)
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Fatalf("unpack: %+v, %v, want %+v", got, err, e)
	}
	for n := range packed {
		if _, err := unpackEntry(packed[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are taken for an entry", n, len(packed))
		}
	}
	if _, err := unpackEntry(append(packed, 0)); err == nil {
		t.Error("a byte too many is not noticed")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{packVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := unpackEntry(b)
		if err != nil {
			return
		}
		if _, err := packEntry(&e); err != nil {
			t.Errorf("pack what was unpacked: %v", err)
		}
	})
}
