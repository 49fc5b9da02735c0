//go:build !unix

package sqlitelock

import (
	"os"

	"github.com/stilelock/stile/driver"
)

// A postbox does nothing where there is no store anyway.
type postbox struct{}

func newPostbox(string, os.FileMode, func(messageKind, []driver.LeaseID)) *postbox {
	return &postbox{}
}

func (*postbox) address() string                  { return "" }
func (*postbox) current() string                  { return "" }
func (*postbox) check()                           {}
func (*postbox) send(addressee, []driver.LeaseID) {}
func (*postbox) alive(string) bool                { return true }
func (*postbox) sweep()                           {}
func (*postbox) close()                           {}
