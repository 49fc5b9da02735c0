package rights

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stilelock/stile/driver"
	_ "github.com/stilelock/stile/redislock" // registers redis:
	"github.com/stilelock/stile/redislock/internal/redistest"
)

const password = "swordfish"

// documented returns the rules of the user in the documentation, one a word:
// those for all, those to add in Cluster, and those to add with Sentinel.
func documented(t *testing.T) (all, cluster, sentinel []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "stores", "redis.md"))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]string
	for _, found := range regexp.MustCompile("(?s)\nACL SETUSER locks (.*?)\n```").FindAllSubmatch(page, -1) {
		rules := strings.Fields(strings.ReplaceAll(string(found[1]), "\\\n", " "))
		for i := range rules {
			rules[i] = strings.Replace(rules[i], ">PASSWORD", ">"+password, 1)
		}
		lines = append(lines, rules)
	}
	if len(lines) != 3 {
		t.Fatalf("docs/stores/redis.md has %d blocks that begin with ACL SETUSER locks, want one for all, one for Cluster, one for Sentinel", len(lines))
	}
	return lines[0], lines[1], lines[2]
}

func TestDocumentedRightsAreEnough(t *testing.T) {
	rules, _, _ := documented(t)
	if err := everything(t, standalone(t, rules)); err != nil {
		t.Error(err)
	}
}

// Each right is taken away once, and something fails.
func TestNoDocumentedRightIsTooMany(t *testing.T) {
	rules, _, _ := documented(t)
	withoutEach(t, rules, func(t *testing.T, rest []string) error { return everything(t, standalone(t, rest)) })
}

func TestDocumentedRightsInCluster(t *testing.T) {
	rules, more, _ := documented(t)
	cluster := redistest.StartCluster(t)
	try := func(t *testing.T, rules []string) error {
		for _, node := range cluster.Nodes {
			if err := setUser(node, slices.Concat([]string{"reset"}, rules)); err != nil {
				t.Fatal(err)
			}
		}
		return everything(t, &place{url: cluster.URL(), owner: func(key string) (*redistest.Server, error) {
			slot, err := cluster.SlotOf(key)
			if err != nil {
				return nil, err
			}
			i, err := cluster.Owner(slot)
			return cluster.Nodes[max(i, 0)], err
		}})
	}
	if err := try(t, slices.Concat(rules, more)); err != nil {
		t.Error(err)
	}
	for i, rule := range more {
		if err := try(t, slices.Concat(rules, more[:i], more[i+1:])); err == nil {
			t.Errorf("everything works without %s", rule)
		}
	}
}

func TestDocumentedRightsWithSentinel(t *testing.T) {
	rules, _, more := documented(t)
	group := redistest.StartSentinel(t, nil)
	primary, err := group.Primary()
	if err != nil {
		t.Fatal(err)
	}
	try := func(rules []string) error {
		if err := setUser(primary, slices.Concat([]string{"reset"}, rules)); err != nil {
			t.Fatal(err)
		}
		return everything(t, &place{url: group.URL(), owner: func(string) (*redistest.Server, error) { return primary, nil }})
	}
	if err := try(slices.Concat(rules, more)); err != nil {
		t.Error(err)
	}
	for i, rule := range more {
		if err := try(slices.Concat(rules, more[:i], more[i+1:])); err == nil {
			t.Errorf("everything works without %s", rule)
		}
	}
}

// withoutEach checks that something fails without any one of the rights.
func withoutEach(t *testing.T, rules []string, try func(*testing.T, []string) error) {
	tried := 0
	for i, rule := range rules {
		if strings.IndexByte("+~&", rule[0]) < 0 || rule == "+ping" { // A ping comes after 10 s of silence only.
			continue
		}
		tried++
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			err := try(t, slices.Concat(rules[:i], rules[i+1:]))
			if err == nil {
				t.Error("everything works without it")
			} else {
				t.Log(err)
			}
		})
	}
	if tried < 20 {
		t.Errorf("only %d rights were tried", tried)
	}
}

// A place is where the user works, and how an operator reaches it.
type place struct {
	url   string
	owner func(key string) (*redistest.Server, error)
}

func standalone(t *testing.T, rules []string) *place {
	t.Helper()
	server := redistest.Start(t)
	if err := setUser(server, rules); err != nil {
		t.Fatal(err)
	}
	return &place{url: server.URL(), owner: func(string) (*redistest.Server, error) { return server, nil }}
}

// operator runs a command on the server that has the key args[1].
func (p *place) operator(args ...string) error {
	server, err := p.owner(args[1])
	if err != nil {
		return err
	}
	_, err = server.Do(args...)
	return err
}

func setUser(server *redistest.Server, rules []string) error {
	_, err := server.Do(append([]string{"ACL", "SETUSER", "locks"}, rules...)...)
	return err
}

// everything does what a user of stile can do. It stops at the first failure.
func everything(t *testing.T, at *place) (err error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d, err := driver.Open(ctx, strings.Replace(at.url, "//", "//locks:"+password+"@", 1))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	u := &use{ctx: ctx, end: cancel, d: d}
	for _, step := range []func(*use, *place){(*use).alone, (*use).handOver, (*use).together, (*use).withdraw, (*use).breaks, (*use).odd} {
		if step(u, at); u.err != nil {
			return u.err
		}
	}
	return nil
}

// A use is what a program does, up to the first failure.
type use struct {
	ctx context.Context //nolint:containedctx // For the length of one test.
	end context.CancelFunc
	d   driver.Driver
	err error
}

func (u *use) try(what string, err error) {
	if u.err == nil && err != nil {
		u.err = fmt.Errorf("%s: %w", what, err)
		u.end() // Nobody waits any longer.
	}
}

func (u *use) request(key string, change ...func(*driver.Request)) driver.Request {
	req := driver.Request{Key: key, ID: driver.NewLeaseID(), TTL: 30 * time.Second, Limit: 1, Tokens: 1, Owner: "a test", Now: driver.SystemClock}
	for _, f := range change {
		f(&req)
	}
	return req
}

func shared(req *driver.Request) { req.Mode = driver.Shared }
func (u *use) acquire(req driver.Request) driver.Hold {
	if u.err != nil {
		return driver.Hold{}
	}
	grant, err := u.d.Acquire(u.ctx, req)
	u.try("acquire "+req.Key, err)
	return driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token}
}

func (u *use) release(h driver.Hold) {
	if u.err == nil {
		u.try("release "+h.Key, u.d.Release(u.ctx, h))
	}
}

func (u *use) renew(h driver.Hold) {
	if u.err == nil {
		u.try("renew "+h.Key, u.d.Renew(u.ctx, h, 30*time.Second))
	}
}

// waiting has somebody wait in line, and returns what waits for its grant.
func (u *use) waiting(ctx context.Context, req driver.Request) (granted func() (driver.Hold, error)) {
	if u.err != nil {
		return func() (driver.Hold, error) { return driver.Hold{}, u.err }
	}
	var grant driver.Grant
	var err error
	var done sync.WaitGroup
	ended := make(chan struct{})
	done.Go(func() {
		defer close(ended)
		grant, err = u.d.Acquire(ctx, req)
	})
	for u.err == nil && !u.waits(&req) {
		select {
		case <-ended:
			done.Wait()
			u.try("wait for "+req.Key, fmt.Errorf("it did not wait: %w", err))
		case <-u.ctx.Done():
			u.try("wait for "+req.Key, u.ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	return func() (driver.Hold, error) {
		done.Wait()
		return driver.Hold{Key: req.Key, ID: req.ID, Token: grant.Token}, err
	}
}

// waits reports whether the request stands in line.
func (u *use) waits(req *driver.Request) bool {
	for state, err := range u.d.List(u.ctx, "") {
		u.try("list", err)
		for _, w := range state.Waiters {
			if w.ID == req.ID {
				return true
			}
		}
	}
	return false
}

func (u *use) alone(*place) {
	h := u.acquire(u.request("alone"))
	u.renew(h)
	u.release(h)
	u.release(u.acquire(u.request("alone")))
}

func (u *use) handOver(*place) {
	first := u.acquire(u.request("hand"))
	req := u.request("hand")
	granted := u.waiting(u.ctx, req)
	third := u.waiting(u.ctx, u.request("hand"))
	again := u.waiting(u.ctx, req) // A copy keeps the place.
	select {
	case <-time.After(50 * time.Millisecond): // It is on its way: to be in line is nothing new.
	case <-u.ctx.Done():
	}
	u.release(first)
	second, err := granted()
	u.try("be granted", err)
	_, err = again()
	u.try("be granted", err)
	u.release(second)
	last, err := third()
	u.try("be granted", err)
	u.release(last)
}

func (u *use) together(at *place) {
	a, b := u.acquire(u.request("many", shared)), u.acquire(u.request("many", shared))
	u.renew(a)
	granted := u.waiting(u.ctx, u.request("many"))
	if u.err == nil {
		_, err := u.d.Acquire(u.ctx, u.request("many", shared, func(r *driver.Request) { r.NoWait = true }))
		if !errors.Is(err, driver.ErrBusy) {
			u.try("ask for a busy key", fmt.Errorf("got %w", err))
		}
	}
	// The state may be lost, to an eviction for example.
	u.try("delete the state", at.operator("DEL", "stile:state:{lock:many}"))
	u.release(a)
	u.release(b)
	c, err := granted()
	u.try("be granted", err)
	u.release(c)
}

func (u *use) withdraw(*place) {
	h := u.acquire(u.request("gone"))
	req := u.request("gone")
	ctx, cancel := context.WithCancel(u.ctx)
	granted := u.waiting(ctx, req)
	cancel()
	if _, err := granted(); u.err == nil && !errors.Is(err, context.Canceled) {
		u.try("cancel", fmt.Errorf("got %w", err))
	}
	u.release(driver.Hold{Key: req.Key, ID: req.ID})
	if u.err == nil {
		// A late copy.
		if _, err := u.d.Acquire(u.ctx, req); !errors.Is(err, driver.ErrLost) {
			u.try("acquire again", fmt.Errorf("got %w, want lost", err))
		}
	}
	u.release(h)
}

func (u *use) breaks(*place) {
	h := u.acquire(u.request("broken"))
	if u.err == nil {
		u.try("break", u.d.Break(u.ctx, h.Key, h.ID, driver.BreakGently))
		u.try("break", u.d.Break(u.ctx, h.Key, h.ID, driver.BreakNow))
	}
}

// odd is what an operator or a program without stile may do.
func (u *use) odd(at *place) {
	u.try("set", at.operator("SET", "lock:foreign", "x", "PX", "300"))
	h := u.acquire(u.request("foreign"))
	u.release(h)
	u.acquire(u.request("deleted", shared))
	u.try("delete", at.operator("DEL", "lock:deleted"))
	u.release(u.acquire(u.request("deleted")))
}
