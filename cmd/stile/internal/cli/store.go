package cli

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stilelock/stile"
	"github.com/stilelock/stile/driver"
)

const storeVariable = "STILE_STORE"

// A storeFlag is the flag --store of a command.
type storeFlag struct {
	env *env
	url string
}

func addStoreFlag(cmd *cobra.Command, e *env) *storeFlag {
	f := &storeFlag{env: e}
	cmd.Flags().StringVar(&f.url, "store", "", "URL of the `store`; default $STILE_STORE, else a file of yours")
	return f
}

// resolve returns the URL of the store: the flag's, the environment's, or the
// embedded default.
func (f *storeFlag) resolve() (string, error) {
	if f.url != "" {
		return f.url, nil
	}
	if fromEnv := f.env.getenv(storeVariable); fromEnv != "" {
		return fromEnv, nil
	}
	state := f.env.getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) { // The XDG specification says to ignore a relative one.
		home := f.env.getenv("HOME")
		if home == "" {
			return "", usagef("find the default store: neither XDG_STATE_HOME nor HOME is set; give --store or %s", storeVariable)
		}
		state = filepath.Join(home, ".local", "state")
	}
	path := filepath.Join(state, "stile", "locks.db")
	return (&url.URL{Scheme: "sqlite", Path: path, OmitHost: true}).String(), nil
}

// open opens the store.
func (f *storeFlag) open(ctx context.Context, config *stile.Config) (*stile.Locker, error) {
	storeURL, err := f.resolve()
	if err != nil {
		return nil, err
	}
	d, err := driver.Open(ctx, storeURL)
	if err != nil {
		return nil, err
	}
	return stile.New(d, config), nil
}

// use opens the store for one command that does not hold anything.
func (f *storeFlag) use(ctx context.Context, do func(ctx context.Context, locks *stile.Locker) error) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	locks, err := f.open(ctx, nil)
	if err != nil {
		return err
	}
	err = do(ctx, locks)
	if closed := locks.Close(); err == nil && closed != nil {
		return fmt.Errorf("close store: %w", closed)
	}
	return err
}
