package zklock

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zk"
)

// A record is a node's data: what people want to know of an attempt.
type record struct {
	Owner    string            `json:"owner"`
	TTL      int64             `json:"ttl_ms"`
	Metadata map[string]string `json:"metadata,omitempty"`
	// Granted is when a lease was granted that had to wait, in ms since 1970.
	Granted int64 `json:"granted_ms,omitempty"`
	// Broken leases cannot be renewed.
	Broken bool `json:"broken,omitempty"`
}

func (r *record) data() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write record: %w: %w", driver.ErrInvalid, err)
	}
	return text, nil
}

// readRecord reads a node's data. What is no record of ours is an empty one: then
// the name of the node says enough to keep order.
func readRecord(data []byte) (r record) {
	_ = json.Unmarshal(data, &r)
	return r
}

// holder describes a lease.
func holder(e *entry, r *record, stat *zk.Stat) driver.Holder {
	h := driver.Holder{
		ID: e.id(), Owner: r.Owner, Mode: e.mode, Token: uint64(stat.Czxid), //nolint:gosec // It counts from 0.
		Since: time.UnixMilli(stat.Ctime), Metadata: r.Metadata,
		Expires: time.Now().Add(time.Duration(r.TTL) * time.Millisecond),
	}
	if r.Granted != 0 {
		h.Since = time.UnixMilli(r.Granted)
	}
	if r.Broken {
		h.Ended = driver.EndedBroken
	}
	return h
}

func waiter(e *entry, r *record, stat *zk.Stat) driver.Waiter {
	return driver.Waiter{ID: e.id(), Owner: r.Owner, Mode: e.mode, Since: time.UnixMilli(stat.Ctime)}
}
