package locktest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
)

var needProcesses = []driver.Capability{driver.CapProcesses}

// processCases are about real processes, which are killed and frozen.
func processCases() []testCase {
	return append([]testCase{
		{name: "processes_exclude_each_other", needs: needProcesses, run: processesExclude},
		{name: "processes_count_exactly_in_a_file", needs: needProcesses, run: processesCount},
		{name: "processes_stand_in_one_line", needs: needProcesses, run: processesInLine},
		{name: "lease_is_adopted_by_another_process", needs: []driver.Capability{driver.CapProcesses, driver.CapAdopt}, run: processAdopts},
		{name: "killed_holder_keeps_its_key_until_expiry", needs: needProcesses, run: holderKilled},
		{name: "killed_waiter_at_the_head_is_passed_over", needs: needProcesses, run: waiterKilled},
		{name: "killed_waiters_are_all_passed_over", needs: needProcesses, run: allWaitersKilled},
		{name: "ended_process_leaves_the_line", needs: needProcesses, run: processEnds},
	}, freezeCases()...)
}

func processesExclude(w *world) {
	one, two := w.spawn(), w.spawn()
	req := w.request("k")
	req.Owner = "process one"
	held := one.granted(one.acquire(req), 0)
	busy := w.wantBusy(w.client(), w.request("k"))
	if len(busy.Holders) != 1 || busy.Holders[0].ID != req.ID || busy.Holders[0].Owner != req.Owner || busy.Holders[0].Token != held.Token {
		w.Fatalf("the BusyError is %+v; want the holder %v, owner %q, token %d", busy, req.ID, req.Owner, held.Token)
	}
	try := w.request("k")
	_, err := two.ask(order{Op: "acquire", Key: "k", ID: try.ID, Limit: 1, TTL: try.TTL, NoWait: true})
	w.wantError("Acquire with NoWait in another process", err, driver.ErrBusy)
	next := w.request("k")
	waiting := two.stand(next)
	one.do(order{Op: "renew", Key: "k", ID: req.ID, Token: held.Token, TTL: w.long})
	one.do(order{Op: "release", Key: "k", ID: req.ID, Token: held.Token, TTL: w.long})
	passed := two.granted(waiting, 0)
	if passed.Token <= held.Token {
		w.Fatalf("token %d was granted after token %d", passed.Token, held.Token)
	}
	_, err = one.ask(order{Op: "renew", Key: "k", ID: req.ID, Token: held.Token, TTL: w.long})
	w.wantError("Renew after Release in another process", err, driver.ErrLost)
	w.wantBusy(w.client(), w.request("k"))
	two.do(order{Op: "release", Key: "k", ID: next.ID, Token: passed.Token, TTL: w.long})
	w.wantNothing("k")
}

func processesCount(w *world) {
	const processes, loops, times = 3, 4, 10
	file := filepath.Join(w.TempDir(), "counter")
	if err := os.WriteFile(file, []byte("0"), 0o600); err != nil {
		w.Fatal(err)
	}
	var all []*process
	for range processes {
		all = append(all, w.spawn())
	}
	counted := make(map[chan report]*process)
	for _, p := range all {
		for range loops {
			counted[p.send(order{Op: "count", Key: "k", Limit: 1, TTL: w.long, File: file, Times: times})] = p
		}
	}
	for reports, p := range counted {
		p.granted(reports, 10*w.slack)
	}
	const want = processes * loops * times
	if text, err := os.ReadFile(file); err != nil || string(text) != strconv.Itoa(want) {
		w.Fatalf("%d holders in %d processes counted to %s (%v)", want, processes, text, err)
	}
	text, err := os.ReadFile(file + ".tokens")
	if err != nil {
		w.Fatal(err)
	}
	var last uint64
	tokens := strings.Fields(string(text))
	for _, text := range tokens {
		token, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			w.Fatal(err)
		}
		w.wantRise(&last, token, 1)
	}
	if len(tokens) != want {
		w.Fatalf("%d holders wrote %d tokens", want, len(tokens))
	}
	w.wantNothing("k")
}

func processesInLine(w *world) {
	one, two := w.spawn(), w.spawn()
	held := w.acquire(w.client(), w.request("k"))
	type turn struct {
		p       *process
		req     driver.Request
		reports chan report
	}
	var turns []turn
	for _, p := range []*process{one, two, one, one, two} {
		req := w.request("k")
		turns = append(turns, turn{p, req, p.stand(req)})
	}
	mine := w.standBehind(w.client(), w.request("k"))
	w.mustRelease(held)
	last := held.grant.Token
	for _, turn := range turns {
		r := turn.p.granted(turn.reports, 0)
		w.wantRise(&last, r.Token, 1)
		state, _ := w.state(w.client(), "k")
		if ids := holderIDs(&state); len(ids) != 1 || ids[0] != turn.req.ID {
			w.Fatalf("key k is held by %v; want %v", ids, turn.req.ID)
		}
		turn.p.do(order{Op: "release", Key: "k", ID: turn.req.ID, Token: r.Token, TTL: w.long})
	}
	w.wantRise(&last, mine.granted().grant.Token, 1)
}

func processAdopts(w *world) {
	p := w.spawn()
	req := w.request("k")
	r := p.granted(p.acquire(req), 0)
	p.end() // A lease outlives its process.
	l := &lease{client: w.client(), req: req, grant: driver.Grant{Token: r.Token}}
	w.mustRenew(l, w.long)
	w.wantHolders("k", l)
	other := w.spawn()
	other.do(order{Op: "renew", Key: "k", ID: req.ID, Token: r.Token, TTL: w.long})
	other.do(order{Op: "release", Key: "k", ID: req.ID, Token: r.Token, TTL: w.long})
	w.wantNothing("k")
	w.wantLost(l)
}

func holderKilled(w *world) {
	w.hurry(w.kept, func(key string, ttl time.Duration) bool {
		p := w.spawn()
		req := w.request(key)
		req.TTL = ttl
		begun := driver.SystemClock()
		r := p.granted(p.acquire(req), 0)
		waiter := w.start(w.client(), w.request(key))
		renewed := driver.SystemClock()
		_, err := p.ask(order{Op: "renew", Key: key, ID: req.ID, Token: r.Token, TTL: ttl})
		if !inTime(begun, ttl) {
			return false
		}
		if err != nil {
			w.Fatalf("Renew in time: %v", err)
		}
		p.kill()
		next := waiter.grantedWithin(ttl)
		w.wantNotBefore(next, renewed.Add(ttl), ttl)
		if next.grant.Token <= r.Token {
			w.Fatalf("token %d was granted after token %d", next.grant.Token, r.Token)
		}
		w.wantHolders(key, next)
		return true
	})
}

// deadWaiter is how long a dead waiter that asked for ttl may hold up the line.
func (w *world) deadWaiter(ttl time.Duration) time.Duration {
	if w.harness.DeadWaiter > 0 {
		return w.harness.DeadWaiter
	}
	return ttl
}

func waiterKilled(w *world) {
	p := w.spawn()
	held := w.acquire(w.client(), w.request("k"))
	p.stand(w.expiring("k"))
	behind := w.start(w.client(), w.request("k"))
	w.until("one stands in line behind another process", func() bool { return len(w.line(w.client(), "k")) == 2 })
	p.kill()
	w.mustRelease(held)
	next := behind.grantedWithin(w.deadWaiter(w.short))
	w.wantHolders("k", next)
}

func allWaitersKilled(w *world) {
	one, two := w.spawn(), w.spawn()
	held := w.acquire(w.client(), w.request("k"))
	for i := range 6 {
		req := w.expiring("k")
		req.Owner = fmt.Sprintf("waiter %d", i)
		[]*process{one, two}[i%2].stand(req)
	}
	one.kill()
	two.kill()
	w.mustRelease(held)
	// If nothing tells the store that they are dead, each may cost its TTL.
	w.start(w.client(), w.request("k")).grantedWithin(6 * w.deadWaiter(w.short))
}

// processEnds: a process that ends in an orderly way closes its client.
func processEnds(w *world) {
	p := w.spawn()
	held := w.acquire(w.client(), w.request("k"))
	p.stand(w.request("k"))
	behind := w.start(w.client(), w.request("k"))
	w.until("one stands in line behind another process", func() bool { return len(w.line(w.client(), "k")) == 2 })
	p.end()
	w.wantLine("k", behind.req.ID)
	w.mustRelease(held)
	behind.granted()
}
