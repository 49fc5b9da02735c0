package script

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/stilelock/stile/driver"
)

// Keys are the names of the keys of one lock, in the order in which the
// scripts take them.
type Keys [7]string

// The places in a [Keys].
const (
	// Lock is the key that stands exactly while somebody holds the lock.
	Lock = iota
	// State keeps the last token and the counts.
	State
	// Line has the waiters, by their place in line.
	Line
	// Entries has the records of waiters, and of those who hold together.
	Entries
	// Held has those who hold together, by their token.
	Held
	// Due has the same, by when they give way.
	Due
	// Gone has the attempts that are over and must not begin anew.
	Gone
)

// begins are the beginnings of our own names; the lock's has none.
var begins = [len(Keys{})]string{State: "stile:state:{", Line: "stile:line:{", Entries: "stile:entries:{", Held: "stile:held:{", Due: "stile:due:{", Gone: "stile:gone:{"}

// KeysFor returns the names for a key under a prefix. A lock whose name would
// be that of one of our own keys is refused with a driver.ErrInvalidKey.
func KeysFor(prefix, key string) (Keys, error) {
	names, tag, end, err := lockNames(prefix, key)
	if err != nil {
		return Keys{}, err
	}
	// All names in one piece of memory.
	var all strings.Builder
	all.Grow(len("stile:state:{stile:line:{stile:entries:{stile:held:{stile:due:{stile:gone:{") + 6*(len(tag)+len(end)))
	var ends [len(begins)]int
	for i, begin := range begins[State:] {
		all.WriteString(begin)
		all.WriteString(tag)
		all.WriteString(end)
		ends[State+i] = all.Len()
	}
	for i := State; i < len(names); i++ {
		names[i] = all.String()[ends[i-1]:ends[i]]
	}
	return names, nil
}

// PairFor is KeysFor for the first two names, Lock and State; the others are
// empty. Outside a Cluster a script needs no more.
func PairFor(prefix, key string) (Keys, error) {
	names, tag, end, err := lockNames(prefix, key)
	if err != nil {
		return Keys{}, err
	}
	names[State] = begins[State] + tag + end
	return names, nil
}

// lockNames returns the name of the lock's own key, and what stands in all
// others between the opening brace and the end.
func lockNames(prefix, key string) (names Keys, tag, end string, err error) {
	lock := prefix + key
	if lock == "" {
		return names, "", "", fmt.Errorf("name the lock's key in redis: %w: it is empty", driver.ErrInvalidKey)
	}
	if strings.HasPrefix(lock, "stile:") {
		for _, begin := range begins[State:] {
			if strings.HasPrefix(lock, begin) {
				return names, "", "", fmt.Errorf("name the lock's key in redis: %w: names that begin with %q are for the lock's own records: choose another key or prefix", driver.ErrInvalidKey, begin)
			}
		}
	}
	names[Lock] = lock
	tag, end = lock, "}"
	if strings.IndexByte(lock, '{') >= 0 || strings.IndexByte(lock, '}') >= 0 {
		end = "}" + lock
		if tag = hashTag(lock); tag == "" {
			tag = textInSlot(slotOf(lock))
		}
	}
	return names, tag, end, nil
}

// Tag returns the hash tag of the six names of our own, without its braces. It
// falls into the slot of all seven.
func (k *Keys) Tag() string {
	tag, _, _ := strings.Cut(k[State][len(begins[State]):], "}")
	return tag
}

// SlotTag returns a hash tag, without its braces, that is the same for all keys
// in the slot of these. It has letters and digits only: it can stand where a
// [Keys.Tag], which may hold anything, can not.
func (k *Keys) SlotTag() string { return textInSlot(slotOf(k.Tag())) }

// KeyOf returns the key that a name in Redis is about: that of a lock's own
// key, or of its state, its line, or any other of the seven. ok is false for
// a name that [KeysFor] does not make under this prefix. That a name has the
// form of a lock's key does not mean that it is one: with an empty prefix
// every name has it.
func KeyOf(prefix, name string) (key string, ok bool) {
	lock := name
	for _, begin := range begins[State:] {
		rest, own := strings.CutPrefix(name, begin)
		if !own {
			continue
		}
		tag, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", false
		}
		if lock = after; after == "" {
			lock = tag
		}
		break
	}
	key, ok = strings.CutPrefix(lock, prefix)
	if !ok || key == "" {
		return "", false
	}
	names, err := KeysFor(prefix, key)
	if err != nil {
		return "", false
	}
	for _, made := range names {
		if made == name {
			return key, true
		}
	}
	return "", false
}

// hashTag returns the part of a name that decides its slot, or "" if all of it
// does.
func hashTag(name string) string {
	_, after, opened := strings.Cut(name, "{")
	if !opened {
		return ""
	}
	tag, _, closed := strings.Cut(after, "}")
	if !closed {
		return ""
	}
	return tag
}

// slots is the number of slots of a Redis Cluster.
const slots = 16384

// Slot returns the slot of a Redis Cluster that a name falls into.
func Slot(name string) uint16 {
	if tag := hashTag(name); tag != "" {
		return slotOf(tag)
	}
	return slotOf(name)
}

// slotOf is CRC-16/XMODEM, modulo the number of slots.
func slotOf(text string) uint16 {
	var crc uint16
	for i := range len(text) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^text[i]]
	}
	return crc % slots
}

var crcTable = func() (table [256]uint16) {
	const polynomial = 0x1021
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ polynomial
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()

// textInSlot returns the same short text for a slot every time, without
// braces, that falls into it.
func textInSlot(slot uint16) string {
	return strconv.FormatUint(uint64(firstInSlot()[slot]), 36)
}

// firstInSlot maps each slot to the smallest number which, written to base 36,
// falls into it. It is made for those whose keys have odd braces: 64 KiB.
var firstInSlot = sync.OnceValue(func() *[slots]uint32 {
	var first [slots]uint32
	var known [slots]bool
	for n, missing := uint32(0), slots; missing > 0; n++ {
		slot := slotOf(strconv.FormatUint(uint64(n), 36))
		if !known[slot] {
			first[slot], known[slot] = n, true
			missing--
		}
	}
	return &first
})
