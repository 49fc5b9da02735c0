package locktest

import (
	"errors"

	"github.com/stilelock/stile/driver"
)

// probes try each capability. A probe reports whether the store has it, and
// the error with which it was refused, if it was. It ends the case when the store does
// neither: grants and does not keep what it granted.
var probes = []struct {
	capability driver.Capability
	// refuses: a store without it refuses a request for it. Processes and
	// durability cannot be asked for in a request.
	refuses bool
	probe   func(w *world) (works bool, refusal error)
}{
	{driver.CapShared, true, probeShared},
	{driver.CapLimit, true, probeLimit},
	{driver.CapMinHold, true, probeMinHold},
	{driver.CapTokenBlocks, true, probeTokenBlocks},
	{driver.CapTTL, true, probeTTL},
	{driver.CapAdopt, true, probeAdopt},
	{driver.CapProcesses, false, probeProcesses},
	{driver.CapDurable, false, probeDurable},
	{driver.CapBreak, true, probeBreak},
}

// declareCases check Capabilities both ways.
func declareCases() []testCase {
	cases := []testCase{{name: "capabilities_are_well_formed", run: func(w *world) {
		known := make(map[driver.Capability]bool)
		for _, p := range probes {
			known[p.capability] = true
		}
		for capability, reason := range w.caps.Lacks {
			if !known[capability] {
				w.Errorf("Capabilities.Lacks has %q, which is no capability", capability)
			}
			if reason == "" {
				w.Errorf("Capabilities.Lacks has %q without a reason", capability)
			}
		}
		if c := w.caps; c.MinTTL < 0 || c.MaxTTL < 0 || (c.MaxTTL > 0 && c.MinTTL > c.MaxTTL) {
			w.Errorf("Capabilities has MinTTL %v and MaxTTL %v", c.MinTTL, c.MaxTTL)
		}
		again := w.client().Capabilities()
		if len(again.Lacks) != len(w.caps.Lacks) || again.MinTTL != w.caps.MinTTL || again.MaxTTL != w.caps.MaxTTL {
			w.Errorf("Capabilities first says %+v, then %+v", w.caps, again)
		}
		if w.short < w.caps.MinTTL {
			w.Errorf("Harness.TTL %v is below the driver's MinTTL %v", w.short, w.caps.MinTTL)
		}
	}}}
	for _, p := range probes {
		cases = append(cases, testCase{name: string(p.capability), run: func(w *world) {
			works, refusal := p.probe(w)
			reason, lacks := w.caps.Lacks[p.capability]
			switch {
			case lacks && works:
				w.Fatalf("the driver declares that the store lacks %s (%s), but it works: take it out of Capabilities.Lacks", p.capability, reason)
			case lacks && p.refuses && !errors.Is(refusal, errors.ErrUnsupported):
				w.Fatalf("the driver declares that the store lacks %s: want an error that matches errors.ErrUnsupported, got %v", p.capability, refusal)
			case !lacks && !works:
				w.Fatalf("%s does not work (%v): make it work, or declare it in Capabilities.Lacks with the reason", p.capability, refusal)
			}
		}})
	}
	return cases
}

func probeShared(w *world) (bool, error) {
	d := w.client()
	if _, err := w.try(d, w.shared("k")); err != nil {
		return false, err
	}
	_, err := w.try(d, w.shared("k"))
	return err == nil, err
}

func probeLimit(w *world) (bool, error) {
	d := w.client()
	if _, err := w.try(d, w.limited("k", 2)); err != nil {
		return false, err
	}
	_, err := w.try(d, w.limited("k", 2))
	return err == nil, err
}

func probeMinHold(w *world) (bool, error) {
	d := w.client()
	req := w.request("k")
	req.MinHold = w.long
	l, err := w.try(d, req)
	if err != nil {
		return false, err
	}
	w.mustRelease(l)
	_, err = w.try(d, w.request("k"))
	return err != nil, err
}

func probeTokenBlocks(w *world) (bool, error) {
	d := w.client()
	req := w.request("k")
	req.Tokens = driver.MaxTokens
	l, err := w.try(d, req)
	if err != nil {
		return false, err
	}
	w.mustRelease(l)
	next := w.mustTry(d, w.request("k"))
	return next.grant.Token >= l.grant.Token+driver.MaxTokens, nil
}

// probeTTL lets one of two leases run out, after a renewal that shortened it.
func probeTTL(w *world) (bool, error) {
	d := w.client()
	long := w.acquire(d, w.request("long"))
	short := w.acquire(d, w.request("short"))
	if _, err := w.renew(short, w.short); err != nil {
		return false, err
	}
	next := w.start(d, w.request("short"))
	if !next.over(w.short + w.slack) {
		return false, nil
	}
	_, err := w.renew(long, w.long)
	err = errors.Join(next.err, err)
	return err == nil, err
}

func probeAdopt(w *world) (bool, error) {
	c := w.clients(2)
	l := w.acquire(c[0], w.request("k"))
	adopted := *l
	adopted.client = c[1]
	if _, err := w.renew(&adopted, w.long); err != nil {
		w.mustRenew(l, w.long)
		return false, err
	}
	if err := w.release(&adopted); err != nil {
		return false, err
	}
	_, err := w.try(c[1], w.request("k"))
	return err == nil, err
}

func probeProcesses(w *world) (bool, error) {
	l := w.acquire(w.client(), w.request("k"))
	p := w.spawn()
	req := w.request("k")
	_, err := p.ask(order{Op: "acquire", Key: "k", ID: req.ID, Limit: 1, TTL: req.TTL, NoWait: true})
	w.mustRenew(l, w.long)
	return errors.Is(err, driver.ErrBusy), err
}

func probeDurable(w *world) (bool, error) {
	w.acquire(w.client(), w.request("k"))
	w.reopen()
	_, err := w.try(w.client(), w.request("k"))
	return errors.Is(err, driver.ErrBusy), err
}

func probeBreak(w *world) (bool, error) {
	d := w.client()
	l := w.acquire(d, w.request("k"))
	if err := w.breakLease(d, l, driver.BreakGently); err != nil {
		w.mustRenew(l, w.long)
		return false, err
	}
	_, renewed := w.renew(l, w.long)
	_, tried := w.try(d, w.request("k"))
	return errors.Is(renewed, driver.ErrLost) && errors.Is(tried, driver.ErrBusy), errors.Join(renewed, tried)
}
