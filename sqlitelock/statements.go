package sqlitelock

import (
	"context"
	"database/sql"
	"fmt"
)

// statements are what the writing connection runs in its transactions.
type statements struct {
	begin, commit, rollback        *sql.Stmt
	readKey, insertKey, updateKey  *sql.Stmt
	entry, first, holders, due     *sql.Stmt
	insert, update, move, remove   *sql.Stmt
	keysFrom, deadWaiters, dropKey *sql.Stmt
	readMeta, writeMeta            *sql.Stmt

	all []*sql.Stmt
}

func (s *statements) prepare(conn *sql.Conn) (err error) {
	s.all, err = prepareAll(conn.PrepareContext, map[**sql.Stmt]string{
		&s.begin:    "BEGIN IMMEDIATE",
		&s.commit:   "COMMIT",
		&s.rollback: "ROLLBACK",

		&s.readKey: "SELECT " + keyColumns + " FROM keys WHERE key = ?",
		&s.insertKey: `INSERT INTO keys (permits, mode, held, waiting, last_token, last_seq, used, holder, key)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		&s.updateKey: `UPDATE keys SET permits = ?, mode = ?, held = ?, waiting = ?, last_token = ?, last_seq = ?, used = ?,
			holder = ? WHERE key = ?`,

		&s.entry:   "SELECT " + entryColumns + " FROM entries WHERE key = ? AND id = ?",
		&s.first:   "SELECT " + entryColumns + " FROM entries WHERE key = ? AND waits = 1 ORDER BY place LIMIT 1",
		&s.holders: "SELECT " + entryColumns + " FROM entries WHERE key = ? AND waits = 0 ORDER BY place LIMIT ?",
		&s.due: "SELECT " + entryColumns + ` FROM entries INDEXED BY entries_due
			WHERE key = ? AND waits = 0 ORDER BY gives_way LIMIT 1`,

		&s.insert: `INSERT INTO entries (phase, mode, ttl, min_hold, tokens, since, since_wall, expires, gives_way,
			owner, metadata, addr, seq, id, key, waits, place) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		// An entry that stays in its place keeps its row and its place in entries_id.
		&s.update: `UPDATE entries SET phase = ?, mode = ?, ttl = ?, min_hold = ?, tokens = ?, since = ?, since_wall = ?,
			expires = ?, gives_way = ?, owner = ?, metadata = ?, addr = ?
			WHERE key = ? AND waits = ? AND place = ?`,
		// A waiter that is granted goes from the line to the holders.
		&s.move: `UPDATE entries SET phase = ?, mode = ?, ttl = ?, min_hold = ?, tokens = ?, since = ?, since_wall = ?,
			expires = ?, gives_way = ?, owner = ?, metadata = ?, addr = ?, waits = 0, place = ?
			WHERE key = ? AND waits = 1 AND place = ?`,
		&s.remove: "DELETE FROM entries WHERE key = ? AND waits = ? AND place = ?",

		&s.keysFrom:    "SELECT key, held, waiting, last_token, used FROM keys WHERE key > ? ORDER BY key LIMIT ?",
		&s.deadWaiters: "SELECT id FROM entries WHERE key = ? AND waits = 1 AND expires <= ? LIMIT ?",
		&s.dropKey:     "DELETE FROM keys WHERE key = ?",
		&s.readMeta:    "SELECT value FROM meta WHERE name = ?",
		&s.writeMeta:   "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	})
	return err
}

// close must come before the connection is closed: database/sql does not keep
// track of what was prepared on a single connection, and SQLite keeps the file
// open for as long as there is a statement.
func (s *statements) close() {
	for _, stmt := range s.all {
		_ = stmt.Close()
	}
}

// reads are what the reading connections run. None of them takes a lock that
// keeps a writer waiting.
type reads struct {
	glance, look, lookKey            *sql.Stmt
	listFrom, listAfter, listEntries *sql.Stmt
}

// prepare needs no counterpart: what is prepared on a pool is closed with it.
func (r *reads) prepare(db *sql.DB) error {
	_, err := prepareAll(db.PrepareContext, map[**sql.Stmt]string{
		&r.glance:  glanceQuery,
		&r.lookKey: "SELECT " + keyColumns + " FROM keys WHERE key = ?",
		&r.look:    "SELECT " + entryColumns + " FROM entries WHERE key = ? AND id = ?",

		&r.listFrom:    "SELECT key, held + waiting FROM keys WHERE key >= ? ORDER BY key LIMIT ?",
		&r.listAfter:   "SELECT key, held + waiting FROM keys WHERE key > ? ORDER BY key LIMIT ?",
		&r.listEntries: "SELECT " + entryColumns + " FROM entries WHERE key = ? ORDER BY waits, place",
	})
	return err
}

// prepareAll prepares each statement or none.
func prepareAll(prepare func(context.Context, string) (*sql.Stmt, error), texts map[**sql.Stmt]string) (all []*sql.Stmt, err error) {
	for to, text := range texts {
		stmt, err := prepare(whole, text)
		if err != nil {
			for _, stmt := range all {
				_ = stmt.Close()
			}
			return nil, fmt.Errorf("prepare statement: %w", err)
		}
		*to, all = stmt, append(all, stmt)
	}
	return all, nil
}
