package zk

// Codes of requests.
const (
	opDelete          = 2
	opExists          = 3
	opGet             = 4
	opSet             = 5
	opSync            = 9
	opPing            = 11
	opChildren2       = 12
	opCheck           = 13
	opMulti           = 14
	opCreate2         = 15
	opRemoveWatches   = 18
	opCreateContainer = 19
	opAuth            = 100
	opSetWatches      = 101
	opClose           = -11
)

// Transaction numbers that are no number of a request.
const (
	xidEvent      = -1
	xidPing       = -2
	xidAuth       = -4
	xidSetWatches = -8
)

// A Stat is what ZooKeeper keeps about a node.
type Stat struct {
	// Czxid, Mzxid and Pzxid are the transactions that made the node, changed
	// its data, and changed its list of children last.
	Czxid, Mzxid, Pzxid int64
	// Ctime and Mtime are by the server's clock, in ms since 1970.
	Ctime, Mtime int64
	// Version, Cversion and Aversion count changes of data, children, ACL.
	Version, Cversion, Aversion int32
	// EphemeralOwner is the session that the node belongs to; 0 if to none.
	EphemeralOwner int64
	// DataLength and NumChildren say how much there is.
	DataLength, NumChildren int32
}

func (d *decoder) stat() (s Stat) {
	s.Czxid, s.Mzxid, s.Ctime, s.Mtime = d.int64(), d.int64(), d.int64(), d.int64()
	s.Version, s.Cversion, s.Aversion = d.int32(), d.int32(), d.int32()
	s.EphemeralOwner, s.DataLength, s.NumChildren, s.Pzxid = d.int64(), d.int32(), d.int32(), d.int64()
	return s
}

// A Request is one of the types below.
type Request interface {
	code() int32
	put(e *encoder)
	take(d *decoder, r *Reply)
}

// A watcher is a request that may set a watch.
type watcher interface {
	watch() (path string, w *Watch)
}

// A Mode says how long a node lives.
type Mode int32

// Modes.
const (
	// Persistent nodes stay until they are deleted.
	Persistent Mode = 0
	// Ephemeral nodes go with their session.
	Ephemeral Mode = 1
	// EphemeralSequential nodes do too; the server appends a number of 10
	// digits to the path, which grows with each child of the parent.
	EphemeralSequential Mode = 3
	// Container nodes go some time after their last child went.
	Container Mode = 4
)

// An ACL is one entry of a node's access list.
type ACL struct {
	// Perms is the sum of read 1, write 2, create 4, delete 8, admin 16.
	Perms int32
	// Scheme and ID name who has them: "world" and "anyone", "auth" and "",
	// "digest" and user:hash.
	Scheme, ID string
}

// Create makes a node. The reply has its Path and Stat.
type Create struct {
	Path string
	Data []byte
	ACL  []ACL
	Mode Mode
}

func (r *Create) code() int32 {
	if r.Mode == Container {
		return opCreateContainer
	}
	return opCreate2
}

func (r *Create) put(e *encoder) {
	e.string(r.Path)
	e.bytes(r.Data)
	e.int32(int32(len(r.ACL))) //nolint:gosec // There are a few.
	for _, a := range r.ACL {
		e.int32(a.Perms)
		e.string(a.Scheme)
		e.string(a.ID)
	}
	e.int32(int32(r.Mode))
}

func (r *Create) take(d *decoder, reply *Reply) { reply.Path, reply.Stat = d.string(), d.stat() }

// Delete deletes a node that has that version, or any if it is -1.
type Delete struct {
	Path    string
	Version int32
}

func (r *Delete) code() int32           { return opDelete }
func (r *Delete) put(e *encoder)        { e.string(r.Path); e.int32(r.Version) }
func (r *Delete) take(*decoder, *Reply) {}

// Exists asks for a node's Stat. The watch is set even if there is no node.
type Exists struct {
	Path  string
	Watch *Watch
}

func (r *Exists) code() int32                    { return opExists }
func (r *Exists) put(e *encoder)                 { e.string(r.Path); e.bool(r.Watch != nil) }
func (r *Exists) take(d *decoder, reply *Reply)  { reply.Stat = d.stat() }
func (r *Exists) watch() (path string, w *Watch) { return r.Path, r.Watch }

// Get asks for a node's Data and Stat. The watch is set if the node is there.
type Get struct {
	Path  string
	Watch *Watch
}

func (r *Get) code() int32                    { return opGet }
func (r *Get) put(e *encoder)                 { e.string(r.Path); e.bool(r.Watch != nil) }
func (r *Get) take(d *decoder, reply *Reply)  { reply.Data, reply.Stat = d.bytes(), d.stat() }
func (r *Get) watch() (path string, w *Watch) { return r.Path, r.Watch }

// Set changes the data of a node that has that version, or any if it is -1.
type Set struct {
	Path    string
	Data    []byte
	Version int32
}

func (r *Set) code() int32                   { return opSet }
func (r *Set) put(e *encoder)                { e.string(r.Path); e.bytes(r.Data); e.int32(r.Version) }
func (r *Set) take(d *decoder, reply *Reply) { reply.Stat = d.stat() }

// Children asks for the names of a node's Children, in no order, and its Stat.
type Children struct{ Path string }

func (r *Children) code() int32                   { return opChildren2 }
func (r *Children) put(e *encoder)                { e.string(r.Path); e.bool(false) }
func (r *Children) take(d *decoder, reply *Reply) { reply.Children, reply.Stat = d.strings(), d.stat() }

// Sync has the server catch up with the leader: what is asked after it on the
// same connection sees all that was done anywhere before.
type Sync struct{ Path string }

func (r *Sync) code() int32               { return opSync }
func (r *Sync) put(e *encoder)            { e.string(r.Path) }
func (r *Sync) take(d *decoder, _ *Reply) { d.string() }

// Check is a change that changes nothing: it asks whether a node has that version, or
// any if it is -1. As with all changes, a majority of the servers have written it down
// before it is answered: then the session lived after it was sent, whatever the server
// believes that answers. What is asked after it on the same connection sees all that
// was done anywhere before, NoNode being an answer like any other.
type Check struct {
	Path    string
	Version int32
}

// It is a transaction of one part: as a request of its own it is not documented.
func (r *Check) code() int32 { return opMulti }

func (r *Check) put(e *encoder) {
	part := func(code int32, last bool) {
		e.int32(code)
		e.bool(last)
		e.int32(-1)
	}
	part(opCheck, false)
	e.string(r.Path)
	e.int32(r.Version)
	part(-1, true)
}

func (r *Check) take(d *decoder, reply *Reply) {
	d.take(5) //nolint:mnd // What the part was, and that it is not the last one.
	reply.refused = Code(d.int32())
}

// removeWatches takes away this session's watch on a node's data.
type removeWatches struct{ path string }

const watchesOfData = 2

func (r *removeWatches) code() int32           { return opRemoveWatches }
func (r *removeWatches) put(e *encoder)        { e.string(r.path); e.int32(watchesOfData) }
func (r *removeWatches) take(*decoder, *Reply) {}

// closeSession ends the session and deletes its ephemeral nodes.
type closeSession struct{}

func (closeSession) code() int32           { return opClose }
func (closeSession) put(*encoder)          {}
func (closeSession) take(*decoder, *Reply) {}
