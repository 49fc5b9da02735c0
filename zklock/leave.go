package zklock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stilelock/stile/zklock/internal/zk"
)

// leave deletes the node of an attempt that was not granted, and reports whether it
// is surely gone. It takes no longer than the session can live without a server.
func (a *attempt) leave() bool {
	if a.slot == nil {
		return true
	}
	s := a.session()
	ctx, cancel := context.WithTimeout(a.d.life, s.Timeout()+closeLimit)
	defer cancel()
	if a.sent != nil { // Its call ends with its answer, its connection or the session.
		made, err := a.sent.making.Wait(ctx)
		switch {
		case err == nil:
			a.node = made.Path
		case errors.Is(err, zk.ErrUnknown):
			if _, _, err := a.search(ctx); err != nil {
				return false
			}
		}
	}
	if a.own != nil {
		defer a.own.Cancel()
	}
	return a.node == "" || a.d.remove(ctx, s, a.node, -1) == nil
}

// removePause is the pause after a server has refused what has to be done, such as
// one that is overloaded. It doubles up to removePauseMost.
const (
	removePause     = 20 * time.Millisecond
	removePauseMost = time.Second
)

// remove deletes a node for certain: it goes on until a server has answered, ctx
// ends, or the session. NoNode is an error only at the first try.
func (d *Driver) remove(ctx context.Context, s *zk.Session, path string, version int32) error {
	unsure := false
	for pause := removePause; ; {
		_, err := s.Start(&zk.Delete{Path: path, Version: version})[0].Wait(ctx)
		var refused zk.Code
		switch {
		case err == nil, unsure && errors.Is(err, zk.NoNode):
			return nil
		case errors.Is(err, zk.NoNode), errors.Is(err, zk.BadVersion):
			return err
		case ctx.Err() != nil || s.Err() != nil:
			if unsure && errors.Is(err, zk.ErrNotSent) {
				err = fmt.Errorf("%w: %w", zk.ErrUnknown, err)
			}
			return err
		case errors.As(err, &refused):
			if !rest(ctx, pause) {
				return err
			}
			pause = min(2*pause, removePauseMost)
		default:
			unsure = true
		}
	}
}
