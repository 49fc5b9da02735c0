package tests

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/zklock/internal/zktest"
)

// secureURL is a store URL with these query keys.
func secureURL(addr, root string, query map[string]string) string {
	values := url.Values{"tick": {zktest.Tick.String()}}
	for name, value := range query {
		values.Set(name, value)
	}
	return (&url.URL{Scheme: "zookeeper", Host: addr, Path: root, RawQuery: values.Encode()}).String()
}

// TestTLS: a client with the right certificate has locks, also over a second
// connection; without it, or behind a server that it cannot trust, it is told so
// soon.
func TestTLS(t *testing.T) {
	server, path := zktest.StartSecure(t), root()
	right := map[string]string{"ca": server.CA, "cert": server.Cert, "key": server.Key}
	d, err := driver.Open(t.Context(), secureURL(server.SecureAddr, path, right))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	ours := begin(t, d, long).granted()
	others := openDriver(t, []string{server.Addr}, path)
	next := begin(t, others, long)
	next.waits()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Again(); err != nil {
		t.Fatal(err)
	}
	if err := d.Renew(t.Context(), ours.hold(), long); err != nil {
		t.Errorf("renew after the server has come back: %v", err)
	}
	ours.release()
	next.granted().release()
	for why, query := range map[string]map[string]string{
		"bad certificate":                                     {"ca": server.CA},
		"bad certificate, that of another":                    {"ca": server.CA, "cert": server.CA, "key": server.ServerKey},
		"certificate signed by unknown authority":             {"ca": server.Cert, "cert": server.Cert, "key": server.Key},
		"connect to zookeeper " + server.SecureAddr + ": EOF": {"tls": "false"},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			d, err := driver.Open(ctx, secureURL(server.SecureAddr, path, query))
			if err == nil {
				d.Close()
			}
			why, _, _ := strings.Cut(why, ",")
			if !errors.Is(err, driver.ErrUnavailable) || !strings.Contains(err.Error(), why) {
				t.Errorf("got %v, want %q and one that matches %q", err, why, driver.ErrUnavailable)
			}
		})
	}
}
