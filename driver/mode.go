package driver

import "fmt"

// A Mode says what a hold leaves to others.
type Mode uint8

const (
	// Exclusive takes one of the key's permits. With a limit of 1, the
	// default, its holder is alone; with a limit of n it is one of n, and the
	// key is a semaphore.
	Exclusive Mode = iota
	// Shared leaves room for any number of other shared holds and for no
	// exclusive one. It goes with a limit of 1.
	Shared
)

// String returns "exclusive" or "shared".
func (m Mode) String() string {
	switch m {
	case Exclusive:
		return "exclusive"
	case Shared:
		return "shared"
	default:
		return fmt.Sprintf("mode(%d)", uint8(m))
	}
}

// MarshalText implements encoding.TextMarshaler.
func (m Mode) MarshalText() ([]byte, error) {
	if m > Shared {
		return nil, fmt.Errorf("write mode: %w: no mode %d", ErrInvalid, uint8(m))
	}
	return []byte(m.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "exclusive":
		*m = Exclusive
	case "shared":
		*m = Shared
	default:
		return fmt.Errorf("read mode: %w: want exclusive or shared, got %q", ErrInvalid, text)
	}
	return nil
}
