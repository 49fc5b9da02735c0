//go:build !linux

package sqlitelock

import "errors"

// The faults run on Linux, where a process can have mounts of its own.

func mountTmpfs(string, string) error { return errors.ErrUnsupported }

func remount(string, bool) error { return errors.ErrUnsupported }

func otherTimeNamespace(string) error { return errors.ErrUnsupported }

func insideTimeNamespace(string) error { return errors.ErrUnsupported }
