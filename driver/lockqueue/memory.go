package lockqueue

import (
	"container/heap"
	"container/list"

	"github.com/stilelock/stile/driver"
)

// Memory is a [View] of one key in memory. Every operation takes O(log n) time
// in the number of entries, or less. It is not safe for concurrent use. Its
// zero value is not ready; see [NewMemory].
type Memory struct {
	key     Key
	entries map[driver.LeaseID]*memoryEntry
	line    *list.List // of *memoryEntry, by Seq
	holders *list.List // of *memoryEntry, by Token
	due     dueHeap    // the holders again, by Until
	// CanReach answers Reachable. Nil: everybody can be reached.
	CanReach func(waiter Entry) bool
}

type memoryEntry struct {
	Entry
	place *list.Element // in the line or among the holders
	heap  int           // index in the heap; holders only
}

// NewMemory returns the view of a key that was never used.
func NewMemory() *Memory {
	return &Memory{entries: make(map[driver.LeaseID]*memoryEntry), line: list.New(), holders: list.New()}
}

// Key implements [View].
func (m *Memory) Key() (Key, error) { return m.key, nil }

// SetKey implements [View].
func (m *Memory) SetKey(k Key) error {
	m.key = k
	return nil
}

// Entry implements [View].
func (m *Memory) Entry(id driver.LeaseID) (Entry, bool, error) {
	e, found := m.entries[id]
	if !found {
		return Entry{}, false, nil
	}
	return e.Entry, true, nil
}

// Put implements [View].
func (m *Memory) Put(e Entry) error {
	old := m.entries[e.ID]
	switch {
	case old == nil:
		m.insert(&memoryEntry{Entry: e})
	case old.holds() != e.holds():
		m.drop(old)
		m.insert(&memoryEntry{Entry: e})
	default:
		old.Entry = e
		if e.holds() {
			heap.Fix(&m.due, old.heap)
		}
	}
	return nil
}

// Remove implements [View].
func (m *Memory) Remove(e Entry) error {
	if old := m.entries[e.ID]; old != nil {
		m.drop(old)
	}
	return nil
}

func (m *Memory) insert(e *memoryEntry) {
	m.entries[e.ID] = e
	// Tokens and places in line only rise, so the newest goes last.
	if e.holds() {
		e.place = m.holders.PushBack(e)
		heap.Push(&m.due, e)
	} else {
		e.place = m.line.PushBack(e)
	}
}

func (m *Memory) drop(e *memoryEntry) {
	delete(m.entries, e.ID)
	if e.holds() {
		m.holders.Remove(e.place)
		heap.Remove(&m.due, e.heap)
	} else {
		m.line.Remove(e.place)
	}
}

// First implements [View].
func (m *Memory) First() (Entry, error) {
	return m.line.Front().Value.(*memoryEntry).Entry, nil
}

// NextDue implements [View].
func (m *Memory) NextDue() (Entry, error) { return m.due[0].Entry, nil }

// Holders implements [View].
func (m *Memory) Holders(limit int) ([]Entry, error) {
	return collect(m.holders, limit), nil
}

// Line returns all waiters, the first one first.
func (m *Memory) Line() []Entry { return collect(m.line, m.line.Len()) }

func collect(from *list.List, limit int) []Entry {
	entries := make([]Entry, 0, min(limit, from.Len()))
	for place := from.Front(); place != nil && len(entries) < limit; place = place.Next() {
		entries = append(entries, place.Value.(*memoryEntry).Entry)
	}
	return entries
}

// Reachable implements [View].
func (m *Memory) Reachable(waiter Entry) bool {
	return m.CanReach == nil || m.CanReach(waiter)
}

// dueHeap orders holders by the time at which they give way.
type dueHeap []*memoryEntry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].Until() < h[j].Until() }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heap, h[j].heap = i, j
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	e := x.(*memoryEntry)
	e.heap = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
