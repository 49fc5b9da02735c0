package stile

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
)

// handlePrefix names the form of a handle, so that a later form can differ.
const handlePrefix = "stile1."

// handle is what a lease needs to live on in another process. It does not say
// where the store is.
type handle struct {
	Key   string        `json:"key"`
	ID    LeaseID       `json:"id"`
	Token uint64        `json:"token,string"`
	TTL   time.Duration `json:"ttl"`
	Mode  Mode          `json:"mode"`
	Limit int           `json:"limit"`
	Owner string        `json:"owner"`
	// MaxHoldLeft is what was left of the maximum hold; 0: there is none.
	MaxHoldLeft time.Duration `json:"maxHoldLeft,omitempty"`
}

// Handle returns the lease as text, for Locker.Attach in another process over
// the same store. Whoever has the handle can renew and release the lease: keep
// it as you would a password. Handing it over does not stop this process from
// renewing; simply end without Release. The time that a handle is on its way
// does not count towards Options.MaxHold, and a lease that was handed over and
// is not released when its maximum hold is over expires up to a TTL later.
func (l *Lease) Handle() string {
	h := handle{
		Key: l.hold.Key, ID: l.hold.ID, Token: l.hold.Token, TTL: l.hold.TTL,
		Mode: l.mode, Limit: l.limit, Owner: l.owner,
	}
	l.handed.Store(true)
	if l.last != 0 {
		h.MaxHoldLeft = max(l.last.Sub(l.locker.config.Clock()), 1)
	}
	text, err := json.Marshal(h)
	if err != nil {
		panic("stile: write handle: " + err.Error()) // No field can fail.
	}
	return handlePrefix + base64.RawURLEncoding.EncodeToString(text)
}

// Attach takes over a lease by its handle: it renews the lease at once, as
// proof that it is still there, and keeps it from then on. The error is
// ErrLost if it is not, and ErrInvalid if the text is no handle.
func (l *Locker) Attach(ctx context.Context, text string) (*Lease, error) {
	h, err := parseHandle(text)
	if err != nil {
		return nil, fmt.Errorf("attach lease: %w", err)
	}
	if reason, lacks := l.can.Lacks[driver.CapAdopt]; lacks {
		return nil, fmt.Errorf("attach lease: %w: %s", errors.ErrUnsupported, reason)
	}
	p := &plan{maxHold: h.MaxHoldLeft, req: driver.Request{
		Key: h.Key, ID: h.ID, Mode: h.Mode, Limit: h.Limit, TTL: h.TTL, Owner: h.Owner, Tokens: 1,
	}}
	if err := p.req.Check(); err != nil {
		return nil, fmt.Errorf("attach lease: %w", err)
	}
	sent := l.config.Clock()
	if err := l.driver.Renew(ctx, driver.Hold{Key: h.Key, ID: h.ID, Token: h.Token, TTL: h.TTL}, h.TTL); err != nil {
		return nil, fmt.Errorf("attach lease: %w", err)
	}
	lease := l.newLease(ctx, p, driver.Grant{Token: h.Token, From: sent}, 0)
	lease.handed.Store(true)
	now := l.config.Clock()
	if lease.remainingAt(now) <= 0 {
		err := lease.overdue()
		lease.cancel(err)
		return nil, fmt.Errorf("attach lease: %w", err)
	}
	if err := lease.keep(now); err != nil {
		return nil, fmt.Errorf("attach lease: %w", err)
	}
	lease.observe(EventAcquired, nil)
	return lease, nil
}

func parseHandle(text string) (*handle, error) {
	encoded, found := strings.CutPrefix(strings.TrimSpace(text), handlePrefix)
	if !found {
		return nil, fmt.Errorf("read handle: %w: it does not start with %s", ErrInvalid, handlePrefix)
	}
	var h handle
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(decoded, &h)
	}
	// Nobody has a token 0: to a driver it stands for whatever token there is.
	if err != nil || h.Token == 0 || h.MaxHoldLeft < 0 {
		return nil, fmt.Errorf("read handle: %w: it is damaged", ErrInvalid) // The cause could repeat parts of it.
	}
	return &h, nil
}
