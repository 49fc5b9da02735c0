package tests

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/stilelock/stile/driver/lockqueue"
	"github.com/stilelock/stile/redislock/internal/script"
	"github.com/stilelock/stile/tests/model"
)

// compare checks that the server keeps the same as the memory, in all fields
// that mean something.
func (s *target) compare(k *key) error {
	record, err := k.memory.Key()
	if err != nil {
		return err
	}
	holders, err := k.memory.Holders(1 << 30)
	if err != nil {
		return err
	}
	if k.seen.LastToken != record.LastToken || !record.Idle() && k.seen.Limit != record.Limit {
		err = fmt.Errorf("last token %d, limit %d, want %+v", k.seen.LastToken, k.seen.Limit, record)
	}
	place := uint64(0)
	for i := range k.seen.Waiters {
		e := &k.seen.Waiters[i]
		if e.Seq <= place || e.Seq > k.seen.LastSeq {
			err = errors.Join(err, fmt.Errorf("place %d in line after place %d; the last is %d", e.Seq, place, k.seen.LastSeq))
		}
		place = e.Seq
	}
	return errors.Join(err, compareEntries(k.seen.Holders, holders), compareEntries(k.seen.Waiters, k.memory.Line()))
}

func compareEntries(got, want []lockqueue.Entry) error {
	if len(got) != len(want) {
		return fmt.Errorf("it keeps %d entries, want %d: %+v, want %+v", len(got), len(want), got, want)
	}
	for i := range got {
		e := want[i]
		e.SinceWall = e.Since // Redis has one clock.
		e.Seq = got[i].Seq    // Places begin anew when nobody waits: only their order counts.
		if !reflect.DeepEqual(got[i], e) {
			return fmt.Errorf("it keeps %+v, want %+v", got[i], e)
		}
	}
	return nil
}

// compareReply checks what an answer says beside what the model says.
func compareReply(reply *script.Reply, want *lockqueue.Result, now lockqueue.Now, memory *lockqueue.Memory, verb model.Verb, due lockqueue.Micros) error {
	switch {
	case reply.Now != now.Lease && (verb != model.Release || reply.Now != 0):
		return fmt.Errorf("it is %d now, want %d", reply.Now, now.Lease)
	case reply.Status == script.Granted && (reply.Since != want.Entry.Since || reply.Expires != want.Entry.Expires):
		return fmt.Errorf("granted from %d to %d, want %d to %d", reply.Since, reply.Expires, want.Entry.Since, want.Entry.Expires)
	case reply.Status == script.OK && verb == model.Renew && reply.Expires != want.Entry.Expires:
		return fmt.Errorf("renewed to %d, want %d", reply.Expires, want.Entry.Expires)
	case reply.Status == script.Queued:
		ahead := slices.IndexFunc(memory.Line(), func(e lockqueue.Entry) bool { return e.ID == want.Entry.ID })
		if reply.Ahead != ahead || reply.Due != due || reply.Foreign {
			return fmt.Errorf("%d ahead, want %d; due at %d, want %d; foreign %v", reply.Ahead, ahead, reply.Due, due, reply.Foreign)
		}
	}
	return nil
}

// modelResult is a result in the model's words.
func modelResult(res *lockqueue.Result, verb model.Verb) model.Result {
	r := model.Result{First: res.First, Limit: res.Limit, Due: int64(res.Due), HasDue: res.HasDue}
	r.Answer = map[lockqueue.Status]model.Answer{
		lockqueue.OK: model.OK, lockqueue.Granted: model.Granted, lockqueue.Queued: model.Queued,
		lockqueue.Busy: model.Busy, lockqueue.LimitDiffers: model.LimitDiffers, lockqueue.Lost: model.Lost,
	}[res.Status]
	if res.Status == lockqueue.Granted || res.Status == lockqueue.OK && verb == model.Renew {
		r.Token = res.Entry.Token
	}
	for i := range res.Holders {
		r.Holders = append(r.Holders, model.Grant{ID: res.Holders[i].ID, Token: res.Holders[i].Token})
	}
	for i := range res.Woken {
		r.Woken = append(r.Woken, model.Grant{ID: res.Woken[i].ID, Token: res.Woken[i].Token})
	}
	return r
}

// checkLifetimes checks that no key of Redis goes while it is needed, and that
// none is there that is not.
func (s *target) checkLifetimes(k *key, now lockqueue.Now) error {
	record, err := k.memory.Key()
	if err != nil {
		return err
	}
	var heldTill, waitTill lockqueue.Micros
	lone := false
	for i := range k.seen.Holders {
		heldTill = max(heldTill, k.seen.Holders[i].Until())
		lone = record.Limit == 1 && record.Mode == 0
	}
	for i := range k.seen.Waiters {
		waitTill = max(waitTill, k.seen.Waiters[i].Until())
	}
	keep := lockqueue.FromDuration(retention)
	if record.Idle() {
		k.lastUse = min(k.lastUse, now.Lease)
	} else {
		k.lastUse = max(heldTill, waitTill, now.Lease)
	}
	var needs [7]lockqueue.Micros // 0: it must not be there.
	needs[script.Lock] = heldTill
	if record.LastToken != 0 {
		needs[script.State] = k.lastUse + keep
	}
	if record.Waiting > 0 {
		needs[script.Line] = waitTill
		needs[script.Entries] = waitTill
	}
	if record.Held > 0 && !lone {
		needs[script.Held], needs[script.Due] = heldTill, heldTill
		needs[script.Entries] = max(waitTill, heldTill)
	}
	for i, need := range needs {
		switch ends := k.ends[i]; {
		case need == 0 && ends != 0 && i != script.State:
			err = errors.Join(err, fmt.Errorf("%s is left behind", k.names[i]))
		case need != 0 && ends == 0:
			err = errors.Join(err, fmt.Errorf("%s is missing", k.names[i]))
		case ends < int64(need):
			err = errors.Join(err, fmt.Errorf("%s goes at %d and is needed until %d", k.names[i], ends, need))
		}
	}
	// Tokens that have run ahead of the wall clock are kept for longer.
	if ahead := int64(record.LastToken) - int64(now.Wall); k.written && k.ends[script.State] < int64(now.Lease+keep)+ahead {
		err = errors.Join(err, fmt.Errorf("%s goes at %d, and its tokens are %d ahead", k.names[script.State], k.ends[script.State], ahead))
	}
	return err
}
