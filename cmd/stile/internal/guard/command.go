package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Exit statuses of a command that could not be run, as shells have them.
const (
	StatusNotExecutable = 126
	StatusNotFound      = 127
)

// A StartError says why a command could not be run.
type StartError struct {
	// Status is StatusNotFound or StatusNotExecutable.
	Status int
	// Reason names the command and says what is wrong.
	Reason string
}

// Error returns the reason.
func (e *StartError) Error() string { return e.Reason }

// Find returns the path of a command as a shell finds it: a name without a
// slash is looked for in the folders of PATH. Errors are of type *StartError.
func Find(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		if err := executable(name); err != nil {
			return "", cannotRun(name, err)
		}
		return name, nil
	}
	denied := fs.ErrNotExist
	if name != "" {
		for _, folder := range filepath.SplitList(path) {
			if folder == "" {
				folder = "."
			}
			file := folder + "/" + name
			switch err := executable(file); {
			case err == nil:
				return file, nil
			case errors.Is(err, unix.EACCES) && exists(file), errors.Is(err, errFolder):
				denied = err
			}
		}
	}
	if errors.Is(denied, fs.ErrNotExist) {
		return "", &StartError{StatusNotFound, fmt.Sprintf("run %q: command not found", name)}
	}
	return "", cannotRun(name, denied)
}

var errFolder = errors.New("it is a folder")

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// executable returns nil for a file that this process may execute.
func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return err //nolint:wrapcheck // cannotRun does it.
	case info.IsDir():
		return errFolder
	default:
		return unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS)
	}
}

// cannotRun tells a file that is not there from one that cannot be executed.
func cannotRun(name string, err error) *StartError {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && exists(name):
		return &StartError{StatusNotExecutable, fmt.Sprintf("run %q: the interpreter that its first line names is missing", name)}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return &StartError{StatusNotFound, fmt.Sprintf("run %q: no such file", name)}
	case errors.Is(err, unix.ENOEXEC):
		return &StartError{StatusNotExecutable, fmt.Sprintf("run %q: not a program: a script needs a first line such as #!/bin/sh", name)}
	default:
		return &StartError{StatusNotExecutable, fmt.Sprintf("run %q: %v", name, err)}
	}
}

// start starts the command in a process group of its own, as a child of the
// calling thread, which must live on: on Linux the command dies with it.
func start(path string, args, env []string, foreground bool) (pid int, err error) {
	attr := &syscall.ProcAttr{
		Env:   env,
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Foreground: foreground, Ctty: 0},
	}
	dieWithParent(attr.Sys)
	closeOnExec()
	pid, err = syscall.ForkExec(path, args, attr)
	if err != nil && foreground && errors.Is(err, unix.ENOTTY) {
		// The terminal went away meanwhile. The command can do without.
		attr.Sys.Foreground = false
		pid, err = syscall.ForkExec(path, args, attr)
	}
	if err != nil {
		return 0, cannotRun(path, err)
	}
	return pid, nil
}

// openFiles lists this process's open files but the first three.
func openFiles(folder string) (fds []int) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			fds = append(fds, fd)
		}
	}
	return fds
}
