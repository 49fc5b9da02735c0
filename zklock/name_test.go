package zklock

import (
	"errors"
	"strings"
	"testing"

	"github.com/stilelock/stile/driver"
)

func FuzzEscape(f *testing.F) {
	for _, key := range []string{"orders/42", ".", "..", "...", "zookeeper", "%", "a b", "é", "\U0001f512", "\ufffd", strings.Repeat("x", driver.MaxKeyBytes)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if driver.CheckKey(key) != nil {
			t.Skip()
		}
		name := escape(key)
		back, ours := unescape(name)
		if !ours || back != key {
			t.Fatalf("%q becomes %q and %q", key, name, back)
		}
		if name == "." || name == ".." || name == "zookeeper" || strings.ContainsFunc(name, func(r rune) bool { return r == '/' || !plain(r) && r != '%' }) {
			t.Errorf("%q becomes %q, which is no name of a node", key, name)
		}
	})
}

func TestForeignNodesAreNoEntries(t *testing.T) {
	t.Parallel()
	id := driver.NewLeaseID().String()
	for _, name := range []string{
		"", "-", "lock-0000000001", "_c_" + id + "-lock-0000000001", "x-" + id, "x-" + id + "-", "x-" + id + "-1", "x1-" + id + "-0000000001",
		"x02-" + id + "-0000000002", "x+2-" + id + "-0000000002", "x-" + id + "-+000000002", "x-" + id + "-00000000002", "x-" + id + "--00000002",
		"x-" + id + "--0000000002", "x-" + id + "-2147483648", "x-a" + strings.ToUpper(id[1:31]) + "A-0000000002",
		"y-" + id + "-0000000001", "x-" + id[1:] + "-0000000001", "x-" + strings.ToUpper(id) + "x-0000000001", "xx-" + id + "-0000000001",
	} {
		if e, ours := parseEntry(name); ours {
			t.Errorf("%q is taken for %+v", name, e)
		}
	}
}

// TestNumbersGoOnBelowZero: after 2,147,483,647.
func TestNumbersGoOnBelowZero(t *testing.T) {
	t.Parallel()
	var names []string
	for _, number := range []string{"-2147483647", "2147483646", "-2147483648", "2147483647", "-000000005"} {
		names = append(names, opening(driver.Shared, 1, driver.NewLeaseID())+number)
	}
	l := parseLine(names[:4])
	for i, want := range []int32{2147483646, 2147483647, -2147483648, -2147483647} {
		if l[i].seq != want {
			t.Errorf("at %d stands %d, want %d", i, l[i].seq, want)
		}
	}
	for last, want := range []int{4, 1, 3, 2} {
		if l := parseLineTo(append(names[:4:4], "lock-0000000001"), "/k/"+names[last]); len(l) != want || l.place("/k/"+names[last]) != want-1 {
			t.Errorf("up to %s: %+v, want %d", names[last], l, want)
		}
	}
	if e, ours := parseEntry(names[4]); !ours || e.seq != -5 {
		t.Errorf("%s: %+v", names[4], e)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"zookeeper:h1", "zookeeper:///x", "zookeeper://h1/a//b", "zookeeper://h1/a/../b", "zookeeper://user@h1/x", "zookeeper://h1?tick=0s",
		"zookeeper://h1?tick=2h", "zookeeper://h1?acl=none", "zookeeper://h1?tls=maybe", "zookeeper://h1?cert=x", "zookeeper://h1#x", "zookeeper://:2181",
		"zookeeper://h1,,h2", "zookeeper://a:b:c@h1/@",
	} {
		d, err := driver.Open(t.Context(), bad)
		if err == nil {
			d.Close()
		}
		if !errors.Is(err, driver.ErrInvalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
