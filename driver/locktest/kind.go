package locktest

import "github.com/stilelock/stile/driver"

// A kind is what a key is besides a mutex: a case that wants a mutex runs on a
// plain key, on one that readers use too, and on a semaphore of which one
// permit is left.
type kind struct {
	needs []driver.Capability
	// limit is the key's limit; 0 stands for 1.
	limit int
	// prepare readies a key before its first use, and returns the lease that
	// it leaves held, if any.
	prepare func(w *world, key string) *lease
}

// permits is the limit that requests carry.
func (k *kind) permits() int { return max(1, k.limit) }

// rwKind: readers have used the key before, and are gone.
var rwKind = kind{
	needs: []driver.Capability{driver.CapShared},
	prepare: func(w *world, key string) *lease {
		w.Helper()
		one := w.acquire(w.client(), w.shared(key))
		two := w.acquire(w.client(), w.shared(key))
		w.mustRelease(one)
		w.mustRelease(two)
		return nil
	},
}

// semaphoreKind: the key has two permits, and one is taken all the time.
var semaphoreKind = kind{
	needs: []driver.Capability{driver.CapLimit},
	limit: 2,
	prepare: func(w *world, key string) *lease {
		w.Helper()
		return w.acquire(w.client(), w.request(key))
	},
}

// prime readies a key for its kind, once.
func (w *world) prime(key string) {
	w.Helper()
	if _, done := w.primed[key]; done || w.kind.prepare == nil {
		return
	}
	w.primed[key] = nil // Preparing makes requests of its own.
	w.primed[key] = w.kind.prepare(w, key)
}

// asMutex returns the cases of a plain mutex for another kind of key.
func asMutex(k kind) []testCase {
	var cases []testCase
	for _, c := range mutexCases {
		c.kind = k
		c.needs = append(append([]driver.Capability(nil), c.needs...), k.needs...)
		cases = append(cases, c)
	}
	return cases
}
