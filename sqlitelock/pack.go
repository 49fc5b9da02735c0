package sqlitelock

import (
	"encoding/binary"
	"fmt"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
)

// packVersion is the first byte of a packed entry.
const packVersion = 1

// packEntry writes an entry into one value: the version, the id, the numbers
// as varints, and the texts, each behind its length.
func packEntry(e *lockqueue.Entry) ([]byte, error) {
	metadata, err := encodeMetadata(e.Metadata)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 96+len(e.Owner)+len(metadata)+len(e.Addr))
	b = append(b, packVersion)
	b = append(b, e.ID[:]...)
	b = append(b, byte(e.Phase), byte(e.Mode))
	for _, n := range [...]int64{
		int64(e.Seq), int64(e.Token), int64(e.TTL), int64(e.MinHold), int64(e.Tokens),
		int64(e.Since), int64(e.SinceWall), int64(e.Expires),
	} {
		b = binary.AppendVarint(b, n)
	}
	for _, text := range [...]string{e.Owner, metadata, e.Addr} {
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b, nil
}

// unpackEntry reads what packEntry wrote.
func unpackEntry(b []byte) (lockqueue.Entry, error) {
	var e lockqueue.Entry
	const head = 1 + len(driver.LeaseID{}) + 2
	if len(b) < head || b[0] != packVersion {
		return e, fmt.Errorf("read holder: %w", errDamaged)
	}
	copy(e.ID[:], b[1:])
	e.Phase, e.Mode = lockqueue.Phase(b[head-2]), driver.Mode(b[head-1])
	b = b[head:]
	var numbers [8]int64
	for i := range numbers {
		n, size := binary.Varint(b)
		if size <= 0 {
			return e, fmt.Errorf("read holder: %w", errDamaged)
		}
		numbers[i], b = n, b[size:]
	}
	e.Seq, e.Token, e.Tokens = uint64(numbers[0]), uint64(numbers[1]), int(numbers[4])
	e.TTL, e.MinHold = lockqueue.Micros(numbers[2]), lockqueue.Micros(numbers[3])
	e.Since, e.SinceWall, e.Expires = lockqueue.Micros(numbers[5]), lockqueue.Micros(numbers[6]), lockqueue.Micros(numbers[7])
	var texts [3]string
	for i := range texts {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			return e, fmt.Errorf("read holder: %w", errDamaged)
		}
		texts[i], b = string(b[size:size+int(n)]), b[size+int(n):]
	}
	if len(b) != 0 {
		return e, fmt.Errorf("read holder: %w", errDamaged)
	}
	e.Owner, e.Addr = texts[0], texts[2]
	return checkedEntry(e, texts[1])
}
