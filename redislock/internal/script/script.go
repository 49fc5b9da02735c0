package script

import (
	"crypto/sha1" //nolint:gosec // It is Redis's name for a script, and keeps no secret.
	"embed"
	"encoding/hex"
	"strings"
)

//go:embed lua/*.lua
var files embed.FS

// A Script is one that runs in Redis.
type Script struct {
	// Name says what it does, for messages: "acquire".
	Name string
	// Text is its Lua.
	Text string
	// SHA1 is what EVALSHA calls it: 40 hexadecimal digits.
	SHA1 string
}

// The scripts. All take a lock's keys in the order of [Keys]. On one server
// the first two are enough: the scripts know the others' names. In a Cluster
// give all seven, so that a slot that is on the move answers TRYAGAIN before
// the script has begun.
var (
	// Acquire grants, queues or refuses an attempt.
	Acquire = compose("acquire", "acquire_head", "head", "machine", "acquire")
	// Renew lets a lease live on.
	Renew = compose("renew", "renew_head", "head", "machine", "renew")
	// Release ends a lease or withdraws an attempt.
	Release = compose("release", "release_head", "head", "machine", "release")
	// Break ends somebody's lease.
	Break = compose("break", "break_head", "head", "machine", "break")
	// Settle ends what has expired and moves the line up.
	Settle = compose("settle", "settle_head", "head", "machine", "settle")
	// Inspect reads all that is kept of a lock, and changes nothing.
	Inspect = compose("inspect", "inspect_head", "head", "inspect")
)

// compose joins the files that a script is made of.
func compose(name string, parts ...string) Script {
	var text strings.Builder
	for _, part := range parts {
		content, err := files.ReadFile("lua/" + part + ".lua")
		if err != nil {
			panic("script: " + err.Error()) // They are part of the program.
		}
		text.Write(content)
	}
	return New(name, text.String())
}

// New makes a script of a text.
func New(name, text string) Script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // See above.
	return Script{Name: name, Text: text, SHA1: hex.EncodeToString(sum[:])}
}
