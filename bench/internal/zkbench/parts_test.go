package zkbench

import (
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-rounds", "0"},
		{"-duration", "0s"},
		{"-workers", "1"},
		{"-waiters", "10,"},
		{"-waiters", "0"},
		{"-only", "("},
		{"-libraries", "("},
		{"more"},
		{"-warm", "-1s"},
	} {
		if _, err := Parse(args, func(flags *flag.FlagSet) { flags.SetOutput(io.Discard) }); !errors.Is(err, errUsage) {
			t.Errorf("%q: error %v", args, err)
		}
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	const answer = "Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.4/12\nReceived: 1234\nSent: 5\nzk_ephemerals_count\t7\n"
	for name, want := range map[string]float64{"Received:": 1234, "zk_ephemerals_count": 7} {
		if got, err := counter(answer, name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := counter(answer, "zk_watch_count"); !errors.Is(err, errNoCounter) {
		t.Errorf("a counter that is not there: error %v", err)
	}
	if _, err := counter(answer, "Zookeeper version:"); err == nil {
		t.Error("a counter that is no number: no error")
	}
}

// TestTapCounts sends frames through a tap to a server that answers each with
// a frame of the test's.
func TestTapCounts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	frame := func(first, second byte, size int) []byte {
		body := make([]byte, size)
		body[3], body[7] = first, second
		if first >= 0x80 { // a negative number
			copy(body, []byte{0xff, 0xff, 0xff})
		}
		return append([]byte{0, 0, 0, byte(size)}, body...)
	}
	replies := [][]byte{frame(0, 0, 40), frame(1, 0, 16), frame(0xfe, 0, 16), frame(0xff, 0, 30)}
	served := make(chan error, 1)
	go func() {
		served <- func() error {
			conn, err := l.Accept()
			if err != nil {
				return err
			}
			in := make([]byte, 4+44+4+20+4+8)
			if _, err := io.ReadFull(conn, in); err != nil {
				return err
			}
			for _, reply := range replies {
				if _, err := conn.Write(reply); err != nil {
					return err
				}
			}
			return conn.Close()
		}()
	}()
	relay, err := startTap(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer relay.close()
	conn, err := net.Dial("tcp", relay.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// A handshake, a request, a ping.
	for _, frame := range [][]byte{frame(0, 11, 44), frame(1, 12, 20), frame(0xfe, 11, 8)} {
		if _, err := conn.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, reply := range replies {
		want += string(reply)
	}
	if string(got) != want {
		t.Errorf("the client got %q, want %q", got, want)
	}
	if sum, want := relay.traffic(), (traffic{sessions: 1, requests: 1, pings: 1, events: 1, bytes: 24 + 20 + 34}); sum != want {
		t.Errorf("counted %+v, want %+v", sum, want)
	}
}

func TestProcessorTime(t *testing.T) {
	t.Parallel()
	if mem, err := inMemory(memory); err != nil || !mem {
		t.Errorf("%s is in memory: %v, %v", memory, mem, err)
	}
	began := time.Now()
	for sum := 0; time.Since(began) < 100*time.Millisecond; sum++ {
		_ = sum
	}
	if used, err := processorTime(os.Getpid()); err != nil || used < 50*time.Millisecond || used > time.Hour {
		t.Errorf("used %v, %v", used, err)
	}
}

// TestNoJava says what is missing.
func TestNoJava(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := startServer(t.Context(), false)
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "default-jdk-headless") {
		t.Errorf("without java: error %v", err)
	}
	if _, err := classPath("libnone-java", "none"); !errors.Is(err, errNoJar) || !strings.Contains(err.Error(), "libnone-java") {
		t.Errorf("without a jar: error %v", err)
	}
}
