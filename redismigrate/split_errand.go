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
)

// ask is one request to one store.
type ask[V any] struct {
	kind   askKind
	side   side
	key    int8 // of depart, arrive and finish: which of the command's keys
	unless bool // of depart: not if the key does not exist here and never left
	help   bool // of depart: only read again what is leaving already
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
}

// errand is one command of one process on its way through the stores. It is a value: it holds nothing but where it is.
type errand[V any] struct {
	toward side // where the process's state wants keys to be
	direct bool // the states old and new: no look at records
	sweep  bool // the mover's: there is no command, the key only has to be there
	reads  bool // the command only reads, and names one key

	next ask[V]
	from side // of the hand-over under way
	lazy bool // the next ask runs a read where nothing is
}

// newErrand begins a command.
func newErrand[V any](toward side, direct, reads bool) errand[V] {
	kind := askRun
	if direct {
		kind = askDirect
	}
	return errand[V]{toward: toward, direct: direct, reads: reads, next: ask[V]{kind: kind, side: toward}}
}

// newSweep begins the mover's hand-over of a key.
func newSweep[V any](toward side) errand[V] {
	return errand[V]{toward: toward, sweep: true, next: ask[V]{kind: askDepart, side: toward.other()}, from: toward.other()}
}

// step takes the answer to the present ask and says what to ask next.
func (e errand[V]) step(a told[V]) errand[V] {
	asked := e.next
	e.next = ask[V]{}
	switch asked.kind {
	case askDirect, askNothing:
		return e
	case askRun:
		switch {
		case a.done:
			return e
		case e.lazy: // it was touched meanwhile
			e.lazy = false
			e.next = ask[V]{kind: askRun, side: e.toward}
		case a.standing == leaving: // somebody in the neighbouring state takes it away: done first, it can be fetched back
			e.from = asked.side
			e.next = ask[V]{kind: askDepart, side: e.from, key: a.key, help: true}
		default:
			e.from = asked.side.other()
			e.next = ask[V]{kind: askDepart, side: e.from, key: a.key, unless: e.reads}
		}
	case askDepart:
		switch {
		case a.absent:
			e.lazy = true
			e.next = ask[V]{kind: askRun, side: e.from}
		case a.standing == leaving:
			e.next = ask[V]{kind: askArrive, side: e.from.other(), key: asked.key, over: a.over}
		case !e.sweep:
			e.next = ask[V]{kind: askRun, side: e.toward}
		}
	case askArrive:
		e.next = ask[V]{kind: askFinish, side: e.from, key: asked.key, over: handOver[V]{seq: asked.over.seq}}
	case askFinish:
		if !e.sweep {
			e.next = ask[V]{kind: askRun, side: e.toward}
		}
	}
	return e
}
