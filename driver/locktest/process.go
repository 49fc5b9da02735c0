package locktest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/stilelock/stile/driver"
)

// A process is another process with a client of the store.
type process struct {
	w      *world
	cmd    *exec.Cmd
	orders io.WriteCloser
	stderr bytes.Buffer // read after ended
	ended  chan struct{}

	mu      sync.Mutex
	next    int
	pending map[int]chan report
}

// spawn starts another process and opens the store there.
func (w *world) spawn() *process {
	w.Helper()
	if !childReady.Load() {
		w.Fatal("other processes are this test binary: call locktest.Child first in TestMain")
	}
	binary, err := os.Executable()
	if err != nil {
		w.Fatalf("find the test binary: %v", err)
	}
	p := &process{w: w, ended: make(chan struct{}), pending: make(map[int]chan report)}
	// Without Child the binary would run its tests: this pattern runs none.
	p.cmd = exec.Command(binary, "-test.run=^$")
	p.cmd.Env = append(os.Environ(), childVariable+"=1")
	p.cmd.Stderr = &p.stderr
	p.orders, err = p.cmd.StdinPipe()
	if err != nil {
		w.Fatalf("make a pipe to another process: %v", err)
	}
	reports, err := p.cmd.StdoutPipe()
	if err != nil {
		w.Fatalf("make a pipe from another process: %v", err)
	}
	hello := p.expect(0)
	if err := p.cmd.Start(); err != nil {
		w.Fatalf("start another process: %v", err)
	}
	go p.read(reports)
	w.Cleanup(p.end)
	if r, ok := p.await(hello, 10*w.slack); !ok || r.Error != "" {
		w.Fatalf("another process does not answer: %s", r.Error)
	}
	p.do(order{Op: "open", URL: w.store.URL})
	return p
}

// read hands the reports to those who wait for them, until the process ends.
func (p *process) read(reports io.Reader) {
	defer close(p.ended)
	lines := bufio.NewReader(reports)
	for {
		line, err := lines.ReadBytes('\n')
		var r report
		if err != nil || json.Unmarshal(line, &r) != nil {
			break
		}
		p.mu.Lock()
		if waiting := p.pending[r.N]; waiting != nil {
			delete(p.pending, r.N)
			waiting <- r
		}
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, lines) // What is not the protocol's is let go.
	_ = p.cmd.Wait()                  // A process that was killed says so, as it should.
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, waiting := range p.pending {
		waiting <- p.gone(n)
	}
	p.pending = nil
}

// gone is the report of a process that is no more.
func (p *process) gone(n int) report {
	return report{N: n, Error: "the process has ended: " + p.stderr.String()}
}

// expect registers for the report of an order.
func (p *process) expect(n int) chan report {
	p.mu.Lock()
	defer p.mu.Unlock()
	reports := make(chan report, 1)
	if p.pending == nil {
		reports <- p.gone(n)
	} else {
		p.pending[n] = reports
	}
	return reports
}

func (p *process) await(reports chan report, d time.Duration) (report, bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case r := <-reports:
		return r, true
	case <-timer.C:
		return report{Error: "no answer after " + d.String()}, false
	}
}

// send sends an order.
func (p *process) send(o order) chan report {
	p.w.Helper()
	p.mu.Lock()
	p.next++
	o.N = p.next
	p.mu.Unlock()
	if o.Timeout == 0 {
		o.Timeout = 20 * p.w.slack
	}
	reports := p.expect(o.N)
	line, err := json.Marshal(o)
	if err == nil {
		_, err = p.orders.Write(append(line, '\n'))
	}
	if err != nil {
		p.w.Fatalf("send an order to another process: %v", err)
	}
	return reports
}

// do sends an order that has to succeed.
func (p *process) do(o order) report {
	p.w.Helper()
	r, err := p.ask(o)
	if err != nil {
		p.w.Fatalf("%s: %v", o.Op, err)
	}
	return r
}

// ask sends an order and returns what becomes of it.
func (p *process) ask(o order) (report, error) {
	p.w.Helper()
	r, ok := p.await(p.send(o), 10*p.w.slack)
	if !ok {
		p.w.Fatalf("%s: another process gives %s", o.Op, r.Error)
	}
	return r, r.err()
}

func (r *report) err() error {
	if r.Error == "" {
		return nil
	}
	return &childError{text: r.Error, is: r.Is}
}

// kill ends the process as kill -9 does, and returns when it is gone.
func (p *process) kill() {
	p.w.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.w.Fatalf("kill another process: %v", err)
	}
	p.wantEnd()
}

// end lets the process close its client and exit.
func (p *process) end() {
	_ = p.orders.Close()
	timer := time.NewTimer(10 * p.w.slack)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.w.Errorf("another process does not close its client and end")
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if text := p.stderr.String(); text != "" {
		p.w.Logf("another process wrote: %s", text)
	}
}

func (p *process) wantEnd() {
	p.w.Helper()
	timer := time.NewTimer(10 * p.w.slack)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.w.Fatal("another process does not end")
	}
}

// acquire orders an Acquire with the request; the report comes when it is
// granted.
func (p *process) acquire(req driver.Request) chan report {
	p.w.Helper()
	return p.send(order{
		Op: "acquire", Key: req.Key, ID: req.ID, Mode: req.Mode, Limit: req.Limit, TTL: req.TTL,
		NoWait: req.NoWait, Owner: req.Owner,
	})
}

// granted waits for a grant that should come within d.
func (p *process) granted(reports chan report, d time.Duration) report {
	p.w.Helper()
	r, ok := p.await(reports, d+p.w.slack)
	if !ok {
		p.w.Fatalf("Acquire in another process gives %s", r.Error)
	}
	if err := r.err(); err != nil {
		p.w.Fatalf("Acquire: %v", err)
	}
	return r
}

// stand lets a request stand at the end of the line and returns when the store
// lists it there.
func (p *process) stand(req driver.Request) chan report {
	p.w.Helper()
	w := p.w
	line := append(w.line(w.client(), req.Key), req.ID)
	reports := p.acquire(req)
	w.wantLine(req.Key, line...)
	return reports
}
