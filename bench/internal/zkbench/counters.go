package zkbench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stilelock/stile/bench/internal/cpu"
)

var errNoCounter = errors.New("the server does not tell")

// A window reads what the server did between its Begin and its End, and how
// much processor time server and program used. It is a work.Window.
type window struct {
	server   *server
	requests float64       // that the server received, pings included
	busy     time.Duration // of the server's processor time
	used     time.Duration // of this program's processor time
}

// ownRequests is how many of the requests that End counts were asked by Begin
// and End themselves: the server counts the word srvr when it has answered.
const ownRequests = 1

// Begin reads the counters.
func (w *window) Begin(ctx context.Context) (err error) {
	w.used = cpu.Used()
	if w.busy, err = processorTime(w.server.cmd.Process.Pid); err != nil {
		return err
	}
	w.requests, err = w.server.received(ctx)
	return err
}

// End reads them again.
func (w *window) End(ctx context.Context) error {
	requests, err := w.server.received(ctx)
	if err != nil {
		return err
	}
	busy, err := processorTime(w.server.cmd.Process.Pid)
	w.requests = requests - w.requests - ownRequests
	w.busy = busy - w.busy
	w.used = cpu.Used() - w.used
	return err
}

// received is how many packets the server has received, those that opened
// connections included.
func (s *server) received(ctx context.Context) (float64, error) {
	answer, err := s.ask(ctx, "srvr")
	if err != nil {
		return 0, err
	}
	return counter(answer, "Received:")
}

// waiting returns how many ephemeral nodes there are, and how many watches.
func (s *server) waiting(ctx context.Context) (ephemerals, watches float64, err error) {
	answer, err := s.ask(ctx, "mntr")
	if err != nil {
		return 0, 0, err
	}
	if ephemerals, err = counter(answer, "zk_ephemerals_count"); err != nil {
		return 0, 0, err
	}
	watches, err = counter(answer, "zk_watch_count")
	return ephemerals, watches, err
}

// counter finds the line that begins with a name and reads the number after it.
func counter(answer, name string) (float64, error) {
	for line := range strings.Lines(answer) {
		text, ok := strings.CutPrefix(line, name)
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			return 0, fmt.Errorf("read counter %s: %w", name, err)
		}
		return value, nil
	}
	return 0, fmt.Errorf("%w: no %s in %q", errNoCounter, name, answer)
}
