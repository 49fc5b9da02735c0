package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/stilelock/stile"
)

// clean makes a text of somebody else's safe to print on a terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '�'
	}, text)
}

// when prints a time for people: the time of day if it is near, with the date
// if not, and a dash if the store does not know it.
func when(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	t = t.Local()
	if y, m, d := t.Date(); t.Sub(now).Abs() < 12*time.Hour || sameDay(now, y, m, d) {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

func sameDay(now time.Time, y int, m time.Month, d int) bool {
	ny, nm, nd := now.Local().Date()
	return ny == y && nm == m && nd == d
}

// span prints how long something is, to the second.
func span(d time.Duration) string { return max(d, 0).Round(time.Second).String() }

// modeOf prints a mode for people: a semaphore's holds are permits.
func modeOf(mode stile.Mode, limit int) string {
	if limit > 1 {
		return fmt.Sprintf("permit of %d", limit)
	}
	return mode.String()
}

// until says when a hold gives way.
func until(h *stile.Holder, now time.Time) string {
	text := when(h.Expires, now)
	switch {
	case h.Expires.IsZero():
		return text
	case h.Ended == "":
		return text + " unless renewed"
	default:
		return text + " (" + string(h.Ended) + ")"
	}
}

// heldBy says in one line who holds a key.
func heldBy(state *stile.State, now time.Time) string {
	if len(state.Holders) == 0 {
		return "held by nobody"
	}
	first := &state.Holders[0]
	text := "held by " + clean(first.Owner)
	if !first.Since.IsZero() {
		text += fmt.Sprintf(" since %s (%s)", when(first.Since, now), span(now.Sub(first.Since)))
	}
	if !first.Expires.IsZero() {
		text += ", until " + until(first, now)
	}
	if more := len(state.Holders) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// lease names a hold; one that stile did not grant has no name.
func lease(h *stile.Holder) string {
	if h.ID.IsZero() {
		return "no lease of stile"
	}
	return fmt.Sprintf("token %d\tlease %s", h.Token, h.ID)
}

// writeState prints one key for people.
func writeState(w io.Writer, state *stile.State, now time.Time) error {
	fmt.Fprintf(w, "%s", clean(state.Key))
	if state.Limit > 1 {
		fmt.Fprintf(w, "  %d of %d permits taken", len(state.Holders), state.Limit)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range state.Holders {
		h := &state.Holders[i]
		fmt.Fprintf(table, "  holds\t%s\t%s\tsince %s\tuntil %s\t%s\n",
			clean(h.Owner), modeOf(h.Mode, state.Limit), when(h.Since, now), until(h, now), lease(h))
	}
	for i, waiter := range state.Waiters {
		fmt.Fprintf(table, "  waits %d\t%s\t%s\tsince %s\t\t\tattempt %s\n",
			i+1, clean(waiter.Owner), modeOf(waiter.Mode, state.Limit), when(waiter.Since, now), waiter.ID)
	}
	return table.Flush()
}

// writeJSON prints a value as JSON, on one line per value of a list.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
