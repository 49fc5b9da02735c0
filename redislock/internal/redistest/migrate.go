package redistest

import (
	"fmt"
	"strconv"
)

// A Migration moves a slot of a Cluster from one node to another, step by step,
// as redis-cli does: Begin, Move until it says that nothing is left, Finish.
type Migration struct {
	cluster  *Cluster
	slot     string
	from, to int
}

// Migration prepares the move of a slot to the node that comes after its
// owner.
func (c *Cluster) Migration(slot int) (*Migration, error) {
	owner, err := c.Owner(slot)
	if err != nil {
		return nil, err
	}
	return &Migration{cluster: c, slot: strconv.Itoa(slot), from: owner, to: (owner + 1) % len(c.Nodes)}, nil
}

// Source and Target are the nodes that the slot goes from and to.
func (m *Migration) Source() *Server { return m.cluster.Nodes[m.from] }

// Target is the node that the slot goes to.
func (m *Migration) Target() *Server { return m.cluster.Nodes[m.to] }

// Begin opens the slot at both nodes: from now on the source answers ASK for a
// key that it does not have.
func (m *Migration) Begin() error {
	if _, err := m.Target().Do("CLUSTER", "SETSLOT", m.slot, "IMPORTING", m.cluster.ids[m.from]); err != nil {
		return err
	}
	_, err := m.Source().Do("CLUSTER", "SETSLOT", m.slot, "MIGRATING", m.cluster.ids[m.to])
	return err
}

// Move moves at most n keys of the slot, and returns how many it found.
func (m *Migration) Move(n int) (moved int, err error) {
	value, err := m.Source().Do("CLUSTER", "GETKEYSINSLOT", m.slot, strconv.Itoa(n))
	if err != nil {
		return 0, err
	}
	keys, is := value.([]any)
	if !is {
		return 0, fmt.Errorf("read CLUSTER GETKEYSINSLOT: %v", value)
	}
	for _, key := range keys {
		// One at a time, so that a test sees the slot with its keys on both nodes.
		if _, err := m.Source().Do("MIGRATE", "127.0.0.1", strconv.Itoa(m.Target().Port), fmt.Sprint(key), "0", "5000"); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// Finish gives the slot to the target. All its keys must have been moved.
func (m *Migration) Finish() error {
	others := []int{m.to, m.from, 3 - m.to - m.from} // The new owner first, so that the slot never has none.
	for _, i := range others {
		if _, err := m.cluster.Nodes[i].Do("CLUSTER", "SETSLOT", m.slot, "NODE", m.cluster.ids[m.to]); err != nil {
			return err
		}
	}
	return m.cluster.Agreed()
}

// Run moves the slot with all its keys.
func (m *Migration) Run() error {
	if err := m.Begin(); err != nil {
		return err
	}
	// Keys may be made at the source as long as it has others of the same
	// script, so moving goes on until there are none.
	for range 1000 {
		moved, err := m.Move(100)
		if err != nil {
			return err
		}
		if moved == 0 {
			return m.Finish()
		}
	}
	return fmt.Errorf("move slot %s: keys are made faster than they are moved", m.slot)
}
