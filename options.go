package stile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stilelock/stile/driver"
)

const (
	// DefaultTTL is how long a lease lives without renewal unless Options.TTL
	// says otherwise.
	DefaultTTL = 15 * time.Second
	// MinTTL is the shortest TTL, unless Config.MinTTL says otherwise.
	MinTTL = time.Second
)

// Options say how to acquire a key. Nil is the same as the zero value, and the
// zero value of each field has a meaning.
type Options struct {
	// TTL is how long the lease lives without renewal: the longest time that
	// others wait after its holder died. The lease is renewed at a third of
	// it. Default: 15 s, or what comes nearest of what the store takes. At
	// least 1 s, at most 30 days.
	TTL time.Duration
	// Wait bounds the time in line; when it is over the error is
	// ErrWaitTimeout. Zero: as long as the context allows. To not wait at all,
	// use TryAcquire, which ignores it.
	Wait time.Duration
	// Shared asks for a hold that leaves room for other shared ones: a
	// reader's. It does not go with Limit.
	Shared bool
	// Limit makes the key a semaphore of that many permits, and asks for one.
	// All callers must give the same limit while the key is in use. Zero is 1.
	Limit int
	// MinHold keeps the key taken for at least this long, even if the lease is
	// released before; so a short job that several machines start at about
	// the same time runs once.
	MinHold time.Duration
	// MaxHold ends the lease after this long, though it could be renewed; so a
	// program that hangs does not hold for ever. Zero: no maximum. At least
	// the minimum TTL.
	MaxHold time.Duration
	// Owner is the label that others see: who holds the key. Default:
	// Config.Owner.
	Owner string
	// Metadata is kept with the lease and listed with it.
	Metadata map[string]string
}

// Config configures a [Locker]. Nil is the same as the zero value.
type Config struct {
	// Owner is the default of Options.Owner. Default: the host's name, the
	// process's id and the program's name.
	Owner string
	// Observe is told what happens, for metrics and for tests. It is called
	// from many goroutines and must not block. May be nil.
	Observe func(Event)
	// Logger gets losses and failed renewals as warnings and everything else
	// as debug records. It never gets a secret. Nil: no log.
	Logger *slog.Logger
	// Clock is what leases are counted in. Default: the system's, which runs
	// on while the machine is suspended. Tests bring their own.
	Clock driver.Clock
	// MinTTL lowers the minimum TTL. For tests: a TTL near the time that a
	// renewal takes loses leases for nothing. Default: 1 s.
	MinTTL time.Duration
}

// withDefaults returns a copy with every default filled in.
func (c *Config) withDefaults() Config {
	var filled Config
	if c != nil {
		filled = *c
	}
	if filled.Owner == "" {
		filled.Owner = defaultOwner()
	}
	if filled.Clock == nil {
		filled.Clock = driver.SystemClock
	}
	if filled.MinTTL <= 0 {
		filled.MinTTL = MinTTL
	}
	return filled
}

func defaultOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	owner := host + ":" + strconv.Itoa(os.Getpid())
	if len(os.Args) > 0 {
		owner += " " + filepath.Base(os.Args[0])
	}
	owner = strings.ToValidUTF8(owner, "�")
	owner = owner[:min(len(owner), driver.MaxOwnerBytes)]
	return strings.ToValidUTF8(owner, "") // The cut may have gone through a character.
}

// A plan is an acquire with every default filled in and every bound checked.
type plan struct {
	req     driver.Request
	wait    time.Duration
	maxHold time.Duration
}

// plan checks what can be checked without the store.
func (l *Locker) plan(key string, opts *Options) (*plan, error) {
	if opts == nil {
		opts = &Options{}
	}
	p := &plan{
		req: driver.Request{
			Key: key, ID: driver.NewLeaseID(), Mode: Exclusive, Limit: opts.Limit, TTL: opts.TTL,
			MinHold: opts.MinHold, Tokens: 1, Owner: opts.Owner, Metadata: opts.Metadata, Now: l.config.Clock,
		},
		wait:    opts.Wait,
		maxHold: opts.MaxHold,
	}
	if opts.Shared {
		p.req.Mode = Shared
	}
	if opts.Limit == 0 {
		p.req.Limit = 1
	}
	if opts.TTL == 0 {
		p.req.TTL = max(DefaultTTL, l.can.MinTTL, l.config.MinTTL)
		if l.can.MaxTTL != 0 {
			p.req.TTL = min(p.req.TTL, l.can.MaxTTL)
		}
	}
	if opts.Owner == "" {
		p.req.Owner = l.config.Owner
	}
	switch {
	case p.req.TTL < l.config.MinTTL:
		return nil, fmt.Errorf("check ttl: %w: want at least %v, got %v", ErrInvalid, l.config.MinTTL, p.req.TTL)
	case opts.Wait < 0:
		return nil, fmt.Errorf("check wait: %w: want 0 or more, got %v", ErrInvalid, opts.Wait)
	case opts.MaxHold != 0 && opts.MaxHold < l.config.MinTTL:
		return nil, fmt.Errorf("check maximum hold: %w: want at least %v, got %v", ErrInvalid, l.config.MinTTL, opts.MaxHold)
	case opts.MaxHold != 0 && opts.MaxHold < opts.MinHold:
		return nil, fmt.Errorf("check maximum hold: %w: it is %v, less than the minimum hold of %v", ErrInvalid, opts.MaxHold, opts.MinHold)
	}
	if p.maxHold != 0 && l.can.Has(driver.CapTTL) {
		p.req.TTL = min(p.req.TTL, max(p.maxHold, l.can.MinTTL))
	}
	if err := p.req.Check(); err != nil {
		return nil, err
	}
	return p, l.supports(&p.req)
}

// supports refuses what the store declares that it cannot do.
func (l *Locker) supports(req *driver.Request) error {
	needs := []struct {
		needed bool
		what   driver.Capability
	}{
		{req.Mode == Shared, driver.CapShared},
		{req.Limit > 1, driver.CapLimit},
		{req.MinHold > 0, driver.CapMinHold},
	}
	for _, need := range needs {
		if reason, lacks := l.can.Lacks[need.what]; need.needed && lacks {
			return fmt.Errorf("use %s: %w: %s", need.what, errors.ErrUnsupported, reason)
		}
	}
	if least := l.can.MinTTL; least != 0 && req.TTL < least {
		return fmt.Errorf("check ttl: %w: this store takes at least %v, got %v", ErrInvalid, least, req.TTL)
	}
	if most := l.can.MaxTTL; most != 0 && req.TTL > most {
		return fmt.Errorf("check ttl: %w: this store takes at most %v, got %v", ErrInvalid, most, req.TTL)
	}
	return nil
}
