package sqlitelock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/stilelock/stile/driver"
)

const (
	// applicationID marks a database file as Stile's: "Stil" in ASCII.
	applicationID = 0x5374696c
	// schemaVersion is the version of the tables below.
	schemaVersion = 1
)

// schema is version 1. Each page that a commit touches goes to the disk, so
// that an uncontended hold touches one: the row of its key.
//
//   - keys has the record of each key, and with it the lease of a holder who is
//     alone by the nature of the key: exclusive, with one permit. Each column
//     and each value costs, so that lease is packed into one, see packEntry.
//   - entries has the others: all who wait (waits = 1), sorted by their place in
//     line, and the holders of keys that can have many at once, shared ones and
//     semaphores (waits = 0), sorted by token. So the head of the line and the
//     first holders are the first rows of a range.
//   - entries_due sorts those holders by when they give way by themselves.
const schema = `
CREATE TABLE meta (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
	key        TEXT PRIMARY KEY,
	permits    INTEGER NOT NULL,
	mode       INTEGER NOT NULL,
	held       INTEGER NOT NULL,
	waiting    INTEGER NOT NULL,
	last_token INTEGER NOT NULL,
	last_seq   INTEGER NOT NULL,
	used       INTEGER NOT NULL,
	holder     BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
	key        TEXT    NOT NULL,
	waits      INTEGER NOT NULL,
	place      INTEGER NOT NULL,
	id         BLOB    NOT NULL,
	phase      INTEGER NOT NULL,
	mode       INTEGER NOT NULL,
	seq        INTEGER NOT NULL,
	ttl        INTEGER NOT NULL,
	min_hold   INTEGER NOT NULL,
	tokens     INTEGER NOT NULL,
	since      INTEGER NOT NULL,
	since_wall INTEGER NOT NULL,
	expires    INTEGER NOT NULL,
	gives_way  INTEGER NOT NULL,
	owner      TEXT    NOT NULL,
	metadata   TEXT    NOT NULL,
	addr       TEXT    NOT NULL,
	PRIMARY KEY (key, waits, place)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX entries_id ON entries (key, id);
CREATE INDEX entries_due ON entries (key, gives_way) WHERE waits = 0;
`

// prepareSchema makes the tables in an empty file, refuses a file that is not
// Stile's or that a newer Stile wrote, and ends the leases of an earlier boot.
// It changes nothing in a file that it refuses.
func prepareSchema(conn *sql.Conn, boot string) error {
	ours, err := checkSchema(conn)
	if err != nil {
		return err
	}
	// Sets the mode of an empty file, and finds it set in one that is ours.
	var mode string
	if err := conn.QueryRowContext(whole, "PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return fmt.Errorf("set journal mode: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("set journal mode: %w: its file system cannot do what SQLite's write-ahead log needs: choose a path on a local disk", driver.ErrUnavailable)
	}
	if ours {
		last, err := readMeta(conn, "boot")
		if err == nil && last == boot {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return inTransaction(conn, func() error {
		// Another process may have come first.
		ours, err := checkSchema(conn)
		if err != nil {
			return err
		}
		if !ours {
			return createSchema(conn, boot)
		}
		return startBoot(conn, boot)
	})
}

// checkSchema reports whether the file is Stile's. An empty file is not, and
// may become so; any other is an error.
func checkSchema(conn *sql.Conn) (ours bool, err error) {
	var application, version, tables int
	const query = "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)"
	if err := conn.QueryRowContext(whole, query).Scan(&application, &version, &tables); err != nil {
		return false, fmt.Errorf("read schema: %w", err)
	}
	switch {
	case application == 0 && version == 0 && tables == 0:
		return false, nil
	case application != applicationID:
		return false, fmt.Errorf("%w: it is the database of another program: choose another path", driver.ErrUnavailable)
	case version > schemaVersion:
		return false, fmt.Errorf("%w: a newer version of Stile wrote it (schema %d, this one knows %d): update this program", driver.ErrUnavailable, version, schemaVersion)
	case version < 1:
		return false, fmt.Errorf("read schema: %w", errDamaged)
	}
	return true, nil
}

func createSchema(conn *sql.Conn, boot string) error {
	if _, err := conn.ExecContext(whole, schema); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	if _, err := conn.ExecContext(whole, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d", applicationID, schemaVersion)); err != nil {
		return fmt.Errorf("mark schema: %w", err)
	}
	return writeMeta(conn, "boot", boot)
}

// startBoot ends all leases if they are of an earlier boot: their holders are
// gone, and their times are of a clock that has started anew.
func startBoot(conn *sql.Conn, boot string) error {
	last, err := readMeta(conn, "boot")
	if err != nil || last == boot {
		return err
	}
	const end = `
		DELETE FROM entries;
		UPDATE keys SET held = 0, waiting = 0, used = 0, holder = NULL;
		DELETE FROM meta WHERE name LIKE 'sweep%'`
	if _, err := conn.ExecContext(whole, end); err != nil {
		return fmt.Errorf("end leases of an earlier boot: %w", err)
	}
	return writeMeta(conn, "boot", boot)
}

// readMeta returns the value of name, empty if there is none.
func readMeta(conn *sql.Conn, name string) (value string, err error) {
	err = conn.QueryRowContext(whole, "SELECT value FROM meta WHERE name = ?", name).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return value, nil
}

func writeMeta(conn *sql.Conn, name, value string) error {
	const query = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
	if _, err := conn.ExecContext(whole, query, name, value); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// inTransaction runs step in a transaction that writes.
func inTransaction(conn *sql.Conn, step func() error) error {
	if _, err := conn.ExecContext(whole, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := step()
	if err == nil {
		_, err = conn.ExecContext(whole, "COMMIT")
	}
	if err != nil {
		_, _ = conn.ExecContext(whole, "ROLLBACK") // It fails if SQLite has rolled back by itself.
	}
	return err
}

// whole is the context of every statement: a transaction is done whole or not
// begun, so that its outcome is known. Callers stop waiting for it instead.
var whole = context.Background() //nolint:forbidigo // It is no caller's, see above; BusyTimeout bounds the waiting.
