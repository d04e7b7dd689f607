package redismigrate

// side is one of the two stores of a split.
type side int8

const (
	oldSide side = iota
	newSide
)

func (s side) other() side { return 1 - s }

// standing is what a store is to a key.
type standing int8

const (
	gone standing = iota
	leaving
	here
)

// askKind is what a process asks of one store, each done atomically there.
type askKind int8

const (
	askNothing askKind = iota // the errand is over
	askDirect                 // run the command, whatever the records say
	askRun                    // run the command if all its keys are here
	askDepart                 // let a key leave that is here, and read what is leaving
	askArrive                 // take what has left the other side
	askFinish                 // forget what has arrived on the other side
	askRefuse                 // note that a hand-over will never arrive here
	askReturn                 // keep what the other side has refused
)

// ask is one request to one store.
type ask[V any] struct {
	kind   askKind
	side   side
	key    int8 // of a hand-over: which of the command's keys
	unless bool // of depart: not if the key does not exist here and never left
	help   bool // of depart: only read again what is leaving already
	free   bool // of run: a key that neither exists nor has a record counts as here
	over   handOver[V]
}

// handOver is a key's value on its way.
type handOver[V any] struct {
	seq   int64
	value V // with its expiry; the type says how nothing is written
}

// told is what a store says.
type told[V any] struct {
	// done: the command ran.
	done bool
	// key and standing: the first of its keys that is not here, or the one that was asked to depart.
	key      int8
	standing standing
	// over is what departs; nothing when absent.
	over handOver[V]
	// absent: the key was not made to leave, as it does not exist.
	absent bool
	// refused: the server did not take the value that arrives (it is full, or does not read it). With standing gone, it never will.
	refused bool
}

// errand is one command of one process on its way through the stores. It is a value: it holds nothing but where it is.
type errand[V any] struct {
	toward side // where the process's state wants keys to be
	direct bool // the states old and new: no look at records
	sweep  bool // the mover's: there is no command, the key only has to be there
	reads  bool // the command only reads, and names one key

	next ask[V]
	from side   // of the hand-over under way
	lazy bool   // the next ask runs a read of a key that is nowhere
	owed ask[V] // the finish of a hand-over that has arrived; it comes after the command has run
	then ask[V] // what comes after the present finish

	failed bool // a store would not take a key, which therefore stays where it was
}

// newErrand begins a command. afar: its first key is looked for on the other side first, which saves a round trip where it may be there.
func newErrand[V any](toward side, direct, reads, afar bool) errand[V] {
	e := errand[V]{toward: toward, direct: direct, reads: reads}
	switch {
	case direct:
		e.next = ask[V]{kind: askDirect, side: toward}
	case afar:
		e.fetch(0)
	default:
		e.next = e.run()
	}
	return e
}

// newSweep begins the mover's hand-over of a key.
func newSweep[V any](toward side) errand[V] {
	return errand[V]{toward: toward, sweep: true, next: ask[V]{kind: askDepart, side: toward.other()}, from: toward.other()}
}

func (e *errand[V]) run() ask[V] { return ask[V]{kind: askRun, side: e.toward} }

// fetch asks for a key of the command from the other side.
func (e *errand[V]) fetch(key int8) {
	e.from = e.toward.other()
	e.next = ask[V]{kind: askDepart, side: e.from, key: key, unless: e.reads}
}

// step takes the answer to the present ask and says what to ask next.
func (e errand[V]) step(a told[V]) errand[V] {
	asked := e.next
	e.next = ask[V]{}
	switch asked.kind {
	case askRun:
		e.ran(asked, a)
		if e.owed.kind != askNothing {
			e.next, e.then, e.owed = e.owed, e.next, ask[V]{}
		}
	case askDepart:
		switch {
		case a.absent:
			e.lazy = true
			e.next = e.run()
			e.next.free = true
		case a.standing == leaving:
			e.next = ask[V]{kind: askArrive, side: e.from.other(), key: asked.key, over: a.over}
		case !e.sweep:
			e.next = e.run()
		}
	case askArrive:
		switch {
		case a.refused && a.standing == gone:
			e.next = e.about(asked, askReturn)
		case a.refused:
			e.next = ask[V]{kind: askRefuse, side: asked.side, key: asked.key, over: handOver[V]{seq: asked.over.seq}}
		default:
			e.arrived(asked)
		}
	case askRefuse:
		if a.refused {
			e.next = e.about(asked, askReturn)
		} else { // somebody else's has arrived, and may have gone on
			e.arrived(asked)
		}
	case askReturn:
		switch {
		case !e.sweep && e.from == e.toward:
			e.next = e.run()
		default:
			e.failed = true
		}
	case askFinish:
		e.next, e.then = e.then, ask[V]{}
	case askDirect, askNothing:
	}
	return e
}

// ran says what comes after a try to run the command.
func (e *errand[V]) ran(asked ask[V], a told[V]) {
	switch {
	case a.done:
	case e.lazy: // it was touched meanwhile
		e.lazy = false
		e.next = e.run()
	case a.standing == leaving: // somebody in the neighbouring state takes it away: done first, it can be fetched back
		e.from = asked.side
		e.next = ask[V]{kind: askDepart, side: e.from, key: a.key, help: true}
	default:
		e.fetch(a.key)
	}
}

// arrived says what comes after a hand-over has: the command, if it can run there; the other side can be told afterwards.
func (e *errand[V]) arrived(asked ask[V]) {
	finish := e.about(asked, askFinish)
	switch {
	case e.sweep:
		e.next = finish
	case asked.side == e.toward:
		e.next, e.owed = e.run(), finish
	default:
		e.next, e.then = finish, e.run()
	}
}

// about is an ask of the other side about the hand-over.
func (e *errand[V]) about(asked ask[V], kind askKind) ask[V] {
	return ask[V]{kind: kind, side: e.from, key: asked.key, over: handOver[V]{seq: asked.over.seq}}
}
