// Package guard runs a command under a lease, in such a way that the command
// and all that it started are gone before the lease's deadline, whatever
// becomes of the process that holds the lease.
//
// # Three processes
//
// The front (`stile run`) holds the lease and renews it. The guard is the same
// program started again, in a process group of its own; it does nothing but
// watch. The command is the guard's child, in a third process group.
//
//	shell ── front ── guard ── command ── …
//
// The front tells the guard each new deadline. The guard needs no further word
// to act: when a deadline is not moved on in time, it ends the command. So a
// front that is killed, frozen or cut off from its store cannot leave a command
// behind that works on without a lease. And if the guard is killed or frozen,
// the front does the same.
//
// # What it promises
//
//   - The command's group gets SIGTERM at deadline − kill-after, and at
//     deadline − reserve SIGKILL goes to the group and to every descendant of
//     the command, until none is left. A stopped group is continued first, so
//     that SIGTERM finds it awake.
//   - On Linux descendants stay descendants, however they try to leave: the
//     guard is a subreaper, so a process that was started with setsid or by a
//     double fork is found and ended too.
//   - When the front dies, the command is told to end at once, has kill-after
//     for it, and the key is passed on as soon as all is gone.
//   - Deadlines are read on a clock that all processes of the machine share,
//     and that runs on while it is suspended.
//   - The command inherits standard input, output and error and no other file.
//
// # What it does not
//
//   - A machine that is frozen or suspended whole kills nobody in time. The
//     fencing token is for that.
//   - If the front and the guard are both killed with SIGKILL at the same time,
//     the command dies with the guard (on Linux), but what it had started in the
//     background lives on.
//   - A process that has become another user's, as sudo does, can be signalled
//     only by that user or root; one that hangs in an uninterruptible call in
//     the kernel ends only after it. What could not be ended is reported.
//   - A process that another service started on the command's behalf (at,
//     systemd-run, a container engine, ssh) is not a descendant.
//   - Elsewhere than on Linux only the command's process group is ended: there
//     is no way to find a descendant that has left it.
//   - What a command leaves in the background when it ends by itself is left
//     alone, as a shell does.
package guard
