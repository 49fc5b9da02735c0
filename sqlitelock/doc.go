// Package sqlitelock is the driver for locks between the processes of one
// machine: the lock semantics of driver/lockqueue in a SQLite file. It needs
// no server.
//
// Import it for its side effect to open URLs such as sqlite:locks.db, or call
// [Open]. Any number of processes may open one file, and one process may open
// it more than once.
//
// # What it promises
//
//   - Everything that package driver promises, between processes: exclusion,
//     first come first served, fencing tokens, leases that expire.
//   - A grant is on disk before anybody hears of it. A process that is killed,
//     at any point, takes nothing with it but its own leases, which expire. A
//     reboot ends all leases, since nobody who held one lives on; the tokens
//     go on rising.
//   - Leases are counted on a clock that all processes of the machine share,
//     that runs on through a suspend, and that nobody can set. The wall clock
//     mints tokens and is shown to people; it decides nothing.
//   - Waiters are woken by a message from the process that grants them, within
//     milliseconds. A waiter whose process has died is passed over at once.
//     Waiting costs next to nothing: a look at the file once a second.
//   - A command that fails with driver.ErrUnavailable had no effect. When the
//     cause is gone, a full disk for one, the same store works again without
//     being reopened.
//
// # What it does not
//
//   - One machine, one kernel. Containers may share a file if they share the
//     kernel, and the directory of the file with it: the file alone is not
//     enough. Network file systems are refused where they can be told (NFS,
//     SMB, 9P and the like), and are unsafe where they cannot (some FUSE
//     mounts, folders that a virtual machine shares with its host).
//   - A file that is deleted, replaced, or restored from a backup while it is
//     in use is another store: leases of the old one are lost, and their
//     holders learn of it when they renew next. A copy of a file in use is not
//     a backup of it.
//   - Every command writes to the disk once, and one process writes at a time.
//     Commands of one process that arrive together share a write. Expect
//     thousands of commands per second, not hundreds of thousands.
//   - A process that is stopped (SIGSTOP, a debugger) in the middle of a
//     write, which takes well under a millisecond, keeps all others from
//     writing until it goes on or is killed. They fail with
//     driver.ErrUnavailable after [Options.BusyTimeout].
//   - Users who share a file must all be able to write it and to write in its
//     directory. Stile makes both for their owner alone (0600, 0700).
//   - Linux and macOS only.
//
// # Files
//
// Beside the database file PATH there are PATH-wal and PATH-shm, which belong
// to SQLite, and the directory PATH.wake with one socket for each process that
// acquires. Sockets of dead processes are removed when somebody meets them.
package sqlitelock
