package sqlitelock

import (
	"context"
	"fmt"
	"net/url"

	"github.com/stilelock/stile/driver"
)

func init() { driver.Register("sqlite", openURL) }

// openURL opens sqlite:PATH. A relative path counts from the current
// directory, also when it is written as sqlite:./PATH; an absolute one may be
// written as sqlite:/PATH or sqlite:///PATH. Characters that mean something in
// a URL, ? and # and % above all, are percent-encoded. The query keys are
// busy_timeout and retention, see [Options].
func openURL(ctx context.Context, u *url.URL, query *driver.Query) (driver.Driver, error) {
	options := Options{
		BusyTimeout: query.Duration("busy_timeout", defaultBusyTimeout),
		Retention:   query.Duration("retention", defaultRetention),
	}
	if err := query.Err(); err != nil {
		return nil, err
	}
	// In Options zero is the default; in a URL it is somebody's mistake.
	if options.BusyTimeout <= 0 || options.Retention <= 0 {
		return nil, fmt.Errorf("read query: %w: busy_timeout and retention must be more than 0", driver.ErrInvalid)
	}
	path, err := pathOf(u)
	if err != nil {
		return nil, err
	}
	d, err := Open(ctx, path, &options)
	if err != nil {
		return nil, err // Not a typed nil.
	}
	return d, nil
}

func pathOf(u *url.URL) (string, error) {
	switch {
	case u.Host != "" || u.User != nil:
		return "", fmt.Errorf("read path: %w: a sqlite URL has no host: write sqlite:PATH, or sqlite:///PATH with three slashes", driver.ErrInvalid)
	case u.Fragment != "" || u.RawFragment != "":
		return "", fmt.Errorf("read path: %w: a # in a path is written %%23", driver.ErrInvalid)
	case u.Opaque == "":
		return u.Path, nil
	}
	path, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return "", fmt.Errorf("read path: %w: a %% in a path is written %%25", driver.ErrInvalid)
	}
	return path, nil
}
