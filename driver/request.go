package driver

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a request may carry. Package stile checks them before a
// driver is asked, so that every store refuses the same.
const (
	// MaxKeyBytes is the longest key, in bytes of UTF-8.
	MaxKeyBytes = 512
	// MaxOwnerBytes is the longest owner label, in bytes of UTF-8.
	MaxOwnerBytes = 256
	// MaxMetadataBytes bounds the names and values of a request's metadata
	// together.
	MaxMetadataBytes = 4096
	// MaxLimit is the largest limit of a key.
	MaxLimit = 1 << 20
	// MaxTokens is the largest block of fencing tokens.
	MaxTokens = 1 << 20
	// MaxTTL is the longest TTL and the longest minimum hold.
	MaxTTL = 30 * 24 * time.Hour
)

// A Request asks for one hold of a key.
type Request struct {
	// Key names what is locked. See [CheckKey].
	Key string
	// ID is the attempt id: the same in every retry of this attempt.
	ID LeaseID
	// Mode says what the hold leaves to others.
	Mode Mode
	// Limit is the number of permits of the key, at least 1.
	Limit int
	// TTL is how long the lease lives without renewal, counted by the store
	// from the moment of the grant.
	TTL time.Duration
	// NoWait refuses with a [*BusyError] instead of standing in line.
	NoWait bool
	// MinHold keeps the key taken for at least this long after the grant, even
	// if it is released before. Zero: no minimum.
	MinHold time.Duration
	// Tokens is the number of consecutive fencing tokens to mint, at least 1.
	Tokens int
	// Owner is a label for people: host, process, program.
	Owner string
	// Metadata is kept with the lease and listed with it. May be nil.
	Metadata map[string]string
	// Now reads the caller's clock, for [Grant.From]. Never nil.
	Now Clock
}

// A Hold names a lease to the driver that granted it, in this process or in
// another one.
type Hold struct {
	// Key is the key that is held.
	Key string
	// ID is the lease's id.
	ID LeaseID
	// Token is the first fencing token of the lease.
	Token uint64
	// TTL is the TTL that the lease was granted with.
	TTL time.Duration
}

// A Grant is the store's answer to a granted request.
type Grant struct {
	// Token is the fencing token; with Request.Tokens = n the block is Token
	// to Token+n-1.
	Token uint64
	// TTL is the TTL that the store really gave. Zero: the one asked for.
	TTL time.Duration
	// From is a reading of Request.Now that is not later than the moment from
	// which the store counts the TTL. A driver whose request stood in line
	// sets it to the reading taken before it sent the last request that was
	// answered "still waiting", or to a better one if it knows the age of the
	// lease. Zero: count from the call of Acquire, which is always safe, but
	// leaves nothing of the TTL to a request that waited for longer than that.
	From Instant
}

// CheckKey returns nil for a key that every store takes: 1 to [MaxKeyBytes]
// bytes of valid UTF-8 without control characters. Other errors are
// [ErrInvalidKey]. Keys are compared byte by byte; they are never normalised,
// shortened or hashed into one another.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrInvalidKey)
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrInvalidKey, len(key), MaxKeyBytes)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: it is not valid UTF-8", ErrInvalidKey)
	}
	for i, r := range key {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: it has the control character %U at byte %d", ErrInvalidKey, r, i)
		}
	}
	return nil
}

// Check returns nil for a request within the bounds of this package and an
// [ErrInvalid] otherwise. It does not look at Now.
func (r *Request) Check() error {
	if err := CheckKey(r.Key); err != nil {
		return err
	}
	metadata := 0
	for name, value := range r.Metadata {
		metadata += len(name) + len(value)
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return fmt.Errorf("check metadata: %w: it is not valid UTF-8", ErrInvalid)
		}
	}
	switch {
	case r.ID.IsZero():
		return fmt.Errorf("check attempt id: %w: it is zero", ErrInvalid)
	case r.Mode > Shared:
		return fmt.Errorf("check mode: %w: no mode %d", ErrInvalid, r.Mode)
	case r.Limit < 1 || r.Limit > MaxLimit:
		return fmt.Errorf("check limit: %w: want 1 to %d, got %d", ErrInvalid, MaxLimit, r.Limit)
	case r.Mode == Shared && r.Limit != 1:
		return fmt.Errorf("check limit: %w: a shared hold has no limit of %d: choose shared or limit", ErrInvalid, r.Limit)
	case r.TTL <= 0 || r.TTL > MaxTTL:
		return fmt.Errorf("check ttl: %w: want more than 0 and at most %v, got %v", ErrInvalid, MaxTTL, r.TTL)
	case r.MinHold < 0 || r.MinHold > MaxTTL:
		return fmt.Errorf("check minimum hold: %w: want 0 to %v, got %v", ErrInvalid, MaxTTL, r.MinHold)
	case r.Tokens < 1 || r.Tokens > MaxTokens:
		return fmt.Errorf("check tokens: %w: want 1 to %d, got %d", ErrInvalid, MaxTokens, r.Tokens)
	case len(r.Owner) > MaxOwnerBytes:
		return fmt.Errorf("check owner: %w: it has %d bytes, at most %d are allowed", ErrInvalid, len(r.Owner), MaxOwnerBytes)
	case !utf8.ValidString(r.Owner):
		return fmt.Errorf("check owner: %w: it is not valid UTF-8", ErrInvalid)
	case metadata > MaxMetadataBytes:
		return fmt.Errorf("check metadata: %w: it has %d bytes, at most %d are allowed", ErrInvalid, metadata, MaxMetadataBytes)
	}
	return nil
}
