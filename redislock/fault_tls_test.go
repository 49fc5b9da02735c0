package redislock_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// TestTLSWithClientCertificates: by TLS everything is as it is without.
func TestTLSWithClientCertificates(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.TLS())
	locks := openLocks(t, s.URL("prefix="+prefix))
	others := openLocks(t, s.URL("prefix="+prefix))
	lease := acquire(t, locks, "k", &stile.Options{TTL: 3 * time.Second})
	next := stand(t, others, "k", nil)
	holds(t, lease)
	release(t, lease)
	release(t, next.granted(t))
	wantNothing(t, s, "k")
}

// TestTLSRefuses: who has no certificate, or trusts another authority, does not
// come in, and is told why.
func TestTLSRefuses(t *testing.T) {
	t.Parallel()
	s, foreign := redistest.Start(t, redistest.TLS()), redistest.Start(t, redistest.TLS())
	u, err := url.Parse(s.URL("prefix=" + prefix))
	check(t, "parse URL", err)
	with := func(change func(url.Values)) string {
		copied, query := *u, u.Query()
		change(query)
		copied.RawQuery = query.Encode()
		return copied.String()
	}
	check(t, "with everything", openOrAsk(t, with(func(url.Values) {})))
	for _, c := range []struct {
		name, says string
		change     func(url.Values)
	}{
		{"no certificate", "certificate", func(q url.Values) { q.Del("cert"); q.Del("key") }},
		{"no authority", "certificate", func(q url.Values) { q.Del("ca") }},
		{"another authority", "certificate", func(q url.Values) { q.Set("ca", foreign.TLS.CA) }},
		{"another server's certificate", "certificate", func(q url.Values) { q.Set("cert", foreign.TLS.Cert); q.Set("key", foreign.TLS.Key) }},
	} {
		err := openOrAsk(t, with(c.change))
		if err == nil {
			t.Errorf("%s: it has succeeded", c.name)
			continue
		}
		wantText(t, c.name, err, c.says)
	}
}
