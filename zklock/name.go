package zklock

import (
	"encoding/hex"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stilelock/stile/driver"
)

const hexDigits = "0123456789ABCDEF"

// escape makes a node's name of a key: what ZooKeeper does not take in a name, or
// takes for something else, becomes %XX for each byte.
func escape(key string) string {
	var b strings.Builder
	for i, r := range key {
		size := utf8.RuneLen(r)
		if plain(r) && !(r == '.' && strings.Trim(key, ".") == "") && !(i == 0 && key == "zookeeper") {
			b.WriteString(key[i : i+size])
			continue
		}
		for _, c := range []byte(key[i : i+size]) {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// plain says what ZooKeeper takes in a name. It counts in UTF-16, so nothing
// beyond the first 65,536 characters.
func plain(r rune) bool {
	return r >= 0x20 && r < 0xd800 && r != '/' && r != '%' && (r < 0x7f || r > 0x9f)
}

// unescape returns the key whose node has that name.
func unescape(name string) (key string, ours bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		if i+3 > len(name) {
			return "", false
		}
		c, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	key = b.String()
	return key, driver.CheckKey(key) == nil && escape(key) == name
}

// An entry is one attempt as its node's name tells of it.
type entry struct {
	name  string
	mode  driver.Mode
	limit int
	seq   int32
}

// id is the attempt's.
func (e *entry) id() (id driver.LeaseID) {
	at := strings.IndexByte(e.name, '-') + 1
	_, _ = hex.Decode(id[:], []byte(e.name[at:at+idLength])) // parseEntry has looked at it.
	return id
}

// idLength is how long an id is in a name.
const idLength = 2 * len(driver.LeaseID{})

// opening is how the name of an attempt's node begins: s for shared, x for
// exclusive, x and a number for one of so many permits. The limit stands in each
// name and not in the parent's data: so it comes with the list, and there is no
// moment at which a parent is there and does not tell.
func opening(mode driver.Mode, limit int, id driver.LeaseID) string {
	letter := "x"
	if mode == driver.Shared {
		letter = "s"
	} else if limit > 1 {
		letter += strconv.Itoa(limit)
	}
	return letter + "-" + id.String() + "-"
}

// parseEntry reads the name of a node. Others may keep nodes in the folder too, and
// nothing is taken for an entry that [opening] would write in another way.
func parseEntry(name string) (e entry, ours bool) {
	kind, text, number, ours := parts(name)
	if !ours || !isID(text) || !isSequence(number) {
		return entry{}, false
	}
	e = entry{name: name, limit: 1}
	switch {
	case kind == "s":
		e.mode = driver.Shared
	case kind == "x":
	case len(kind) > 1 && kind[0] == 'x' && isNumber(kind[1:]):
		var err error
		if e.limit, err = strconv.Atoi(kind[1:]); err != nil || e.limit < 2 || e.limit > driver.MaxLimit {
			return entry{}, false
		}
	default:
		return entry{}, false
	}
	seq, err := strconv.ParseInt(number, 10, 32)
	e.seq = int32(seq)
	return e, err == nil
}

// parts are what is between the dashes of a name.
func parts(name string) (kind, id, number string, ok bool) {
	at := strings.IndexByte(name, '-') + 1
	end := at + idLength
	if at == 0 || len(name) <= end || name[end] != '-' {
		return "", "", "", false
	}
	return name[:at-1], name[at:end], name[end+1:], true
}

func isID(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isNumber reports whether all of a text are digits, and the first is not 0.
func isNumber(text string) bool {
	return text[0] != '0' && areDigits(text)
}

func areDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}

// isSequence reports whether a number is written as servers write it: as %010d, which
// has nine digits behind a minus, or more if they are needed.
func isSequence(number string) bool {
	const least = 10
	digits := strings.TrimPrefix(number, "-")
	return areDigits(digits) && (len(number) == least || len(number) > least && digits[0] != '0')
}

// A line is what stands in a key's folder, in order.
type line []entry

// parseLine orders by the number that the server gave. It counts children in 32
// bits and goes on below zero after 2,147,483,647, so two are compared by their
// distance: no line is as long as half of that.
func parseLine(names []string) line {
	return parseWhere(names, func(int32) bool { return true })
}

// parseLineTo is parseLine of those up to a node. Who came later takes no part in its
// place, and when a node's turn comes that is nearly everybody.
func parseLineTo(names []string, node string) line {
	last := number(node)
	return parseWhere(names, func(seq int32) bool { return seq-last <= 0 })
}

// parseWhere sorts numbers and not entries: lists may be long, and each who joins
// or moves up gets one.
func parseWhere(names []string, counts func(seq int32) bool) line {
	var first int32
	var order []uint64 // in the high half the distance from the first, in the low one the place among the names
	for i, name := range names {
		_, _, text, ok := parts(name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		seq := int32(n)
		if err != nil || !counts(seq) {
			continue
		}
		if order == nil {
			first, order = seq, make([]uint64, 0, len(names))
		}
		order = append(order, uint64(uint32(seq-first)^1<<31)<<32|uint64(i)) //nolint:gosec // As meant: below zero comes first.
	}
	slices.Sort(order)
	l := make(line, 0, len(order))
	for _, o := range order {
		if e, ours := parseEntry(names[uint32(o)]); ours { //nolint:gosec // The low half.
			l = append(l, e)
		}
	}
	return l
}

// limit is the limit in use: that of the first. Who came with another one is about
// to go.
func (l line) limit() int {
	if len(l) == 0 {
		return 1
	}
	return l[0].limit
}

// find returns the place of the attempt with an id, or -1.
func (l line) find(id driver.LeaseID) int {
	return slices.IndexFunc(l, func(e entry) bool { return e.id() == id })
}

// place returns the place of a node, or -1. An attempt finds itself by this: another
// node with its id may be left over from a session that was over for this process
// before it is for the servers.
func (l line) place(node string) int {
	name := path.Base(node)
	return slices.IndexFunc(l, func(e entry) bool { return e.name == name })
}

// blockers are those before the entry at a place that count against it.
func (l line) blockers(at int) line {
	if l[at].mode != driver.Shared {
		return l[:at]
	}
	return slices.DeleteFunc(slices.Clone(l[:at]), func(e entry) bool { return e.mode == driver.Shared })
}

// holds reports whether the entry at a place holds: fewer than its limit of those
// that count stand before it, and none that came with another limit.
func (l line) holds(at int) bool {
	before := l.blockers(at)
	return len(before) < l[at].limit && !slices.ContainsFunc(before, func(e entry) bool { return e.limit != l[at].limit })
}

// holders are those who hold, and others those who do not.
func (l line) split() (holders, others line) {
	for at := range l {
		if l.holds(at) {
			holders = append(holders, l[at])
		} else {
			others = append(others, l[at])
		}
	}
	return holders, others
}
