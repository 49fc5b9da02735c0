package redislock

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/stilelock/stile/driver"
)

// The URL schemes.
const (
	schemePlain    = "redis"
	schemeTLS      = "rediss"
	schemeSentinel = "redis+sentinel"
	schemeCluster  = "redis+cluster"
)

// forms are how a URL of each scheme looks, for errors.
var forms = map[string]string{
	schemePlain:    "redis://USER:PASSWORD@HOST:PORT/DATABASE",
	schemeTLS:      "rediss://USER:PASSWORD@HOST:PORT/DATABASE",
	schemeSentinel: "redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME/DATABASE",
	schemeCluster:  "redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT",
}

// An address is what a store URL says of where the server is, and of who asks.
type address struct {
	scheme           string
	hosts            []string // HOST:PORT
	user, password   string
	master           string // Sentinel's name of the primary
	database         int
	tls              tlsFiles
	options          Options
	sentinelUser     string
	sentinelPassword string
}

// readURL reads a store URL. Its errors are driver.ErrInvalid and repeat nothing
// of the URL but the names of query keys: a password with a character that means
// something in a URL can come to stand anywhere in it.
func readURL(u *url.URL, query *driver.Query) (*address, error) {
	a := &address{scheme: u.Scheme}
	if err := a.readPlace(u); err != nil {
		hushQuery(u, query)
		return nil, err
	}
	if err := a.readQuery(query); err != nil {
		return nil, err
	}
	return a, nil
}

// hushQuery marks all query keys as known. Then no error repeats what may be the
// end of a password that has a question mark in it.
func hushQuery(u *url.URL, query *driver.Query) {
	for key, values := range u.Query() {
		if len(values) == 1 {
			query.String(key, "")
		}
	}
}

// malformed is the error of a URL, with the form that it should have.
func (a *address) malformed(what string) error {
	return fmt.Errorf("read URL: %w: %s: write %s, with / ? # @ : and %% in a password percent-encoded", driver.ErrInvalid, what, forms[a.scheme])
}

// readPlace reads all but the query.
func (a *address) readPlace(u *url.URL) error {
	switch {
	case u.Opaque != "":
		return a.malformed("two slashes are missing after the scheme")
	case u.Fragment != "" || u.RawFragment != "":
		return a.malformed("there is a # in it")
	case u.User == nil && strings.Contains(u.Path+"?"+u.RawQuery, "@") && looksCut(u):
		return a.malformed("there is an @ behind the host")
	}
	a.user = u.User.Username()
	a.password, _ = u.User.Password()
	if err := a.readHosts(u.Host); err != nil {
		return err
	}
	return a.readPath(u.Path)
}

// looksCut reports whether the password may have ended the host early: then the
// @ that should stand before the host stands in the path or in the name of a
// query key.
func looksCut(u *url.URL) bool {
	if strings.Contains(u.Path, "@") {
		return true
	}
	for key := range u.Query() {
		if strings.Contains(key, "@") {
			return true
		}
	}
	return false
}

// readHosts reads a list of hosts, each with or without a port.
func (a *address) readHosts(list string) error {
	port := "6379"
	if a.scheme == schemeSentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(list, ",") {
		name, given, err := net.SplitHostPort(host)
		if err != nil { // There is no port.
			name, given = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port
		}
		if given == "" {
			given = port
		}
		if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 {
			return a.malformed("a port is no number from 1 to 65535")
		}
		if name == "" || strings.ContainsAny(name, "[]") {
			return a.malformed("a host is missing")
		}
		if whole := net.JoinHostPort(name, given); !slices.Contains(a.hosts, whole) {
			a.hosts = append(a.hosts, whole)
		}
	}
	if len(a.hosts) > 1 && (a.scheme == schemePlain || a.scheme == schemeTLS) {
		return a.malformed("it names one server only; for several there are " + schemeSentinel + " and " + schemeCluster)
	}
	return nil
}

// readPath reads the name of the primary, and the number of the database.
func (a *address) readPath(path string) error {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if a.scheme == schemeSentinel {
		if !isMasterName(parts[0]) {
			return a.malformed("the path must begin with the name that the Sentinels have for the primary, of letters, digits and . - _")
		}
		a.master, parts = parts[0], parts[1:]
	}
	switch {
	case len(parts) == 0 || len(parts) == 1 && parts[0] == "":
		return nil
	case len(parts) > 1:
		return a.malformed("the path is too long")
	}
	n, err := strconv.ParseUint(parts[0], 10, 31)
	if err != nil {
		return a.malformed("the path must end with the number of a database")
	}
	if n != 0 && a.scheme == schemeCluster {
		return a.malformed("a Cluster has database 0 only")
	}
	a.database = int(n)
	return nil
}

// isMasterName says what Sentinel takes as a name.
func isMasterName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}

// readQuery reads the query.
func (a *address) readQuery(query *driver.Query) error {
	a.options = Options{
		Prefix:    query.String("prefix", DefaultPrefix),
		Retention: query.Duration("retention", DefaultRetention),
	}
	a.options.NoPrefix = a.options.Prefix == ""
	a.tls = tlsFiles{
		ca: query.String("ca", ""), cert: query.String("cert", ""), key: query.String("key", ""),
		serverName: query.String("server_name", ""), wanted: query.String("tls", ""),
	}
	if a.scheme == schemeSentinel {
		a.sentinelUser = query.String("sentinel_user", "")
		a.sentinelPassword = query.String("sentinel_password", "")
	}
	if err := query.Err(); err != nil {
		return err
	}
	if a.sentinelUser != "" && a.sentinelPassword == "" {
		return fmt.Errorf("read query: %w: sentinel_user needs a sentinel_password", driver.ErrInvalid)
	}
	// In Options zero is the default; in a URL it is somebody's mistake.
	if a.options.Retention == 0 {
		return fmt.Errorf("read query: %w: retention must be at least %v", driver.ErrInvalid, minRetention)
	}
	_, err := a.options.checked()
	return err
}
