package sqlitelock

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stilelock/stile/driver"
	"github.com/stilelock/stile/driver/locktest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		exitWith(serve(path))
	}
	if name := os.Getenv(faultEnv); name != "" {
		exitWith(faults[name](os.Getenv(faultDirEnv)))
	}
	locktest.Child(nil)
	os.Exit(m.Run())
}

func exitWith(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func TestConformance(t *testing.T) {
	locktest.Run(t, locktest.Harness{
		New: func(t testing.TB, _ []locktest.Hook) locktest.Store {
			path := filepath.Join(t.TempDir(), "locks.db")
			url := "sqlite:" + path
			return locktest.Store{
				URL:    url,
				Open:   func(ctx context.Context) (driver.Driver, error) { return driver.Open(ctx, url) },
				Forget: func(ctx context.Context, key string) error { return forget(ctx, path, key) },
			}
		},
		Without: map[locktest.Hook]string{
			locktest.HookRestart: "a file has no server",
			locktest.HookNetwork: "a file is reached without a network",
			locktest.HookSession: "a lease depends on no connection",
		},
	})
}

// forget drops the record of an idle key at once, as a sweep does when its
// retention time is over.
func forget(ctx context.Context, path, key string) error {
	db, err := sql.Open("sqlite", dataSource(path, false)+"&_busy_timeout=5000")
	if err != nil {
		return err
	}
	defer db.Close()
	err = changeOne(db.ExecContext(ctx, "DELETE FROM keys WHERE key = ? AND held = 0 AND waiting = 0", key))
	if err != nil {
		return fmt.Errorf("forget key: %w", err)
	}
	return nil
}
