package redisbench

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/stilelock/stile/bench/internal/cpu"
)

// A counter is what INFO commandstats says of one command.
type counter struct {
	calls float64
	usec  float64
}

// A window reads what the server did between its Begin and its End, and how
// much processor time this program used. It is a work.Window.
type window struct {
	server *server
	before map[string]counter
	after  map[string]counter
	cpu    cpu.Time
	used   cpu.Time // by this program
	busy   float64  // by the server, in microseconds
}

// Begin reads the counters.
func (w *window) Begin(ctx context.Context) (err error) {
	w.cpu = cpu.Used()
	if w.busy, err = w.server.busy(ctx); err != nil {
		return err
	}
	w.before, err = w.server.counters(ctx)
	return err
}

// End reads them again.
func (w *window) End(ctx context.Context) (err error) {
	if w.after, err = w.server.counters(ctx); err != nil {
		return err
	}
	busy, err := w.server.busy(ctx)
	w.busy = busy - w.busy
	w.used = cpu.Used() - w.cpu
	return err
}

// busy is the processor time that the server has used, with what its kernel did
// for it, in microseconds.
func (s *server) busy(ctx context.Context) (float64, error) {
	info, err := s.admin.Info(ctx, "cpu").Result()
	if err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	sum := 0.0
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(field(info, name), 64)
		if err != nil {
			return 0, fmt.Errorf("read processor time: %w", err)
		}
		sum += seconds * 1e6
	}
	return sum, nil
}

func (s *server) counters(ctx context.Context) (map[string]counter, error) {
	info, err := s.admin.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, fmt.Errorf("read commandstats: %w", err)
	}
	return parseCounters(info)
}

// parseCounters reads lines such as
// `cmdstat_get:calls=2,usec=7,usec_per_call=3.50,rejected_calls=0,failed_calls=0`.
func parseCounters(info string) (map[string]counter, error) {
	counters := make(map[string]counter)
	for line := range strings.Lines(info) {
		key, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		name, ok := strings.CutPrefix(key, "cmdstat_")
		if !ok {
			continue
		}
		var c counter
		for pair := range strings.SplitSeq(rest, ",") {
			field, text, _ := strings.Cut(pair, "=")
			into := map[string]*float64{"calls": &c.calls, "usec": &c.usec}[field]
			if into == nil {
				continue
			}
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, fmt.Errorf("read commandstats: line %q: %w", line, err)
			}
			*into = value
		}
		counters[name] = c
	}
	return counters, nil
}

// A cost is what a library had the server do.
type cost struct {
	scripts  float64 // scripts sent
	requests float64 // scripts and other commands sent by clients
	inner    float64 // commands called by scripts
	usec     float64 // server time of the requests, scripts with what they called
}

// scriptCommands run a script. What the script calls is counted by Redis under
// the called command's own name as well.
var scriptCommands = map[string]bool{
	"eval": true, "evalsha": true, "eval_ro": true, "evalsha_ro": true, "fcall": true, "fcall_ro": true,
}

// clientCommands are sent by clients and never called by any library's scripts.
// A library's own are in its plain.
var clientCommands = map[string]bool{
	"ping": true, "hello": true, "auth": true, "select": true, "quit": true, "reset": true, "echo": true,
	"subscribe": true, "unsubscribe": true, "ssubscribe": true, "sunsubscribe": true,
	"psubscribe": true, "punsubscribe": true, "multi": true, "exec": true, "watch": true,
}

// cost returns what happened between Begin and End. The plain ones are the
// commands that the library sends itself, and none of its scripts calls.
func (w *window) cost(plain ...string) cost {
	var c cost
	own := make(map[string]bool)
	for _, name := range plain {
		own[name] = true
	}
	for name, after := range w.after {
		before := w.before[name]
		calls, usec := after.calls-before.calls, after.usec-before.usec
		container, _, _ := strings.Cut(name, "|")
		switch {
		case name == "info" || container == "config":
			// The window's own.
		case scriptCommands[name]:
			c.scripts += calls
			c.requests += calls
			c.usec += usec
		case own[name], clientCommands[name], container == "client", container == "script":
			c.requests += calls
			c.usec += usec
		default:
			c.inner += calls
		}
	}
	return c
}
