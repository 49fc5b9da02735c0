package script_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
)

const (
	hexID   = "00112233445566778899aabbccddeeff"
	zeroID  = "00000000000000000000000000000000"
	someone = `stile1 wx ` + hexID + ` 0 1700000000000000 1700000015000000 15000000 0 1 7 1 p:stile:wake:c1 {"o":"build host/48213/stile","m":{"job":"a b"}}`
)

func id(t testing.TB) driver.LeaseID {
	t.Helper()
	id, err := driver.ParseLeaseID(hexID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestParseRecord(t *testing.T) {
	waiter := lockqueue.Entry{
		ID: id(t), Seq: 7, TTL: 15_000_000, Tokens: 1, Since: 1_700_000_000_000_000, SinceWall: 1_700_000_000_000_000, Expires: 1_700_000_015_000_000,
		Owner: "build host/48213/stile", Metadata: map[string]string{"job": "a b"}, Addr: "p:stile:wake:c1",
	}
	shared := lockqueue.Entry{
		ID: id(t), Phase: lockqueue.Held, Mode: driver.Shared, TTL: 4, MinHold: 5, Tokens: 6, Token: 9007199254740991, Since: 2, SinceWall: 2, Expires: 3,
	}
	released, broken, plain := shared, shared, shared
	since := shared
	since.Mode, since.Expires = driver.Exclusive, 6
	released.Phase, broken.Phase, plain.Mode = lockqueue.Released, lockqueue.Broken, driver.Exclusive
	for text, want := range map[string]lockqueue.Entry{
		someone: waiter,
		"stile1 ms " + hexID + " 9007199254740991 2 3 4 5 6 0 1 - ": shared,
		"stile1 hs " + hexID + " 9007199254740991 2 3 4 5 6 0 1 - ": shared,
		"stile1 rs " + hexID + " 9007199254740991 2 3 4 5 6 0 1 - ": released,
		"stile1 bs " + hexID + " 9007199254740991 2 3 4 5 6 0 1 - ": broken,
		"stile1 hx " + hexID + " 9007199254740991 2 3 4 5 6 0 1 - ": plain,
		"stile1 hx " + hexID + " 9007199254740991 2 + 4 5 6 0 1 - ": since,
	} {
		if got, err := script.ParseRecord(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v\nwant %+v", text, got, err, want)
		}
	}
}

func TestParseRecordRefuses(t *testing.T) {
	good := "stile1 hx " + hexID + " 1 2 3 4 5 6 7 8 - "
	if _, err := script.ParseRecord(good); err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		"": "another form", "stile1": "another form", "stile1 many": "another form", "stile2" + good[6:]: "another form",
		strings.TrimSuffix(good, " "): "another form", strings.Replace(good, " hx ", " h ", 1): "another form", strings.Replace(good, " hx ", " hxx ", 1): "another form",
		strings.Replace(good, " hx ", " qx ", 1): "phase", strings.Replace(good, " hx ", " hq ", 1): "mode",
		strings.Replace(good, hexID, hexID[1:], 1): "lease id", strings.Replace(good, hexID, "g"+hexID[1:], 1): "lease id",
		strings.Replace(good, " 1 ", " -1 ", 1): "number", strings.Replace(good, " 1 ", " +1 ", 1): "number", strings.Replace(good, " 1 ", " 1.5 ", 1): "number",
		strings.Replace(good, " 1 ", "  ", 1): "number", strings.Replace(good, " 1 ", " 9007199254740992 ", 1): "number", strings.Replace(good, " 1 ", " 1e3 ", 1): "number", strings.Replace(good, " 1 ", " + ", 1): "number",
		strings.Replace(good, " 6 ", " 0 ", 1): "bounds", strings.Replace(good, " 6 ", " 1048577 ", 1): "bounds",
		strings.Replace(good, " 8 ", " 0 ", 1): "bounds", strings.Replace(good, " 8 ", " 1048577 ", 1): "bounds",
		strings.Replace(good, " - ", "  ", 1): "address", good + "x": "JSON", good + `{"o":1}`: "JSON", good + `{"o":"a"} `: "",
	} {
		_, err := script.ParseRecord(text)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestTailIsShortAndWhole(t *testing.T) {
	for want, c := range map[string]struct {
		owner    string
		metadata map[string]string
	}{
		"": {}, `{"o":"host/1/prog"}`: {owner: "host/1/prog"}, `{"o":"<é>"}`: {owner: "<é>"}, `{"m":{"a":"1","b":""}}`: {metadata: map[string]string{"b": "", "a": "1"}},
		`{"o":"a\n b\"","m":{"":"\u0000"}}`: {"a\n b\"", map[string]string{"": "\x00"}},
	} {
		got := script.Tail(c.owner, c.metadata)
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		e, err := script.ParseRecord("stile1 hx " + hexID + " 1 2 3 4 5 6 7 8 - " + got)
		if err != nil || e.Owner != c.owner || !reflect.DeepEqual(e.Metadata, c.metadata) {
			t.Errorf("%q: read back as %q, %v, %v", got, e.Owner, e.Metadata, err)
		}
	}
}

func TestHolderWhoDoesNotUseStile(t *testing.T) {
	for expires, want := range map[string]time.Time{"1700000000000000": time.UnixMicro(1_700_000_000_000_000).UTC(), "9007199254740991": {}} {
		e, err := script.ParseRecord("stile1 hx " + zeroID + " 0 0 " + expires + " 0 0 1 0 1 - ")
		if err != nil {
			t.Fatal(err)
		}
		if got := script.Holder(&e, 5); !reflect.DeepEqual(got, driver.Holder{Owner: script.Foreign, Expires: want}) {
			t.Errorf("got %+v", got)
		}
	}
	e, err := script.ParseRecord(strings.Replace(someone, " wx ", " bx ", 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := script.Holder(&e, e.Since+1); got.Ended != driver.EndedBroken || !got.Since.Equal(e.Since.Time()) || !got.Expires.Equal(e.Expires.Time()) {
		t.Errorf("got %+v", got)
	}
}

// FuzzParseRecord: nothing that a server keeps makes it panic, and what it
// reads makes sense.
func FuzzParseRecord(f *testing.F) {
	f.Add(someone)
	f.Add("stile1 ms " + hexID + " 9007199254740991 2 3 4 5 6 0 1 - ")
	f.Add("stile1 many")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := script.ParseRecord(text)
		if err == nil && (e.Tokens < 1 || e.Token > 1<<53 || e.Until() < 0 || e.Phase > lockqueue.Broken || strings.Contains(e.Addr, " ")) {
			t.Errorf("%q was read as %+v", text, e)
		}
		script.Holder(&e, 1)
	})
}
