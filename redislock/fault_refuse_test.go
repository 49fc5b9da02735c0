package redislock_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

const secret = "s3cr3t-p4ss"

// wantRefused checks the error of a command that the server refused: it had no
// effect, it says what is the matter, and it tells no secret.
func wantRefused(t *testing.T, what string, err error, says string) {
	t.Helper()
	wantErr(t, what, err, driver.ErrUnavailable)
	if errors.Is(err, driver.ErrAmbiguous) || errors.Is(err, driver.ErrLost) {
		t.Errorf("%s: the server has refused, and the error is %v", what, err)
	}
	wantText(t, what, err, says)
}

func wantText(t *testing.T, what string, err error, says string) {
	t.Helper()
	t.Logf("%s: %v", what, err)
	if !strings.Contains(err.Error(), says) {
		t.Errorf("%s: the error is %q; want %q in it", what, err, says)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("%s: the error tells the password: %v", what, err)
	}
}

// tryAll calls every method that speaks to the server once.
func tryAll(t *testing.T, d driver.Driver, key string) map[string]error {
	t.Helper()
	hold := driver.Hold{Key: key, ID: driver.NewLeaseID(), Token: 7, TTL: long}
	errs := make(map[string]error)
	_, errs["Acquire"] = d.Acquire(within(t, slack), request(key, long))
	nowait := request(key, long)
	nowait.NoWait = true
	_, errs["Acquire without waiting"] = d.Acquire(within(t, slack), nowait)
	errs["Renew"] = d.Renew(within(t, slack), hold, long)
	errs["Release"] = d.Release(within(t, slack), hold)
	errs["Break"] = d.Break(within(t, slack), key, hold.ID, driver.BreakNow)
	for _, err := range d.List(within(t, slack), key) {
		errs["List"] = err
	}
	return errs
}

// TestReadOnlyReplica: a lock cannot be taken at a replica.
func TestReadOnlyReplica(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	replica := redistest.Start(t, redistest.Config("replicaof", "127.0.0.1", fmt.Sprint(primary.Port)))
	until(t, "the replica follows its primary", func() bool {
		info, err := replica.Info("replication")
		return err == nil && info["master_link_status"] == "up"
	})
	d := openDriver(t, replica.URL("prefix="+prefix))
	_, err := d.Acquire(within(t, slack), request("k", long))
	wantRefused(t, "Acquire at a replica", err, "READONLY")
	wantNothing(t, primary, "k")
}

// TestLoading: a server that is reading its data refuses, and serves when it
// has.
func TestLoading(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Config("loading-process-events-interval-bytes", "1024"))
	s.Must(t, "DEBUG", "POPULATE", "5000", "filling", "100")
	d := openDriver(t, s.URL("prefix="+prefix))
	req := request("k", long)
	_, err := d.Acquire(within(t, slack), req)
	check(t, "Acquire", err)
	s.Must(t, "CONFIG", "SET", "key-load-delay", "2000")
	s.Must(t, "CONFIG", "REWRITE")
	s.Must(t, "SAVE")
	check(t, "kill the server", s.Kill())
	check(t, "launch the server", s.Launch())
	if _, err := s.Do("GET", "x"); err == nil || !strings.Contains(err.Error(), "LOADING") {
		t.Fatalf("the server is not loading: %v", err)
	}
	refused := false
	until(t, "the server refuses because it is loading", func() bool {
		err := d.Renew(within(t, slack), holdOf(req, driver.Grant{}), long)
		if err == nil {
			t.Fatal("Renew at a server that is loading has succeeded")
		}
		refused = strings.Contains(err.Error(), "LOADING")
		if refused {
			wantRefused(t, "Renew while loading", err, "LOADING")
		} else {
			wantErr(t, "Renew after a crash", err, driver.ErrUnavailable) // The connection that the crash has cut.
		}
		return refused
	})
	s.Must(t, "CONFIG", "SET", "key-load-delay", "0")
	until(t, "the server serves", func() bool { return d.Renew(within(t, slack), holdOf(req, driver.Grant{}), long) == nil })
	check(t, "Release", d.Release(within(t, slack), holdOf(req, driver.Grant{})))
}

// TestOutOfMemory: a full server refuses what would need more, and still takes
// a release.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Config("maxmemory-policy", "noeviction"))
	d := openDriver(t, s.URL("prefix="+prefix))
	held := request("held", long)
	_, err := d.Acquire(within(t, slack), held)
	check(t, "Acquire", err)
	s.Must(t, "CONFIG", "SET", "maxmemory", "1mb")
	_, err = d.Acquire(within(t, slack), request("k", long))
	wantRefused(t, "Acquire at a full server", err, "OOM")
	wantNothing(t, s, "k")
	check(t, "Renew at a full server", d.Renew(within(t, slack), holdOf(held, driver.Grant{}), long))
	check(t, "Release at a full server", d.Release(within(t, slack), holdOf(held, driver.Grant{})))
	wantNothing(t, s, "held")
	s.Must(t, "CONFIG", "SET", "maxmemory", "0")
	_, err = d.Acquire(within(t, slack), request("k", long))
	check(t, "Acquire with memory again", err)
}

// openOrAsk opens a store and, if that succeeds, asks it for a lock: a driver
// may find out at either.
func openOrAsk(t *testing.T, url string) error {
	t.Helper()
	d, err := driver.Open(t.Context(), url)
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Acquire(within(t, slack), request("k", long))
	return err
}

// TestNoPasswordAndWrongPassword are refused in words, and without the
// password.
func TestNoPasswordAndWrongPassword(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Password(secret))
	u, err := url.Parse(s.URL("prefix=" + prefix))
	check(t, "parse URL", err)
	check(t, "Acquire with the password", openOrAsk(t, u.String()))
	s.Must(t, "FLUSHALL")
	u.User = nil
	wantRefused(t, "Acquire without a password", openOrAsk(t, u.String()), "NOAUTH")
	u.User = url.UserPassword("", secret+"x")
	wantRefused(t, "Acquire with a wrong password", openOrAsk(t, u.String()), "WRONGPASS")
	u.User = url.UserPassword("nobody", secret)
	wantRefused(t, "Acquire as nobody", openOrAsk(t, u.String()), "WRONGPASS")
	wantNothing(t, s, "k")
}

// TestPasswordThatIsTakenBack: a client that is connected is refused when its
// rights are taken away, and served when it has them again.
func TestPasswordThatIsTakenBack(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.User("app on >"+secret+" ~* &* +@all"))
	d := openDriver(t, strings.Replace(s.URL("prefix="+prefix), "redis://", "redis://app:"+secret+"@", 1))
	req := request("k", long)
	_, err := d.Acquire(within(t, slack), req)
	check(t, "Acquire", err)
	s.Must(t, "ACL", "SETUSER", "app", "-evalsha", "-eval")
	for what, err := range tryAll(t, d, "k") {
		if err == nil {
			t.Errorf("%s without the right to it has succeeded", what)
			continue
		}
		wantRefused(t, what+" without the right to it", err, "NOPERM")
	}
	s.Must(t, "ACL", "SETUSER", "app", "+evalsha", "+eval")
	check(t, "Renew with the right to it", d.Renew(within(t, slack), holdOf(req, driver.Grant{}), long))
	check(t, "Release", d.Release(within(t, slack), holdOf(req, driver.Grant{})))
}

// TestKeyThatIsNoLock: a key of the user's own under the lock's name stays as
// it is, and the error says so.
func TestKeyThatIsNoLock(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	d := openDriver(t, s.URL("prefix="+prefix))
	for kind, command := range map[string][]string{
		"list":   {"RPUSH", prefix + "list", "a", "b"},
		"hash":   {"HSET", prefix + "hash", "a", "b"},
		"set":    {"SADD", prefix + "set", "a"},
		"zset":   {"ZADD", prefix + "zset", "1", "a"},
		"stream": {"XADD", prefix + "stream", "*", "a", "b"},
	} {
		s.Must(t, command...)
		before := s.Must(t, "DUMP", prefix+kind)
		for what, err := range tryAll(t, d, kind) {
			switch {
			case err == nil:
				if what != "List" {
					t.Errorf("%s of a key that is a %s has succeeded", what, kind)
				}
			case what == "Acquire", what == "Acquire without waiting":
				wantErr(t, what, err, driver.ErrInvalidKey)
				wantText(t, what+" of a "+kind, err, "another type")
			case !errors.Is(err, driver.ErrInvalidKey) && !errors.Is(err, driver.ErrLost):
				t.Errorf("%s of a key that is a %s: got the error %v", what, kind, err)
			}
		}
		if after := s.Must(t, "DUMP", prefix+kind); after != before {
			t.Errorf("the %s was changed", kind)
		}
		if ttl := s.Must(t, "PTTL", prefix+kind); ttl != int64(-1) {
			t.Errorf("the %s has a TTL of %v ms now", kind, ttl)
		}
	}
}

// TestServerThatIsNotThere is told at once, and in words.
func TestServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	check(t, "kill the server", s.Kill())
	begin := time.Now()
	err := openOrAsk(t, s.URL("prefix="+prefix))
	wantRefused(t, "Acquire at nobody", err, "refused")
	if took := time.Since(begin); took > slack/2 {
		t.Errorf("it took %v to find out", took)
	}
}
