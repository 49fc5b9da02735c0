package redistest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// Slots is the number of hash slots of a Cluster.
const Slots = 16384

// A Cluster is three primaries that share the slots.
type Cluster struct {
	// Nodes are the primaries. Node i begins with the i-th third of the slots.
	Nodes [3]*Server

	ids [3]string
}

// StartCluster starts a Cluster and returns when all nodes agree on the slots.
// It ends with the test. The options are for every node.
func StartCluster(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	c, err := startCluster(options)
	if err != nil {
		t.Fatal(err)
	}
	for i, node := range c.Nodes {
		node.endWith(t, fmt.Sprintf("node %d (%s)", i, node.Addr))
	}
	return c
}

func startCluster(options []Option) (c *Cluster, err error) {
	c = &Cluster{}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.discard())
		}
	}()
	options = append([]Option{Config("cluster-enabled", "yes"), Config("cluster-node-timeout", "5000")}, options...)
	for i := range c.Nodes {
		if c.Nodes[i], err = start(options); err != nil {
			return c, err
		}
	}
	for i, node := range c.Nodes {
		id, err := node.Do("CLUSTER", "MYID")
		if err != nil {
			return c, err
		}
		c.ids[i] = fmt.Sprint(id)
		first, last := firstSlot(i), firstSlot(i+1)-1
		if _, err := node.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
			return c, err
		}
		// So that no two of them begin with the same epoch and have to settle it.
		if _, err := node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return c, err
		}
	}
	for i, node := range c.Nodes {
		for _, other := range c.Nodes[:i] {
			if _, err := node.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(other.Port), strconv.Itoa(other.busPort())); err != nil {
				return c, err
			}
		}
	}
	return c, c.Agreed()
}

func firstSlot(i int) int { return (Slots*i + 2) / 3 }

func (c *Cluster) discard() error {
	var errs []error
	for _, node := range c.Nodes {
		if node != nil {
			errs = append(errs, node.discard())
		}
	}
	return errors.Join(errs...)
}

// Agreed waits until every node serves and knows the same owner of each slot.
func (c *Cluster) Agreed() error {
	return until("the nodes of the Cluster agree", func() bool {
		first := ""
		for _, node := range c.Nodes {
			info, err := node.Do("CLUSTER", "INFO")
			if err != nil || !strings.Contains(fmt.Sprint(info), "cluster_state:ok") || !strings.Contains(fmt.Sprint(info), "cluster_known_nodes:3") {
				return false
			}
			owners, err := owners(node)
			if err != nil || (first != "" && owners != first) {
				return false
			}
			first = owners
		}
		return true
	})
}

// owners writes down who owns which slots, as a node knows it.
func owners(node *Server) (string, error) {
	value, err := node.Do("CLUSTER", "SLOTS")
	if err != nil {
		return "", err
	}
	ranges, is := value.([]any)
	if !is {
		return "", fmt.Errorf("read CLUSTER SLOTS: %v", value)
	}
	var all []string
	total := int64(0)
	for _, one := range ranges {
		fields, is := one.([]any)
		if !is || len(fields) < 3 {
			return "", fmt.Errorf("read CLUSTER SLOTS: %v", value)
		}
		from, _ := fields[0].(int64)
		to, _ := fields[1].(int64)
		total += to - from + 1
		all = append(all, fmt.Sprint(from, to, fields[2]))
	}
	if total != Slots {
		return "", fmt.Errorf("%d slots are served", total)
	}
	return strings.Join(all, "; "), nil
}

// Addrs are the addresses of the nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, node := range c.Nodes {
		addrs = append(addrs, node.Addr)
	}
	return addrs
}

// URL returns the store URL of the Cluster.
func (c *Cluster) URL(query ...string) string {
	return "redis+cluster://" + strings.Join(c.Addrs(), ",") + "/?" + encodeQuery(query)
}

// SlotOf returns the slot of a key.
func (c *Cluster) SlotOf(key string) (int, error) {
	value, err := c.Nodes[0].Do("CLUSTER", "KEYSLOT", key)
	slot, _ := value.(int64)
	return int(slot), err
}

// Owner returns the number of the node that serves the slot, by its own word.
func (c *Cluster) Owner(slot int) (int, error) {
	for i, node := range c.Nodes {
		value, err := node.Do("CLUSTER", "NODES")
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(fmt.Sprint(value)) {
			fields := strings.Fields(line)
			if len(fields) > 8 && strings.Contains(fields[2], "myself") && covers(fields[8:], slot) {
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("find the owner of slot %d: nobody owns it", slot)
}

// covers reports whether one of the ranges "5" or "5-7" has the slot.
func covers(ranges []string, slot int) bool {
	for _, text := range ranges {
		from, to, isRange := strings.Cut(text, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 == nil && err2 == nil && first <= slot && slot <= last {
			return true
		}
	}
	return false
}

// Restart kills all nodes and starts them again on what is on their disks.
func (c *Cluster) Restart() error {
	for _, node := range c.Nodes {
		if err := node.Kill(); err != nil {
			return err
		}
	}
	for _, node := range c.Nodes {
		if err := node.Again(); err != nil {
			return err
		}
	}
	return c.Agreed()
}
