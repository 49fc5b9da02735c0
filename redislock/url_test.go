package redislock

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/redislock/internal/redistest"
)

// errRead ends an opening when its URL is read.
var errRead = errors.New("the URL was read")

// lastRead is what the last opening of a scheme that begins with "read-" was
// to open.
var lastRead struct {
	sync.Mutex
	at     *address
	option rueidis.ClientOption
}

func init() {
	for scheme := range forms {
		driver.Register("read-"+scheme, func(_ context.Context, u *url.URL, query *driver.Query) (driver.Driver, error) {
			plain := *u
			plain.Scheme = scheme
			at, err := readURL(&plain, query)
			if err != nil {
				return nil, err
			}
			option, err := at.clientOption()
			if err != nil {
				return nil, err
			}
			lastRead.at, lastRead.option = at, option
			return nil, errRead
		})
	}
}

// read reads a URL as opening it would.
func read(t *testing.T, text string) (*address, rueidis.ClientOption) {
	t.Helper()
	lastRead.Lock()
	defer lastRead.Unlock()
	if _, err := driver.Open(t.Context(), "read-"+text); !errors.Is(err, errRead) {
		t.Fatalf("read %s: %v", text, err)
	}
	return lastRead.at, lastRead.option
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url            string
		hosts          []string
		user, password string
		master         string
		database       int
	}{
		{url: "redis://h", hosts: []string{"h:6379"}},
		{url: "redis://h:7/", hosts: []string{"h:7"}},
		{url: "redis://h:/3", hosts: []string{"h:6379"}, database: 3},
		{url: "redis://u@h", hosts: []string{"h:6379"}, user: "u"},
		{url: "redis://:p@h", hosts: []string{"h:6379"}, password: "p"},
		{url: "rediss://u:p%2F%3F%23%40%3A%25@h:1/0", hosts: []string{"h:1"}, user: "u", password: "p/?#@:%"},
		{url: "redis://[::1]", hosts: []string{"[::1]:6379"}},
		{url: "redis://[::1]:7/2", hosts: []string{"[::1]:7"}, database: 2},
		{url: "redis+cluster://h1:1,h2:2,h1:1", hosts: []string{"h1:1", "h2:2"}},
		{url: "redis+cluster://u:p@h1,h2/0", hosts: []string{"h1:6379", "h2:6379"}, user: "u", password: "p"},
		{url: "redis+sentinel://h1,h2:7/main", hosts: []string{"h1:26379", "h2:7"}, master: "main"},
		{url: "redis+sentinel://u:p@h1/my-main.1/4", hosts: []string{"h1:26379"}, user: "u", password: "p", master: "my-main.1", database: 4},
	} {
		at, option := read(t, c.url)
		if !reflect.DeepEqual(at.hosts, c.hosts) || at.user != c.user || at.password != c.password || at.master != c.master || at.database != c.database {
			t.Errorf("%s is read as %+v", c.url, at)
		}
		if !reflect.DeepEqual(option.InitAddress, c.hosts) || option.Username != c.user || option.Password != c.password ||
			option.Sentinel.MasterSet != c.master || option.SelectDB != c.database {
			t.Errorf("%s: the client is told %+v", c.url, option)
		}
		if (option.TLSConfig != nil) != strings.HasPrefix(c.url, "rediss:") {
			t.Errorf("%s: TLS is %v", c.url, option.TLSConfig != nil)
		}
		if at.options != (Options{Prefix: DefaultPrefix, Retention: DefaultRetention}) {
			t.Errorf("%s: the options are %+v", c.url, at.options)
		}
	}
}

func TestQueryKeys(t *testing.T) {
	t.Parallel()
	at, _ := read(t, "redis://h?prefix=mutex%3A&retention=90s")
	if at.options != (Options{Prefix: "mutex:", Retention: 90 * time.Second}) {
		t.Errorf("the options are %+v", at.options)
	}
	at, _ = read(t, "redis://h?prefix=")
	if !at.options.NoPrefix || at.options.Prefix != "" {
		t.Errorf("an empty prefix is %+v", at.options)
	}
	_, option := read(t, "redis+sentinel://u:p@h/m?sentinel_user=su&sentinel_password=sp&tls=true&server_name=n")
	if option.Sentinel.Username != "su" || option.Sentinel.Password != "sp" || option.Username != "u" || option.Password != "p" {
		t.Errorf("the credentials are mixed up: %+v", option)
	}
	if option.TLSConfig == nil || option.Sentinel.TLSConfig == nil || option.TLSConfig.ServerName != "n" {
		t.Error("there is no TLS to the primary or to the Sentinels")
	}
	_, option = read(t, "redis+sentinel://u:p@h/m")
	if option.Sentinel.Username != "" || option.Sentinel.Password != "" {
		t.Error("the Sentinels are shown the server's password")
	}
}

// TestBadURLs: each is refused as invalid, in words that help, before anything
// is dialled; what may be a password is not repeated.
func TestBadURLs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, says string }{
		{"redis:h", "redis://USER"},
		{"redis://", "a host is missing"},
		{"redis://:1", "a host is missing"},
		{"redis://h:0", "a port"},
		{"redis://h:65536", "a port"},
		{"redis://h,i", "one server only"},
		{"redis://h/x", "number of a database"},
		{"redis://h/-1", "number of a database"},
		{"redis://h/1/2", "too long"},
		{"redis://h#x", "#"},
		{"redis+cluster://h/1", "database 0"},
		{"redis+cluster://h,", "a host is missing"},
		{"redis+sentinel://h", "the name that the Sentinels have"},
		{"redis+sentinel://h/a%20b", "the name that the Sentinels have"},
		{"redis+sentinel://h/m/x", "number of a database"},
		{"redis+sentinel://h/m?sentinel_user=u", "sentinel_password"},
		{"redis://h?sentinel_password=s3cr3t", "unknown query key"},
		{"redis://h?password=s3cr3t", "unknown query key"},
		{"redis://h?retention=0s", "retention"},
		{"redis://h?retention=0.5s", "retention"},
		{"redis://h?retention=-1h", "retention"},
		{"redis://h?retention=9000h", "retention"},
		{"redis://h?retention=soon", "retention"},
		{"redis://h?prefix=%00", "control characters"},
		{"redis://h?prefix=%ff", "UTF-8"},
		{"redis://h?prefix=" + strings.Repeat("x", 513), "513 bytes"},
		{"redis://h?tls=yes", "true or false"},
		{"rediss://h?tls=false", "contradicts"},
		{"redis://h?tls=false&server_name=x", "contradicts"},
		{"redis://h?cert=x", "cert and key go together"},
		{"redis://h?key=x", "cert and key go together"},
		// A password with a character that should be encoded.
		{"redis://user:12/s3cr3t@h", "percent-encoded"},
		{"redis://user:12?s3cr3t@h", "percent-encoded"},
		{"redis://user:12?s3cr3t@h/0?prefix=x&s3cr3t", "percent-encoded"},
		{"redis://user:12#s3cr3t@h", "percent-encoded"},
		{"redis://s3cr3t/x@h", "percent-encoded"},
		{"redis://user:s3cr3t/x@h", "malformed"},
		{"redis+sentinel://user:12/s3cr3t@h/m", "percent-encoded"},
		{"redis+sentinel://user:12/s3cr3t/s3cr3t@h/m", "percent-encoded"},
	} {
		for _, scheme := range []string{"", "read-"} {
			d, err := driver.Open(t.Context(), scheme+c.url)
			if d != nil || !errors.Is(err, driver.ErrInvalid) || errors.Is(err, driver.ErrUnavailable) {
				t.Errorf("%s%s: %v", scheme, c.url, err)
				continue
			}
			if !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%s%s: the error is %q; want %q in it, and no password", scheme, c.url, err, c.says)
			}
		}
	}
}

func TestTLSFiles(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.TLS())
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, c := range []struct{ ca, cert, key, names string }{
		{ca: missing, names: missing},
		{ca: broken, names: broken},
		{cert: missing, key: s.TLS.Key, names: missing},
		{cert: s.TLS.Cert, key: missing, names: missing},
		{cert: broken, key: s.TLS.Key, names: broken},
		{cert: s.TLS.Cert, key: broken, names: broken},
	} {
		files := tlsFiles{ca: c.ca, cert: c.cert, key: c.key}
		if _, err := files.config(false); !errors.Is(err, driver.ErrInvalid) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	files := tlsFiles{ca: s.TLS.CA, cert: s.TLS.Cert, key: s.TLS.Key, serverName: "n"}
	config, err := files.config(false) // Files imply TLS.
	if err != nil || config == nil || config.RootCAs == nil || len(config.Certificates) != 1 || config.ServerName != "n" {
		t.Errorf("good files: %+v, %v", config, err)
	}
	if config, err := (&tlsFiles{wanted: "false"}).config(false); config != nil || err != nil {
		t.Errorf("without TLS: %+v, %v", config, err)
	}
	if config, err := (&tlsFiles{wanted: "true"}).config(true); config == nil || err != nil {
		t.Errorf("with TLS twice: %+v, %v", config, err)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given, want Options
		wrong       bool
	}{
		{want: Options{Prefix: "lock:", Retention: time.Hour}},
		{given: Options{NoPrefix: true}, want: Options{NoPrefix: true, Retention: time.Hour}},
		{given: Options{Prefix: "ö{t}:", Retention: time.Second}, want: Options{Prefix: "ö{t}:", Retention: time.Second}},
		{given: Options{Prefix: "x", NoPrefix: true}, wrong: true},
		{given: Options{Prefix: "\n"}, wrong: true},
		{given: Options{Prefix: "\xff"}, wrong: true},
		{given: Options{Prefix: strings.Repeat("x", 513)}, wrong: true},
		{given: Options{Retention: -1}, wrong: true},
		{given: Options{Retention: time.Second - 1}, wrong: true},
		{given: Options{Retention: maxRetention + 1}, wrong: true},
	} {
		got, err := c.given.checked()
		if c.wrong {
			if !errors.Is(err, driver.ErrInvalid) {
				t.Errorf("%+v: %v", c.given, err)
			}
		} else if got != c.want || err != nil {
			t.Errorf("%+v: %+v, %v", c.given, got, err)
		}
	}
	if _, err := New(nil, nil); !errors.Is(err, driver.ErrInvalid) {
		t.Errorf("New with a nil client: %v", err)
	}
}
