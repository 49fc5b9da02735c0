package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// ModFile is what the tools need of a go.mod file.
type ModFile struct {
	Module  struct{ Path string }
	Go      string
	Require []struct {
		Path     string
		Version  string
		Indirect bool
	}
	Replace []struct {
		Old struct{ Path, Version string }
		New struct{ Path, Version string }
	}
}

// WorkFile is what the tools need of a go.work file.
type WorkFile struct {
	Go  string
	Use []struct{ DiskPath string }
}

// ReadMod reads the go.mod file in dir.
func ReadMod(ctx context.Context, dir string) (ModFile, error) {
	var mod ModFile
	out, err := Go(ctx, dir, nil, "mod", "edit", "-json", "go.mod")
	if err != nil {
		return mod, err
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return mod, fmt.Errorf("read %s: %w", filepath.Join(dir, "go.mod"), err)
	}
	return mod, nil
}

// ReadWork reads the go.work file in dir.
func ReadWork(ctx context.Context, dir string) (WorkFile, error) {
	var work WorkFile
	out, err := Go(ctx, dir, nil, "work", "edit", "-json", "go.work")
	if err != nil {
		return work, err
	}
	if err := json.Unmarshal(out, &work); err != nil {
		return work, fmt.Errorf("read %s: %w", filepath.Join(dir, "go.work"), err)
	}
	return work, nil
}

// Go runs the go command in dir with env added to the environment, and returns its standard output.
// An error holds what the command wrote to standard error.
func Go(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		msg := strings.TrimSpace(stderr.String())
		if msg != "" {
			err = errors.New(msg)
		}
		return out, fmt.Errorf("go %s in %s: %w", strings.Join(args, " "), dir, err)
	}
	return out, nil
}
