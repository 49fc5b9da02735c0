package lockqueue_test

import (
	"slices"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

var mutants = []mutant{
	{
		name: "next due is one late", world: "mutex", rule: "no orphan",
		view: faulty(faultyView{nextDue: func(e lockqueue.Entry) lockqueue.Entry {
			e.Expires++
			return e
		}}),
	},
	{
		name: "next due is one early", world: "semaphore of 2", rule: "lease keeps its time",
		view: faulty(faultyView{nextDue: func(e lockqueue.Entry) lockqueue.Entry {
			e.MinHold = 0
			e.Expires--
			return e
		}}),
	},
	{
		name: "minimum hold is not part of due", world: "mutex", rule: "lease keeps its time",
		view: faulty(faultyView{nextDue: func(e lockqueue.Entry) lockqueue.Entry {
			e.MinHold = 0
			return e
		}}),
	},
	{
		name: "first returns the second", world: "mutex", rule: "fifo",
		view: faulty(faultyView{first: func(line []lockqueue.Entry) lockqueue.Entry { return line[min(1, len(line)-1)] }}),
	},
	{
		name: "first returns the last", world: "semaphore of 2", rule: "fifo",
		view: faulty(faultyView{first: func(line []lockqueue.Entry) lockqueue.Entry { return line[len(line)-1] }}),
	},
	{
		name: "a newcomer does not see the holders", world: "mutex", rule: "exclusion",
		run: func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
			if newcomer(view, o) {
				view = hide(view, func(k *lockqueue.Key) *int { return &k.Held })
			}
			return theMachine(view, now, o)
		},
	},
	{
		name: "counts are stored wrong", world: "mutex", rule: "counts",
		view: faulty(faultyView{setKey: func(k lockqueue.Key) (lockqueue.Key, bool) {
			k.Waiting = min(k.Waiting, 1)
			return k, false
		}}),
	},
	{
		name: "the key's record is not stored", world: "mutex", rule: "counts",
		view: faulty(faultyView{setKey: func(k lockqueue.Key) (lockqueue.Key, bool) { return k, true }}),
	},
	{
		name: "the last token is not stored", world: "any wall clock", rule: "tokens rise",
		view: faulty(faultyView{key: func(k lockqueue.Key) lockqueue.Key {
			k.LastToken = 0
			return k
		}}),
	},
	{
		name: "blocks of tokens overlap", world: "any wall clock", rule: "tokens rise",
		view: faulty(faultyView{setKey: func(k lockqueue.Key) (lockqueue.Key, bool) {
			k.LastToken--
			return k, false
		}}),
	},
	{
		name: "the wall clock mints no tokens", world: "forgotten keys", rule: "tokens rise",
		run: func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
			now.Wall = 0
			return theMachine(view, now, o)
		},
	},
	{name: "an idle key is forgotten too early", world: "forgotten keys", rule: "tokens rise", early: true},
	{
		name: "the limit is one more", world: "semaphore of 2", rule: "limit",
		view: faulty(faultyView{key: func(k lockqueue.Key) lockqueue.Key {
			if !k.Idle() {
				k.Limit++
			}
			return k
		}}),
	},
	{
		name: "limits are not compared", world: "different limits", rule: "limit",
		run: func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
			copied := *o
			if key, _ := view.Key(); !key.Idle() {
				copied.attempt.Limit = key.Limit
			}
			return theMachine(view, now, &copied)
		},
	},
	{
		name: "everybody can be reached", world: "unreachable waiters", rule: "woken",
		view: faulty(faultyView{reachable: func(bool) bool { return true }}),
	},
	{
		name: "nobody can be reached", world: "mutex", rule: "no lost waiter",
		view: faulty(faultyView{reachable: func(bool) bool { return false }}),
	},
	{
		name: "attempts are not recognised", world: "semaphore of 2", rule: "same attempt, same token",
		view: faulty(faultyView{entry: func(bool) bool { return false }}),
	},
	{
		name: "a waiter's new lease is not stored", world: "mutex", rule: "books",
		view: faulty(faultyView{put: func(_ lockqueue.Entry, found bool, e lockqueue.Entry) (lockqueue.Entry, bool) {
			return e, found && e.Phase == lockqueue.Waiting
		}}),
	},
	{
		name: "a retry shortens a lease", world: "mutex", rule: "lease keeps its time",
		view: faulty(faultyView{put: func(old lockqueue.Entry, _ bool, e lockqueue.Entry) (lockqueue.Entry, bool) {
			if old.Phase == lockqueue.Held && e.Expires == old.Expires {
				e.Expires--
			}
			return e, false
		}}),
	},
	{
		name: "leases are not removed", world: "semaphore of 2", rule: "counts",
		view: faulty(faultyView{remove: func(e lockqueue.Entry) bool { return e.Phase == lockqueue.Held }}),
	},
	{
		name: "holders are named in the wrong order", world: "semaphore of 2", rule: "busy",
		view: faulty(faultyView{holders: slices.Reverse[[]lockqueue.Entry]}),
	},
	{
		name: "readers pass a waiting writer", world: "readers and writers", rule: "fifo",
		run: func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
			if key, _ := view.Key(); newcomer(view, o) && key.Mode == driver.Shared && o.attempt.Mode == driver.Shared {
				view = hide(view, func(k *lockqueue.Key) *int { return &k.Waiting })
			}
			return theMachine(view, now, o)
		},
	},
	{
		name: "a waiter that was granted is not told", world: "mutex", rule: "no orphan",
		run: after(func(_ *order, _ lockqueue.Now, res *lockqueue.Result) {
			res.Woken = res.Woken[:max(len(res.Woken)-1, 0)]
		}),
	},
	{
		name: "waiters are told in the wrong order", world: "semaphore of 2", rule: "tokens rise",
		run: after(func(_ *order, _ lockqueue.Now, res *lockqueue.Result) { slices.Reverse(res.Woken) }),
	},
	{
		name: "due is late", world: "mutex", rule: "due",
		run: after(func(_ *order, _ lockqueue.Now, res *lockqueue.Result) { res.Due++ }),
	},
	{
		name: "due is missing", world: "mutex", rule: "due",
		run: after(func(_ *order, _ lockqueue.Now, res *lockqueue.Result) { res.HasDue = false }),
	},
	{
		name: "a gentle break passes the key on at once", world: "mutex", rule: "lease keeps its time",
		run: instead(breakGently, breakNow),
	},
	{
		name: "a release ignores the minimum hold", world: "mutex", rule: "lease keeps its time",
		run: instead(release, breakNow),
	},
	{
		name: "try stands in line", world: "mutex", rule: "answer",
		run: instead(tryAcquire, acquire),
	},
	{
		name: "a lease that was lost is renewed", world: "mutex", rule: "answer",
		run: func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
			if o.verb == renew {
				if e, found, _ := view.Entry(o.attempt.ID); found && e.Token == o.token && e.Expires <= now.Lease {
					e.Expires, e.Phase = now.Lease+o.ttl, lockqueue.Held
					_ = view.Put(e) // A memory view has no errors.
				}
			}
			return theMachine(view, now, o)
		},
	},
	{
		name: "a renewal does not look at the token", world: "mutex", rule: "answer",
		run: func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
			copied := *o
			copied.token = 0
			return theMachine(view, now, &copied)
		},
	},
	{
		name: "a retry gets a new token", world: "semaphore of 2", rule: "same attempt, same token",
		run: func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
			if o.verb == acquire {
				if e, found, _ := view.Entry(o.attempt.ID); found && e.Phase == lockqueue.Held {
					if _, err := lockqueue.Break(view, now, e.ID, driver.BreakNow); err != nil {
						return lockqueue.Result{}, err
					}
				}
			}
			return theMachine(view, now, o)
		},
	},
}

// after changes the machine's answers.
func after(change func(*order, lockqueue.Now, *lockqueue.Result)) machine {
	return func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
		res, err := theMachine(view, now, o)
		change(o, now, &res)
		return res, err
	}
}

// instead runs another command than the one that was sent.
func instead(sent, done verb) machine {
	return func(view lockqueue.View, now lockqueue.Now, o *order) (lockqueue.Result, error) {
		copied := *o
		if o.verb == sent {
			copied.verb = done
		}
		return theMachine(view, now, &copied)
	}
}

// newcomer reports whether the order is the first of its attempt.
func newcomer(view lockqueue.View, o *order) bool {
	_, found, _ := view.Entry(o.attempt.ID)
	return !found && (o.verb == acquire || o.verb == tryAcquire)
}

// hide hides a count while the key is read, and adds it again
// when the key is stored.
func hide(view lockqueue.View, count func(*lockqueue.Key) *int) lockqueue.View {
	hidden := 0
	return &faultyView{
		Memory: view.(*lockqueue.Memory),
		key: func(k lockqueue.Key) lockqueue.Key {
			hidden, *count(&k) = *count(&k), 0
			return k
		},
		setKey: func(k lockqueue.Key) (lockqueue.Key, bool) {
			*count(&k) += hidden
			return k, false
		},
	}
}
