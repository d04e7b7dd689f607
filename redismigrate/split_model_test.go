package redismigrate

import (
	"fmt"
	"hash/maphash"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The model has one store of each side with up to two keys, two processes and a mover that send commands, and a controller that takes the
// states one step at a time. All of it is one comparable value; the search goes through every order of everything, once for each value.
//
// What must hold is checked at the moment when a command runs: the key must hold there what all commands that ran before have left
// (spec). So no write is lost, nothing is read stale, and nothing comes back.

// modelValue is a key's value: 0 is none, others are numbers; with expires it vanishes when the model's time has passed.
type modelValue struct {
	n       int8
	expires bool
}

type modelKey struct {
	value    modelValue
	seq      int64
	standing standing
	recorded bool
}

const (
	modelKeys  = 2
	modelProcs = 3 // the last is the mover
	maxPackets = 2
)

type modelStore [modelKeys]modelKey

// modelOp is what a command does to its keys.
type modelOp int8

const (
	opGet modelOp = iota
	opSet         // a new number
	opDelete
	opAdd      // depends on what was there
	opExpiring // a new number that will expire
	opBoth     // adds to both keys, as a transaction does
	opKinds
)

type splitState int8

const (
	stateOld splitState = iota
	stateHome
	stateAway
	stateNew
)

func (s splitState) toward() side {
	if s <= stateHome {
		return oldSide
	}
	return newSide
}

func (s splitState) direct() bool { return s == stateOld || s == stateNew }

type modelProc struct {
	state  splitState
	busy   bool
	dead   bool
	op     modelOp
	key    int8
	errand errand[modelValue]
	left   int8 // commands that it still sends
	absent bool // at some time since it began the key did not exist: a read may say so, even if it does exist now
}

// packet is a request that its sender has given up on.
type packet struct {
	used bool
	op   modelOp
	key  int8
	ask  ask[modelValue]
}

type model struct {
	stores  [2]modelStore
	spec    [modelKeys]modelValue
	expired bool // the time of everything that expires has passed
	procs   [modelProcs]modelProc
	packets [maxPackets]packet
	state   splitState // the declared one
	path    int8       // how far along modelPath
	written int8       // the last number that was written
	crashes int8       // that may still happen
	full    int8       // how many values will not be taken by a store
}

// sabotage breaks a rule, to see that the search misses it.
type sabotage struct {
	arriveTwice, arriveOver, finishLate, departQuietly, runLeaving, skipHome, noGateAwayNew, noGateAwayHome, noGateHomeOld, copyAbsent, forgetNumber, helpStarts, lateRequests, returnAtOnce, returnMoved, freeOther, looseGate bool
}

// modelPath is the order in which the states are gone through.
var modelPath = []splitState{stateOld, stateHome, stateAway, stateNew, stateAway, stateHome, stateOld}

type search struct {
	broken sabotage
	keys   int8
	ops    []modelOp
	afar   bool                // commands may begin on the other side
	seen   map[uint64]struct{} // by their hash: of ten million situations, one is taken for another once in 400,000 searches
	seed   maphash.Seed
	trail  []string
	failed string
}

func (m *model) value(s side, k int8) modelValue {
	v := m.stores[s][k].value
	if v.expires && m.expired {
		return modelValue{}
	}
	return v
}

// record is a key's record, or what its absence means.
func (m *model) record(s side, k int8) (int64, standing) {
	key := m.stores[s][k]
	switch {
	case key.recorded:
		return key.seq, key.standing
	case s == oldSide, m.value(s, k).n != 0:
		return 0, here
	}
	return 0, gone
}

func (m *model) note(s side, k int8, seq int64, st standing) {
	key := &m.stores[s][k]
	key.seq, key.standing, key.recorded = seq, st, true
}

func (op modelOp) keys(k int8) []int8 {
	if op == opBoth {
		return []int8{0, 1}
	}
	return []int8{k}
}

// carryOut is what a store does with a request, atomically.
func (s *search) carryOut(m *model, op modelOp, key int8, a ask[modelValue], absent bool) (out told[modelValue]) {
	switch a.kind {
	case askDirect:
		s.run(m, op, key, a.side)
		out.done = true
	case askRun:
		if a.free && s.broken.freeOther {
			a.side = a.side.other()
		}
		for i, k := range op.keys(key) {
			if _, st := m.record(a.side, k); st != here && (st != leaving || !s.broken.runLeaving) {
				if a.free && !m.stores[a.side][k].recorded {
					continue
				}
				return told[modelValue]{key: int8(i), standing: st}
			}
		}
		if a.free && absent && m.value(a.side, key).n == 0 {
			return told[modelValue]{done: true} // it did not exist at some time since the read began
		}
		s.run(m, op, key, a.side)
		out.done = true
	case askDepart:
		k := op.keys(key)[a.key]
		seq, st := m.record(a.side, k)
		if st == here && a.help && !s.broken.helpStarts {
			return told[modelValue]{standing: here}
		}
		if st == here {
			if (a.unless || s.broken.copyAbsent) && !m.stores[a.side][k].recorded && m.value(a.side, k).n == 0 {
				if s.broken.copyAbsent && !a.unless {
					return told[modelValue]{standing: leaving, over: handOver[modelValue]{seq: seq + 1}}
				}
				return told[modelValue]{absent: true}
			}
			seq, st = seq+1, leaving
			if !s.broken.departQuietly {
				m.note(a.side, k, seq, st)
			}
		}
		out.standing = st
		out.over = handOver[modelValue]{seq: seq, value: m.value(a.side, k)}
	case askArrive:
		k := op.keys(key)[a.key]
		seq, st := m.record(a.side, k)
		if seq >= a.over.seq && !s.broken.arriveTwice {
			return told[modelValue]{standing: st, refused: seq == a.over.seq && st == gone}
		}
		out.standing = here
		if m.stores[a.side][k].recorded || m.value(a.side, k).n == 0 || s.broken.arriveOver {
			m.stores[a.side][k].value = a.over.value
		}
		m.note(a.side, k, a.over.seq, here)
		if s.broken.forgetNumber {
			m.stores[a.side][k].seq = 1
		}
	case askRefuse:
		k := op.keys(key)[a.key]
		seq, st := m.record(a.side, k)
		switch {
		case s.broken.returnAtOnce:
			out.refused = true
		case seq > a.over.seq && s.broken.returnMoved:
			out.refused = true
		case seq >= a.over.seq:
			return told[modelValue]{standing: st, refused: seq == a.over.seq && st == gone}
		case !m.stores[a.side][k].recorded && m.value(a.side, k).n != 0:
			m.note(a.side, k, a.over.seq, here) // as if it had arrived: there is a newer value
			return told[modelValue]{standing: here}
		default:
			m.stores[a.side][k].value = modelValue{}
			m.note(a.side, k, a.over.seq, gone)
			out = told[modelValue]{standing: gone, refused: true}
		}
	case askReturn:
		k := op.keys(key)[a.key]
		if seq, st := m.record(a.side, k); st == leaving && seq == a.over.seq {
			m.note(a.side, k, seq, here)
		}
	case askFinish:
		k := op.keys(key)[a.key]
		if seq, st := m.record(a.side, k); st == leaving && seq == a.over.seq || s.broken.finishLate {
			m.stores[a.side][k].value = modelValue{}
			m.note(a.side, k, a.over.seq, gone)
		}
	}
	return out
}

// run carries out the command itself, and checks.
func (s *search) run(m *model, op modelOp, key int8, at side) {
	for _, k := range op.keys(key) {
		have, want := m.value(at, k), m.spec[k]
		if want.expires && m.expired {
			want = modelValue{}
		}
		if have != want {
			s.failed = fmt.Sprintf("key %d is %v on store %d, but everybody's commands have left %v", k, have, at, want)
			return
		}
		v := have
		switch op {
		case opSet:
			m.written++
			v = modelValue{n: m.written}
		case opExpiring:
			m.written++
			v = modelValue{n: m.written, expires: !m.expired}
		case opDelete:
			v = modelValue{}
		case opAdd, opBoth:
			v.n += 10
		case opGet:
		}
		m.spec[k] = v
		m.stores[at][k].value = v
	}
}

// mayStep says whether the controller may go on to the next state.
func (s *search) mayStep(m *model) bool {
	if int(m.path)+1 >= len(modelPath) {
		return false
	}
	for _, p := range m.procs {
		if !p.dead && p.state != m.state {
			return false
		}
	}
	for _, p := range m.packets { // these are waited for
		if p.used && !p.ask.harmless() && !s.broken.lateRequests {
			return false
		}
	}
	next := modelPath[m.path+1]
	switch {
	case m.state == stateHome && next == stateOld && !s.broken.noGateHomeOld:
		return m.swept(newSide, s.keys, s.broken.looseGate)
	case m.state == stateAway && next == stateNew && !s.broken.noGateAwayNew:
		return m.swept(oldSide, s.keys, s.broken.looseGate)
	case m.state == stateAway && next == stateHome && !s.broken.noGateAwayHome:
		for k := range s.keys {
			if m.value(newSide, k).n != 0 && !m.stores[newSide][k].recorded {
				return false
			}
		}
	}
	return true
}

// harmless: a request that does nothing once its hand-over is over, however late it comes.
func (a ask[V]) harmless() bool {
	switch a.kind {
	case askArrive, askFinish, askRefuse, askReturn:
		return true
	}
	return false
}

// swept says whether no key is on a side, not even one that does not exist, and none on its way. First hand-overs of no value do not count: there are always some of keys that
// are about to be created. (A second one would overwrite what somebody in the state new creates meanwhile: the new store has a record of the key then.)
func (m *model) swept(s side, keys int8, loose bool) bool {
	for k := range keys {
		if seq, st := m.record(s, k); st == leaving && (seq > 1 && !loose || m.value(s, k).n != 0) || st == here && (m.stores[s][k].recorded || m.value(s, k).n != 0) {
			return false
		}
		if _, st := m.record(s.other(), k); st == leaving {
			return false
		}
	}
	return true
}

// maxHandOvers ends the to and fro of a process in home and one in away over one key, which may go on for ever.
const maxHandOvers = 5

func (m *model) tooFar() bool {
	for _, store := range m.stores {
		for _, key := range store {
			if key.seq > maxHandOvers {
				return true
			}
		}
	}
	return false
}

// explore goes through everything that may happen next.
func (s *search) explore(m model) {
	if s.failed != "" {
		return
	}
	id := maphash.Comparable(s.seed, m)
	if _, again := s.seen[id]; again || m.tooFar() {
		return
	}
	s.seen[id] = struct{}{}
	try := func(what string, next model) {
		if s.failed != "" {
			return
		}
		s.trail = append(s.trail, what)
		s.explore(next)
		if s.failed == "" {
			s.trail = s.trail[:len(s.trail)-1]
		}
	}
	do := func(what string, f func(*model)) {
		if s.failed != "" {
			return
		}
		next := m
		f(&next)
		next.observe()
		if s.failed != "" {
			s.trail = append(s.trail, what)
			return
		}
		try(what, next)
	}
	for i := range m.procs {
		p := m.procs[i]
		if p.dead {
			continue
		}
		if !p.busy {
			if p.state != m.state {
				do(fmt.Sprintf("process %d learns of state %d", i, m.state), func(m *model) { m.procs[i].state = m.state })
			}
			if p.left == 0 {
				continue
			}
			for key := range s.keys {
				if i == modelProcs-1 {
					if !p.state.direct() {
						toward := p.state.toward()
						do(fmt.Sprintf("the mover takes key %d to store %d", key, toward), func(m *model) { m.begin(i, opGet, key, newSweep[modelValue](toward)) })
					}
					continue
				}
				for _, op := range s.ops {
					if op == opBoth && key > 0 {
						continue
					}
					for _, afar := range []bool{false, true} {
						if afar && (!s.afar || p.state.direct()) {
							continue
						}
						do(fmt.Sprintf("process %d begins op %d on key %d in state %d", i, op, key, p.state), func(m *model) {
							m.begin(i, op, key, newErrand[modelValue](p.state.toward(), p.state.direct(), op == opGet, afar))
						})
					}
				}
			}
			continue
		}
		do(fmt.Sprintf("process %d: %+v", i, p.errand.next), func(m *model) {
			p := &m.procs[i]
			a := s.carryOut(m, p.op, p.key, p.errand.next, p.absent)
			p.errand = p.errand.step(a)
			p.busy = p.errand.next.kind != askNothing
		})
		if m.full > 0 && p.errand.next.kind == askArrive && p.errand.next.over.value.n != 0 {
			do(fmt.Sprintf("process %d: no room for %+v", i, p.errand.next), func(m *model) {
				m.full--
				p := &m.procs[i]
				a := told[modelValue]{refused: true, standing: leaving}
				if seq, st := m.record(p.errand.next.side, p.op.keys(p.key)[p.errand.next.key]); seq >= p.errand.next.over.seq {
					a = told[modelValue]{standing: st, refused: seq == p.errand.next.over.seq && st == gone} // it does not come to that
				}
				p.errand = p.errand.step(a)
				p.busy = p.errand.next.kind != askNothing
			})
		}
		if m.crashes > 0 {
			do(fmt.Sprintf("process %d dies", i), func(m *model) { m.crashes--; m.procs[i] = modelProc{dead: true} })
			for j := range m.packets {
				if !m.packets[j].used {
					do(fmt.Sprintf("process %d dies, its request is late", i), func(m *model) {
						m.crashes--
						m.packets[j] = packet{true, p.op, p.key, p.errand.next}
						m.procs[i] = modelProc{dead: true}
					})
					break
				}
			}
		}
	}
	for j, p := range m.packets {
		if p.used {
			do(fmt.Sprintf("a late request is carried out: %+v", p.ask), func(m *model) {
				m.packets[j] = packet{}
				s.carryOut(m, p.op, p.key, p.ask, p.op == opGet)
			})
		}
	}
	if !m.expired {
		do("what expires expires", func(m *model) { m.expired = true })
	}
	if s.mayStep(&m) {
		do(fmt.Sprintf("state %d", modelPath[m.path+1]), func(m *model) { m.path++; m.state = modelPath[m.path] })
	}
	if s.broken.skipHome && m.state == stateOld && m.path == 0 {
		do("state 2, home being left out", func(m *model) { m.path = 2; m.state = stateAway })
	}
}

// observe notes for commands that are under way that their key does not exist.
func (m *model) observe() {
	for i := range m.procs {
		p := &m.procs[i]
		if want := m.spec[p.key]; p.busy && (want.n == 0 || want.expires && m.expired) {
			p.absent = true
		}
	}
}

func (m *model) begin(i int, op modelOp, key int8, e errand[modelValue]) {
	p := &m.procs[i]
	p.busy, p.absent, p.op, p.key, p.errand = true, false, op, key, e
	p.left--
}

// size is how much of the model is searched.
type size struct {
	keys                            int8
	ops                             []modelOp
	commands, sweeps, crashes, full int8
	afar, none                      bool // commands may begin on the other side; the key does not exist at first
}

// look searches everything from the beginning. It returns what went wrong, and how many situations there are.
func (c size) look(broken sabotage) (string, int) {
	s := &search{broken: broken, keys: c.keys, ops: c.ops, afar: c.afar, seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	m := model{crashes: c.crashes, full: c.full}
	for i := range m.procs {
		m.procs[i].left = c.commands
	}
	m.procs[modelProcs-1].left = c.sweeps
	if !c.none {
		m.stores[oldSide][0].value = modelValue{n: 1}
		m.spec[0] = modelValue{n: 1}
	}
	m.written = 1
	s.explore(m)
	if s.failed == "" {
		return "", len(s.seen)
	}
	return s.failed + "\n  " + strings.Join(s.trail, "\n  "), len(s.seen)
}

// thorough says that this is make soak: then the searches take minutes.
var thorough = os.Getenv("TASHIKAME_SOAK") != ""

func TestSoakSplitProtocolHoldsInEveryOrder(t *testing.T) {
	t.Parallel()
	sizes := map[string]size{
		"a crash or a late packet": {keys: 1, ops: []modelOp{opAdd}, commands: 1, sweeps: 1, crashes: 1},
		"expiry":                   {keys: 1, ops: []modelOp{opGet, opExpiring}, commands: 1, sweeps: 1},
		"no room":                  {keys: 1, ops: []modelOp{opAdd}, commands: 1, sweeps: 1, full: 2},
		"from afar":                {keys: 1, ops: []modelOp{opGet, opAdd}, commands: 1, sweeps: 1, afar: true},
		"a new key from afar":      {keys: 1, ops: []modelOp{opGet, opAdd}, commands: 1, sweeps: 1, afar: true, none: true},
	}
	if thorough {
		sizes["a crash or a late packet"] = size{keys: 1, ops: []modelOp{opAdd, opDelete}, commands: 1, sweeps: 1, crashes: 1}
		sizes["no room"] = size{keys: 1, ops: []modelOp{opAdd}, commands: 1, sweeps: 1, crashes: 1, full: 2}
		sizes["a new key from afar"] = size{keys: 1, ops: []modelOp{opGet, opAdd}, commands: 2, afar: true, none: true}
		sizes["writes and reads"] = size{keys: 1, ops: []modelOp{opGet, opSet, opDelete}, commands: 1, sweeps: 2}
		sizes["transactions"] = size{keys: 2, ops: []modelOp{opBoth, opDelete}, commands: 1, sweeps: 1}
		sizes["two commands of each"] = size{keys: 1, ops: []modelOp{opAdd, opDelete}, commands: 2, sweeps: 1}
		sizes["a new key"] = size{keys: 1, ops: []modelOp{opGet, opAdd}, commands: 2, sweeps: 1, none: true}
		sizes["a new key, everything"] = size{keys: 1, ops: []modelOp{opGet, opAdd, opDelete}, commands: 2, sweeps: 1, crashes: 1, afar: true, none: true}
		sizes["from afar, with crashes"] = size{keys: 1, ops: []modelOp{opAdd, opDelete}, commands: 1, sweeps: 1, crashes: 1, full: 1, afar: true}
	}
	for name, c := range sizes {
		t.Run(name, func(t *testing.T) {
			failed, n := c.look(sabotage{})
			t.Logf("%d situations", n)
			require.Empty(t, failed)
		})
	}
}

// Each rule is needed: without it, the search finds an order in which something is lost, stale or resurrected.
func TestSoakSplitModelMissesEachRule(t *testing.T) {
	t.Parallel()
	rules := map[string]sabotage{
		"arrive a second time":               {arriveTwice: true},
		"finish late":                        {finishLate: true},
		"depart without saying so":           {departQuietly: true},
		"run on a key that is leaving":       {runLeaving: true},
		"from old to away at once":           {skipHome: true},
		"new before all keys are away":       {noGateAwayNew: true},
		"old before all keys are home":       {noGateHomeOld: true},
		"hand-overs without numbers":         {forgetNumber: true},
		"steps while requests are under way": {lateRequests: true},
		"a read of no key on the other side": {freeOther: true},
		"a second hand-over under way":       {looseGate: true},
	}
	if thorough { // these take long to show
		rules["a key that returns unrefused"] = sabotage{returnAtOnce: true}
		rules["a key that returns and has gone on"] = sabotage{returnMoved: true}
		rules["home before all keys have records"] = sabotage{noGateAwayHome: true}
		rules["no hand-over of absent keys"] = sabotage{copyAbsent: true}
		rules["help that begins a hand-over"] = sabotage{helpStarts: true}
	}
	for name, b := range rules {
		t.Run(name, func(t *testing.T) {
			c := size{keys: 1, ops: []modelOp{opGet, opAdd, opDelete}, commands: 2, sweeps: 2, crashes: 1}
			if b.returnAtOnce || b.returnMoved {
				c.full = 2
			}
			if b.freeOther || b.looseGate {
				c = size{keys: 1, ops: []modelOp{opGet, opAdd}, commands: 2, afar: true, none: true}
			}
			failed, n := c.look(b)
			require.NotEmpty(t, failed, "not missed in %d situations", n)
			t.Log(strings.SplitN(failed, "\n", 2)[0])
		})
	}
}
