package redistest

import (
	"net/url"
	"strconv"
	"strings"
)

// A setup is what the options of a server say.
type setup struct {
	config   []string
	users    []string
	tls      bool
	password string
}

// An Option says how a server is to be.
type Option func(*setup)

// Config sets a line of the configuration file: Config("maxmemory", "2mb").
func Config(name string, values ...string) Option {
	return func(s *setup) { s.config = append(s.config, strings.Join(append([]string{name}, values...), " ")) }
}

// AOF keeps every write on disk before it is answered: appendonly with
// appendfsync always.
func AOF() Option {
	return func(s *setup) { s.config = append(s.config, "appendonly yes", "appendfsync always") }
}

// TLS serves TLS only, to clients that show a certificate of the test's own
// authority. [Server.TLS] has the files.
func TLS() Option { return func(s *setup) { s.tls = true } }

// Password asks the default user for a password.
func Password(password string) Option { return func(s *setup) { s.password = password } }

// User adds a user by an ACL rule as it stands behind `user` in redis.conf:
// User("app on >secret ~* +get").
func User(rule string) Option { return func(s *setup) { s.users = append(s.users, "user "+rule) } }

// lines is the configuration file but for ports and folders.
func (s *setup) lines() []string {
	lines := []string{
		"bind 127.0.0.1",
		"protected-mode no",
		"daemonize no",
		`save ""`,
		"enable-debug-command yes",
		"maxclients 10000",
		"repl-diskless-sync yes",
		"repl-diskless-sync-delay 0",
	}
	if s.password != "" {
		lines = append(lines, "requirepass "+strconv.Quote(s.password))
	}
	lines = append(lines, s.users...)
	return append(lines, s.config...) // Last, so that it overrides.
}

// encodeQuery joins "name=value" pairs to a query of a URL, each escaped.
func encodeQuery(pairs []string) string {
	query := make(url.Values)
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		query.Add(name, value)
	}
	return query.Encode()
}
