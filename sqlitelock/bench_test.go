package sqlitelock

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

// benchRounds is how often the two sides of a comparison take turns, so that
// what else the machine does falls on both.
const benchRounds = 20

// BenchmarkPairs compares uncontended acquires and releases with a bare SQLite
// transaction loop (BEGIN IMMEDIATE, one upsert, COMMIT) through the same
// library with the same settings on the same file. It fails below a fifth; where
// a sync is free, as on tmpfs, the ratio is just about that.
//
//	go test ./sqlitelock -run '^$' -bench Pairs -benchtime 5000x
func BenchmarkPairs(b *testing.B) {
	path := filepath.Join(b.TempDir(), "locks.db")
	d := openAt(b, path, nil)
	bare := openBare(b, path)
	ctx := context.Background()
	pairs := func(n int) {
		req := request("orders/42")
		for range n {
			req.ID = driver.NewLeaseID()
			grant, err := d.Acquire(ctx, req)
			if err != nil {
				b.Fatal(err)
			}
			if err := d.Release(ctx, driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token}); err != nil {
				b.Fatal(err)
			}
		}
	}
	pairs(10)
	bare.loop(b, 10)
	b.ResetTimer()
	var pairRates, bareRates, ratios []float64
	for range benchRounds {
		n := max(b.N/benchRounds, 1)
		pairRate := rate(n, func() { pairs(n) })
		bareRate := rate(n, func() { bare.loop(b, n) })
		pairRates, bareRates = append(pairRates, pairRate), append(bareRates, bareRate)
		ratios = append(ratios, pairRate/bareRate)
	}
	b.StopTimer()
	slices.Sort(pairRates)
	slices.Sort(bareRates)
	slices.Sort(ratios)
	b.ReportMetric(median(pairRates), "pairs/s")
	b.ReportMetric(median(bareRates), "bare-txn/s")
	b.ReportMetric(median(ratios), "ratio")
	if b.N < 100*benchRounds {
		return // Too few to judge by.
	}
	b.Logf("pairs/s %.0f (%.0f to %.0f), bare transactions/s %.0f (%.0f to %.0f), ratio %.2f (%.2f to %.2f), %d rounds",
		median(pairRates), pairRates[0], pairRates[benchRounds-1],
		median(bareRates), bareRates[0], bareRates[benchRounds-1],
		median(ratios), ratios[0], ratios[benchRounds-1], benchRounds)
	if got := median(ratios); got < 0.2 {
		b.Errorf("an acquire and a release together run at %.2f of the rate of a bare transaction, want 0.2 at least", got)
	}
}

// BenchmarkContended has n goroutines of one process take turns at one key, or
// work side by side on a key each, where they share commits.
func BenchmarkContended(b *testing.B) {
	for _, c := range []struct {
		name string
		key  func(i int) string
	}{
		{"one_key", func(int) string { return "k" }},
		{"own_keys", func(i int) string { return fmt.Sprintf("k/%d", i) }},
	} {
		for _, n := range []int{4, 32} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				d := openAt(b, filepath.Join(b.TempDir(), "locks.db"), nil)
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() {
						for range b.N/n + 1 {
							req := request(c.key(i))
							grant, err := d.Acquire(context.Background(), req)
							if err != nil {
								b.Error(err)
								return
							}
							if err := d.Release(context.Background(), driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
			})
		}
	}
}

// BenchmarkLine runs a command on a key with a long line: its cost must not
// grow with the line.
func BenchmarkLine(b *testing.B) {
	for _, waiters := range []int{10, 10_000} {
		b.Run(fmt.Sprint(waiters), func(b *testing.B) {
			d := openAt(b, filepath.Join(b.TempDir(), "locks.db"), nil)
			holder := request("k")
			holder.ID, holder.TTL = driver.NewLeaseID(), time.Hour
			grant, err := d.Acquire(context.Background(), holder)
			if err != nil {
				b.Fatal(err)
			}
			standInLine(b, d, "k", waiters)
			hold := driver.Hold{Key: "k", ID: holder.ID, Token: grant.Token}
			for b.Loop() {
				if err := d.Renew(context.Background(), hold, time.Hour); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func rate(n int, f func()) float64 {
	start := time.Now()
	f()
	return float64(n) / time.Since(start).Seconds()
}

func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

// bareLoop is what a transaction costs without any lock in it.
type bareLoop struct{ begin, upsert, commit *sql.Stmt }

func openBare(b *testing.B, path string) *bareLoop {
	b.Helper()
	db, err := sql.Open("sqlite", dataSource(path, false))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	for _, text := range []string{pragmas, "CREATE TABLE bare (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID"} {
		if _, err := db.Exec(text); err != nil {
			b.Fatal(err)
		}
	}
	l := &bareLoop{}
	_, err = prepareAll(db.PrepareContext, map[**sql.Stmt]string{
		&l.begin:  "BEGIN IMMEDIATE",
		&l.upsert: "INSERT INTO bare (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		&l.commit: "COMMIT",
	})
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func (l *bareLoop) loop(b *testing.B, n int) {
	b.Helper()
	for i := range n {
		for _, step := range []func() (sql.Result, error){
			func() (sql.Result, error) { return l.begin.Exec() },
			func() (sql.Result, error) { return l.upsert.Exec("orders/42", i) },
			func() (sql.Result, error) { return l.commit.Exec() },
		} {
			if _, err := step(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
