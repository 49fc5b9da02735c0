package zkbench

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stilelock/stile/bench/internal/work"
)

// curatorProgram is compiled by the java command each time that it starts.
//
//go:embed curator/Curator.java
var curatorProgram []byte

var errCurator = errors.New("curator")

func curatorLibrary() *library {
	return &library{name: "Curator", about: "Apache Curator 5.4's InterProcessMutex, its defaults, but a session of 15 s; in a Java program of its own"}
}

// A curator is the Java program that runs Curator.
type curator struct {
	dir    string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

// startCurator starts the program. What is missing on this machine is in the
// error.
func startCurator(ctx context.Context) (*curator, error) {
	jars, err := classPath("libcurator-recipes-java", "curator-recipes", "curator-framework", "curator-client",
		"zookeeper", "zookeeper-jute", "guava", "slf4j-nop")
	if err != nil {
		return nil, err
	}
	c := &curator{}
	if c.dir, err = os.MkdirTemp("", "stile-bench-"); err != nil {
		return nil, fmt.Errorf("make folder of Curator: %w", err)
	}
	file := filepath.Join(c.dir, "Curator.java")
	if err := os.WriteFile(file, curatorProgram, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write Curator's program: %w", err), os.RemoveAll(c.dir))
	}
	// It ends with its standard input in close, whatever becomes of ctx.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), "java", "-Xmx1g", "-Xss512k", "-cp", jars, file)
	c.cmd.SysProcAttr = dieWithParent()
	c.cmd.Stderr = &c.stderr
	var out io.ReadCloser
	if c.in, err = c.cmd.StdinPipe(); err == nil {
		if out, err = c.cmd.StdoutPipe(); err == nil {
			c.out = bufio.NewReader(out)
			err = c.cmd.Start()
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Curator with java (Debian has it in package default-jdk-headless): %w", err), os.RemoveAll(c.dir))
	}
	return c, nil
}

func (c *curator) close() error {
	timer := time.AfterFunc(stopWait, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	err := errors.Join(c.in.Close(), c.cmd.Wait(), os.RemoveAll(c.dir))
	if err != nil {
		return fmt.Errorf("end Curator: %w", err)
	}
	return nil
}

// A javaResult is what a work gave. Times are in nanoseconds.
type javaResult struct {
	Took     time.Duration   `json:"took"`
	CPU      time.Duration   `json:"cpu"`
	Longest  time.Duration   `json:"longest"`
	Changes  int             `json:"changes"`
	Overlaps int             `json:"overlaps"`
	Counts   []int           `json:"counts"`
	Waits    []time.Duration `json:"waits"`
}

// run has the program do a work. At each of the work's steps, which are named
// in Curator.java, at is called, and the work goes on when it returns.
func (c *curator) run(ctx context.Context, request string, at func(step string) error) (*javaResult, error) {
	// A work that hangs ends with the program.
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	defer stop()
	if err := c.say(request); err != nil {
		return nil, err
	}
	var failed error
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			return nil, errors.Join(ctx.Err(), fmt.Errorf("%w: it ended: %w: %s", errCurator, err, strings.TrimSpace(c.stderr.String())))
		}
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case kind == "step":
			failed = errors.Join(failed, at(rest))
			if err := c.say("go"); err != nil {
				return nil, err
			}
		case kind == "result" && failed == nil:
			result := &javaResult{}
			if err := json.Unmarshal([]byte(rest), result); err != nil {
				return nil, fmt.Errorf("read Curator's result: %w", err)
			}
			return result, nil
		case kind == "result":
			return nil, failed
		default:
			return nil, errors.Join(failed, fmt.Errorf("%w: %s", errCurator, strings.TrimSpace(line)))
		}
	}
}

func (c *curator) say(line string) error {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return fmt.Errorf("%w: tell it what to do: %w", errCurator, err)
	}
	return nil
}

// measured calls the window at the steps that nearly all works have.
func measured(ctx context.Context, w work.Window) func(step string) error {
	return func(step string) error {
		if step == "begin" {
			return w.Begin(ctx)
		}
		return w.End(ctx)
	}
}

func javaPath(key string) string { return "/curator-" + strings.ReplaceAll(key, "/", "-") }
