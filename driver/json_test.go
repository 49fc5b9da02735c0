package driver_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
)

func TestLeaseIDs(t *testing.T) {
	seen := map[driver.LeaseID]bool{{}: true}
	for range 1000 {
		id := driver.NewLeaseID()
		if seen[id] || id.IsZero() {
			t.Fatalf("%v was there before", id)
		}
		seen[id] = true
		if back, err := driver.ParseLeaseID(id.String()); err != nil || back != id || len(id.String()) != 32 {
			t.Fatalf("%v comes back as %v, %v", id, back, err)
		}
	}
	if !(driver.LeaseID{}).IsZero() {
		t.Error("the zero id is not zero")
	}
	if id, err := driver.ParseLeaseID("00112233445566778899AABBCCDDEEFF"); err != nil || id.String() != "00112233445566778899aabbccddeeff" {
		t.Errorf("upper case: %v, %v", id, err)
	}
	for _, text := range []string{"", "00", "00112233445566778899aabbccddeef", "00112233445566778899aabbccddeeff00", "0011223344556677 899aabbccddeeff", "zz112233445566778899aabbccddeeff"} {
		if id, err := driver.ParseLeaseID(text); !errors.Is(err, driver.ErrInvalid) || !id.IsZero() {
			t.Errorf("%q: %v, %v", text, id, err)
		}
		id := driver.LeaseID{1}
		if err := id.UnmarshalText([]byte(text)); !errors.Is(err, driver.ErrInvalid) || id != (driver.LeaseID{1}) {
			t.Errorf("%q: %v, %v", text, id, err)
		}
	}
}

func TestModes(t *testing.T) {
	for mode, text := range map[driver.Mode]string{driver.Exclusive: "exclusive", driver.Shared: "shared"} {
		written, err := mode.MarshalText()
		if err != nil || string(written) != text || mode.String() != text {
			t.Errorf("%v is written as %s, %v", mode, written, err)
		}
		var read driver.Mode
		if err := read.UnmarshalText(written); err != nil || read != mode {
			t.Errorf("%s is read as %v, %v", written, read, err)
		}
	}
	if _, err := driver.Mode(7).MarshalText(); !errors.Is(err, driver.ErrInvalid) || driver.Mode(7).String() != "mode(7)" {
		t.Errorf("mode 7: %v, %v", driver.Mode(7), err)
	}
	for _, text := range []string{"", "Shared", "write"} {
		mode := driver.Shared
		if err := mode.UnmarshalText([]byte(text)); !errors.Is(err, driver.ErrInvalid) || mode != driver.Shared {
			t.Errorf("%q is read as %v, %v", text, mode, err)
		}
	}
}

// TestStateAsJSON pins the form that the command prints and the service sends.
func TestStateAsJSON(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890_000, time.UTC)
	state := driver.State{
		Key: "orders/42", Limit: 2,
		Holders: []driver.Holder{
			{
				ID: driver.LeaseID{0xab, 1}, Owner: "host:12", Mode: driver.Exclusive, Token: 1<<63 + 1,
				Since: at, Expires: at.Add(time.Minute), Metadata: map[string]string{"job": "7"},
			},
			{ID: driver.LeaseID{2}, Token: 5, Since: at, Expires: at, Ended: driver.EndedBroken},
		},
		Waiters: []driver.Waiter{{ID: driver.LeaseID{3}, Owner: "b", Mode: driver.Shared, Since: at}},
	}
	const want = `{"key":"orders/42","limit":2,"holders":[` +
		`{"id":"ab010000000000000000000000000000","owner":"host:12","mode":"exclusive","token":"9223372036854775809",` +
		`"since":"2026-03-04T05:06:07.00089Z","expires":"2026-03-04T05:07:07.00089Z","metadata":{"job":"7"}},` +
		`{"id":"02000000000000000000000000000000","owner":"","mode":"exclusive","token":"5",` +
		`"since":"2026-03-04T05:06:07.00089Z","expires":"2026-03-04T05:06:07.00089Z","ended":"broken"}],` +
		`"waiters":[{"id":"03000000000000000000000000000000","owner":"b","mode":"shared","since":"2026-03-04T05:06:07.00089Z"}]}`
	written, err := json.Marshal(state)
	if err != nil || string(written) != want {
		t.Errorf("got  %s, %v\nwant %s", written, err, want)
	}
	var read driver.State
	if err := json.Unmarshal(written, &read); err != nil || !reflect.DeepEqual(read, state) {
		t.Errorf("got  %+v, %v\nwant %+v", read, err, state)
	}
	empty, err := json.Marshal(driver.State{Key: "k", Limit: 1, Holders: []driver.Holder{}, Waiters: []driver.Waiter{}})
	if err != nil || string(empty) != `{"key":"k","limit":1,"holders":[],"waiters":[]}` {
		t.Errorf("a free key: %s, %v", empty, err)
	}
}
