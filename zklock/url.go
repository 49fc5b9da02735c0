package zklock

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/stilelock/stile/driver"
)

// scheme is that of store URLs.
const scheme = "zookeeper"

const form = "zookeeper://USER:PASSWORD@HOST:PORT,HOST:PORT/ROOT"

func init() { driver.Register(scheme, open) }

// open opens the store of a URL. docs/stores/zookeeper.md describes them. Its
// errors repeat nothing of the URL but names of query keys and files.
func open(ctx context.Context, u *url.URL, query *driver.Query) (driver.Driver, error) {
	servers, options, err := readURL(u, query)
	if err != nil {
		return nil, err
	}
	d, err := New(servers, options)
	if err != nil {
		return nil, err
	}
	if err := d.look(ctx); err != nil {
		_ = d.Close() // There is nothing to lose yet.
		return nil, err
	}
	return d, nil
}

func readURL(u *url.URL, query *driver.Query) ([]string, *Options, error) {
	malformed := func(what string) error {
		for key := range u.Query() {
			query.String(key, "") // It may be the end of a password: no error repeats it.
		}
		return fmt.Errorf("read URL: %w: %s: write %s, with / ? # @ : and %% in a password percent-encoded", driver.ErrInvalid, what, form)
	}
	switch {
	case u.Opaque != "" || u.Host == "":
		return nil, nil, malformed("a host is missing")
	case u.Fragment != "" || u.RawFragment != "":
		return nil, nil, malformed("there is a # in it")
	case strings.Contains(u.Path, "@"):
		return nil, nil, malformed("there is an @ behind the host")
	}
	o := &Options{Root: u.Path, User: u.User.Username()}
	o.Password, _ = u.User.Password()
	if o.Root == "/" {
		o.Root = ""
	}
	o.Tick = query.Duration("tick", DefaultTick)
	o.OpenACL = query.String("acl", "") == "open"
	if acl := query.String("acl", "open"); acl != "open" && acl != "own" {
		return nil, nil, fmt.Errorf("read query key %q: %w: want own or open", "acl", driver.ErrInvalid)
	}
	files := tlsFiles{
		ca: query.String("ca", ""), cert: query.String("cert", ""), key: query.String("key", ""),
		serverName: query.String("server_name", ""), wanted: query.String("tls", ""),
	}
	if err := query.Err(); err != nil {
		return nil, nil, err
	}
	if o.Tick == 0 {
		return nil, nil, fmt.Errorf("read query: %w: tick must be the servers' tickTime, such as 2s", driver.ErrInvalid)
	}
	var err error
	if o.TLS, err = files.config(); err != nil {
		return nil, nil, err
	}
	return strings.Split(u.Host, ","), o, nil
}
