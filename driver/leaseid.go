package driver

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// A LeaseID names one attempt to acquire a key and, once that is granted, the
// lease. It is 128 random bits, minted once for a logical acquire and kept
// through all its retries, so that a store can tell a retry from a rival.
//
// Whoever knows a lease's id can renew or release it.
type LeaseID [16]byte

// NewLeaseID mints an attempt id.
func NewLeaseID() LeaseID {
	var id LeaseID
	_, _ = rand.Read(id[:]) // Never fails: crypto/rand ends the program instead.
	return id
}

// ParseLeaseID reads the form that [LeaseID.String] writes.
func ParseLeaseID(s string) (LeaseID, error) {
	var id LeaseID
	if hex.DecodedLen(len(s)) != len(id) {
		return LeaseID{}, fmt.Errorf("parse lease id: %w: want 32 hexadecimal digits, got %d characters", ErrInvalid, len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return LeaseID{}, fmt.Errorf("parse lease id: %w: want 32 hexadecimal digits", ErrInvalid)
	}
	return id, nil
}

// String returns the id as 32 lower-case hexadecimal digits.
func (id LeaseID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id is the zero value, which names no lease.
func (id LeaseID) IsZero() bool { return id == LeaseID{} }

// MarshalText implements encoding.TextMarshaler.
func (id LeaseID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *LeaseID) UnmarshalText(text []byte) error {
	parsed, err := ParseLeaseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
