package script_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
)

func TestParseReply(t *testing.T) {
	holder, err := script.ParseRecord(strings.Replace(someone, " wx ", " hx ", 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		values []any
		want   script.Reply
	}{
		"granted, fast":  {[]any{int64(1), "170", "171", "172", "173"}, script.Reply{Status: script.Granted, Now: 170, Token: 171, Since: 172, Expires: 173}},
		"granted":        {[]any{int64(1), int64(170), int64(171), int64(172), int64(173)}, script.Reply{Status: script.Granted, Now: 170, Token: 171, Since: 172, Expires: 173}},
		"queued":         {[]any{int64(2), int64(5), int64(9), int64(3), int64(1)}, script.Reply{Status: script.Queued, Now: 5, Due: 9, Ahead: 3, Foreign: true}},
		"busy":           {[]any{int64(3), int64(5), int64(2), strings.Replace(someone, " wx ", " hx ", 1)}, script.Reply{Status: script.Busy, Now: 5, Limit: 2, Holders: []lockqueue.Entry{holder}}},
		"busy, no names": {[]any{int64(3), int64(5), int64(2)}, script.Reply{Status: script.Busy, Now: 5, Limit: 2}},
		"limit":          {[]any{int64(4), int64(5), int64(2)}, script.Reply{Status: script.LimitDiffers, Now: 5, Limit: 2}},
		"lost":           {[]any{int64(5), int64(5)}, script.Reply{Status: script.Lost, Now: 5}},
		"ok":             {[]any{int64(0), int64(5)}, script.Reply{Now: 5}},
		"released, fast": {[]any{int64(0), "0"}, script.Reply{}},
		"renewed":        {[]any{int64(0), int64(5), int64(7)}, script.Reply{Now: 5, Expires: 7}},
		"would queue":    {[]any{int64(7), int64(5)}, script.Reply{Status: script.WouldQueue, Now: 5}},
	} {
		got, err := script.ParseAnswer(c.values, 1)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	got, err := script.ParseAnswer("1700", 15)
	if done, err := script.ParseAnswer(int64(0), 15); err != nil || !reflect.DeepEqual(done, script.Reply{}) {
		t.Errorf("got %+v, %v", done, err)
	}
	if want := (script.Reply{Status: script.Granted, Now: 1700, Token: 1700, Since: 1700, Expires: 1715}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseReplyRefuses(t *testing.T) {
	for _, answer := range []any{
		nil, "", "x", "-1", int64(1), int64(-1), 1.5,
		[]any{},
		[]any{nil},
		[]any{int64(0)},
		[]any{int64(6), int64(5)},
		[]any{int64(8), int64(5)},
		[]any{int64(-1), int64(5)},
		[]any{"0", "x"},
		[]any{int64(0), int64(5), int64(7), int64(9)},
		[]any{int64(1), int64(5), int64(7), int64(9)},
		[]any{int64(1), int64(5), int64(-7), int64(9), int64(9)},
		[]any{int64(1), int64(5), int64(1) << 53, int64(9), int64(9)},
		[]any{int64(1), int64(5), nil, int64(9), int64(9)},
		[]any{int64(1), int64(5), []any{}, int64(9), int64(9)},
		[]any{int64(2), int64(5), int64(5), int64(5), int64(2)},
		[]any{int64(2), int64(5), int64(5), int64(1 << 31), int64(1)},
		[]any{int64(3), int64(5)},
		[]any{int64(3), int64(5), int64(1 << 21)},
		[]any{int64(3), int64(5), int64(1), "x"},
		[]any{int64(3), int64(5), int64(1), nil},
		[]any{int64(4), int64(5)},
		[]any{int64(5), int64(5), int64(5)},
		[]any{int64(7), int64(5), int64(5)},
		[]any{0, 5},
	} {
		if got, err := script.ParseAnswer(answer, 1); err == nil {
			t.Errorf("%v was read as %+v", answer, got)
		}
	}
}

func TestReplyErr(t *testing.T) {
	holder, err := script.ParseRecord(strings.Replace(someone, " wx ", " hx ", 1))
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[script.Status]error{
		script.OK: nil, script.Granted: nil, script.Queued: nil, script.WouldQueue: nil,
		script.Busy: driver.ErrBusy, script.LimitDiffers: driver.ErrLimitMismatch, script.Lost: driver.ErrLost,
	} {
		r := script.Reply{Status: status, Now: holder.Since, Limit: 3, Holders: []lockqueue.Entry{holder}}
		got := r.Err("k", 2)
		if !errors.Is(got, want) {
			t.Errorf("%d: %v", status, got)
		}
		if busy := (*driver.BusyError)(nil); errors.As(got, &busy) && (busy.Key != "k" || busy.Limit != 3 || len(busy.Holders) != 1 || busy.Holders[0].ID != id(t)) {
			t.Errorf("got %+v", busy)
		}
		if limit := (*driver.LimitError)(nil); errors.As(got, &limit) && *limit != (driver.LimitError{Key: "k", InUse: 3, Asked: 2}) {
			t.Errorf("got %+v", limit)
		}
	}
}

func TestSplitClocked(t *testing.T) {
	rest, woken, due, err := script.SplitClocked([]any{int64(5), int64(6), []any{hexID, int64(7)}, int64(8)})
	if err != nil || len(rest) != 2 || due != 8 || !reflect.DeepEqual(woken, []script.Woken{{ID: id(t), Token: 7}}) {
		t.Errorf("got %v, %v, %v, %v", rest, woken, due, err)
	}
	for _, values := range [][]any{{}, {int64(0), "0"}, {int64(5), int64(6), int64(7)}} { // The shortest ways have no more than always.
		if rest, woken, due, err := script.SplitClocked(values); err != nil || len(rest) != len(values) || woken != nil || due != 0 {
			t.Errorf("got %v, %v, %v, %v", rest, woken, due, err)
		}
	}
	for _, values := range [][]any{{[]any{hexID}, int64(8)}, {[]any{}, "x"}, {[]any{"x", int64(1)}, int64(8)}} {
		if _, _, _, err := script.SplitClocked(values); err == nil {
			t.Errorf("%v was read", values)
		}
	}
}

func TestParseMessage(t *testing.T) {
	for text, want := range map[string]script.Message{
		"g " + hexID + " 5 6 7": {Kind: script.GrantedMessage, ID: id(t), Token: 5, Since: 6, Expires: 7},
		"w " + hexID:            {Kind: script.WithdrawnMessage, ID: id(t)},
		"l " + hexID:            {Kind: script.LookMessage, ID: id(t)},
		"b " + hexID:            {Kind: script.BrokenMessage, ID: id(t)},
	} {
		if got, err := script.ParseMessage(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "g", "x " + hexID, "gg " + hexID, "g " + hexID, "g " + hexID + " 5 6", "g " + hexID + " 5 6 7 8", "g " + hexID + " 5 6 x", "w " + hexID + " 5", "w x", "w  "} {
		if got, err := script.ParseMessage(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func TestParseState(t *testing.T) {
	at := int64(1_700_000_001_000_000)
	holder := strings.Replace(someone, " wx ", " hx ", 1)
	over := strings.Replace(holder, "1700000015000000", "1700000001000000", 1)
	for name, c := range map[string]struct {
		values           []any
		limit            int
		holders, waiters int
	}{
		"nobody":        {[]any{int64(0), at, "none", int64(-2), int64(1), int64(0), int64(0)}, 1, 0, 0},
		"one":           {[]any{int64(0), at, "lone", int64(14000), int64(1), int64(9), int64(0), holder}, 1, 1, 0},
		"many":          {[]any{int64(0), at, "many", int64(14000), int64(3), int64(9), int64(7), holder, holder, over, someone}, 3, 2, 1},
		"all is over":   {[]any{int64(0), at, "lone", int64(1), int64(1), int64(9), int64(0), over}, 1, 0, 0},
		"foreign":       {[]any{int64(0), at, "foreign", int64(2), int64(1), int64(9), int64(0), someone}, 1, 1, 1},
		"foreign, ever": {[]any{int64(0), at, "foreign", int64(-1), int64(1), int64(9), int64(0)}, 1, 1, 0},
	} {
		got, err := script.ParseState(c.values, "k")
		if err != nil || got.Key != "k" || got.Limit != c.limit || len(got.Holders) != c.holders || len(got.Waiters) != c.waiters {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if strings.HasPrefix(name, "foreign") && (got.Holders[0].Owner != script.Foreign || got.Holders[0].Expires.IsZero() != (name == "foreign, ever")) {
			t.Errorf("%s: got %+v", name, got.Holders[0])
		}
	}
	for _, values := range [][]any{
		nil,
		{int64(0), at, "some", int64(1), int64(1), int64(9), int64(0)},
		{int64(0), at, "none", "x", int64(1), int64(9), int64(0)},
		{int64(0), at, "none", int64(-3), int64(1), int64(9), int64(0)},
		{int64(0), at, "none", int64(1), int64(1), int64(9)},
		{int64(0), at, "none", int64(1), int64(1), int64(9), int64(0), "x"},
		{int64(5), at, "none", int64(1), int64(1), int64(9), int64(0)},
	} {
		if got, err := script.ParseState(values, "k"); err == nil {
			t.Errorf("%v was read as %+v", values, got)
		}
	}
}

// FuzzReply: nothing that a server answers makes a parser panic.
func FuzzReply(f *testing.F) {
	f.Add("1|170|171|172|173", 5)
	f.Add("3|170|2|"+someone, 3)
	f.Add("0|170|many|5|1|9|0|"+someone, 31)
	f.Add("g "+hexID+" 5 6 7", 0)
	f.Add("0|1|("+hexID+"|5|)|7", 4)
	f.Fuzz(func(t *testing.T, text string, asText int) {
		values := valuesOf(text, asText)
		if r, err := script.ParseReply(values); err == nil {
			if again, err := script.ParseAnswer(values, 1); err != nil || !reflect.DeepEqual(r, again) {
				t.Errorf("%v was read as %+v, then as %+v, %v", values, r, again, err)
			}
			_ = r.Err("k", 1)
		}
		_, _ = script.ParseState(values, "k")
		_, _, _, _ = script.SplitClocked(values)
		_, _ = script.ParseAnswer(text, 1)
		_, _ = script.ParseMessage(text)
	})
}

// valuesOf makes values of the parts of a text: a list of those in brackets,
// numbers of what looks like one and has no bit in asText.
func valuesOf(text string, asText int) []any {
	values := []any{}
	parts := strings.Split(text, "|")
	for i := 0; i < len(parts); i++ {
		part := parts[i]
		if rest, opens := strings.CutPrefix(part, "("); opens {
			list := []any{rest}
			for i++; i < len(parts) && !strings.HasPrefix(parts[i], ")"); i++ {
				list = append(list, number(parts[i]))
			}
			values = append(values, list)
			continue
		}
		if asText>>(i%16)&1 == 1 {
			values = append(values, part)
		} else {
			values = append(values, number(part))
		}
	}
	return values
}

func number(text string) any {
	n := int64(0)
	for i, c := range text {
		if c < '0' || c > '9' || i > 17 {
			return text
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
