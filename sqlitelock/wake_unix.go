//go:build unix

package sqlitelock

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/stilelock/stile/driver"
)

// strayAge is how old a dead socket is before it is removed unasked: for an
// instant a socket that is being made looks dead too.
const strayAge = time.Minute

// A postbox is one open store's socket, and its way to those of others. Its
// methods are safe for concurrent use.
type postbox struct {
	dir string
	// agreed: a socket that is not in dir is nowhere.
	agreed bool
	perm   os.FileMode // of the database file
	news   func(kind messageKind, ids []driver.LeaseID)

	mu     sync.Mutex
	conn   *net.UnixConn // nil until it is needed
	addr   string
	file   os.FileInfo
	closed bool
	done   sync.WaitGroup
	sender int // a socket without an address; -1 until it is needed
}

// newPostbox returns the postbox of a database file. It touches nothing yet.
func newPostbox(path string, perm os.FileMode, news func(messageKind, []driver.LeaseID)) *postbox {
	return &postbox{dir: socketDir(path), agreed: agreed(path), perm: perm, news: news, sender: -1}
}

// address returns where others reach this store. It makes a new socket if
// there is none, or if somebody has removed its file. It is empty if none can
// be made: then nobody can be told, and looks at the file more often.
func (p *postbox) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ""
	}
	if p.conn != nil {
		return p.addr
	}
	if err := p.open(); err != nil {
		return ""
	}
	return p.addr
}

// current returns the address, empty if there is none yet.
func (p *postbox) current() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return ""
	}
	return p.addr
}

// check makes address return a new socket if the file of this one is gone.
func (p *postbox) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return
	}
	if file, err := os.Lstat(filepath.Join(p.dir, p.addr)); err == nil && os.SameFile(file, p.file) {
		return
	}
	_ = p.conn.Close()
	p.conn = nil
}

func (p *postbox) open() error {
	dirPerm := p.perm | p.perm>>2&0o111 // Who may read the file may enter.
	if err := os.Mkdir(p.dir, dirPerm); err == nil {
		if err := os.Chmod(p.dir, dirPerm); err != nil { // Past the umask.
			return fmt.Errorf("share directory: %w", err)
		}
	} else if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	var random [addrLen / 2]byte
	_, _ = rand.Read(random[:]) // Never fails.
	addr := hex.EncodeToString(random[:])
	err := p.at(addr, func(name string) (err error) {
		p.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		return err
	})
	if err != nil {
		return fmt.Errorf("make socket: %w", err)
	}
	path := filepath.Join(p.dir, addr)
	if p.file, err = os.Lstat(path); err == nil {
		err = os.Chmod(path, p.perm)
	}
	if err != nil {
		_ = p.conn.Close()
		p.conn = nil
		return fmt.Errorf("make socket: %w", err)
	}
	p.addr = addr
	p.done.Add(1)
	go p.receive(p.conn)
	return nil
}

// receive ends when its socket is closed.
func (p *postbox) receive(conn *net.UnixConn) {
	defer p.done.Done()
	buffer := make([]byte, 2048)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			p.drop(conn) // Most likely it is closed already.
			return
		}
		p.news(decodeMessage(buffer[:n]))
	}
}

// drop makes address return a new socket in place of one that is broken.
func (p *postbox) drop(conn *net.UnixConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == conn {
		_ = os.Remove(filepath.Join(p.dir, p.addr))
		_ = p.conn.Close()
		p.conn = nil
	}
}

// send tells those at addr. It does not block: a receiver whose queue is full
// has enough to wake up for.
func (p *postbox) send(to addressee, ids []driver.LeaseID) {
	if !goodAddr(to.addr) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if p.sender < 0 {
		fd, err := datagramSocket()
		if err != nil {
			return // The receiver looks by itself before long.
		}
		p.sender = fd
	}
	for len(ids) > 0 {
		n := min(len(ids), maxIDs)
		message := encodeMessage(to.kind, ids[:n])
		ids = ids[n:]
		_ = p.at(to.addr, func(name string) error {
			return ignoringEINTR(func() error {
				return syscall.Sendto(p.sender, message, syscall.MSG_DONTWAIT, &syscall.SockaddrUnix{Name: name})
			})
		})
	}
}

// alive reports whether somebody listens at addr. Only a refusal is proof that
// nobody does, or that the socket is gone; whatever else goes wrong is not.
func (p *postbox) alive(addr string) bool {
	if !goodAddr(addr) {
		return true
	}
	err := p.probe(addr)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		_ = os.Remove(filepath.Join(p.dir, addr))
		return false
	case errors.Is(err, syscall.ENOENT):
		return !p.agreed
	default:
		return true
	}
}

func (p *postbox) probe(addr string) error {
	fd, err := datagramSocket()
	if err != nil {
		return err
	}
	defer syscall.Close(fd) //nolint:errcheck // Nothing was written to it.
	return p.at(addr, func(name string) error {
		return ignoringEINTR(func() error { return syscall.Connect(fd, &syscall.SockaddrUnix{Name: name}) })
	})
}

// sweep removes what dead processes have left behind, a bounded number.
func (p *postbox) sweep() {
	dir, err := os.Open(p.dir)
	if err != nil {
		return // There is nothing to sweep.
	}
	defer dir.Close() //nolint:errcheck // It was only read.
	const most = 1000
	entries, err := dir.ReadDir(most)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && goodAddr(entry.Name()) && time.Since(info.ModTime()) > strayAge {
			p.alive(entry.Name())
		}
	}
}

// close removes the socket and waits for its goroutine. It may be repeated.
func (p *postbox) close() {
	p.mu.Lock()
	p.closed = true
	if p.conn != nil {
		_ = os.Remove(filepath.Join(p.dir, p.addr))
		_ = p.conn.Close()
		p.conn = nil
	}
	if p.sender >= 0 {
		_ = syscall.Close(p.sender)
		p.sender = -1
	}
	p.mu.Unlock()
	p.done.Wait()
}

func datagramSocket() (int, error) {
	syscall.ForkLock.RLock() // As long as the socket would be inherited.
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return -1, err
	}
	syscall.CloseOnExec(fd)
	return fd, nil
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR { //nolint:errorlint // It comes straight from the system call.
			return err
		}
	}
}
