package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// SplitState is how far a live split has come. See Split for what each means and for the way between them.
type SplitState int

const (
	// SplitUnknown is the zero value: the state could not be read. Commands on the split's keys are refused.
	SplitUnknown SplitState = iota
	// SplitOld sends every command to the old store, as before.
	SplitOld
	// SplitHome runs a command where its key is; a key that is on the new store is brought back first.
	SplitHome
	// SplitAway runs a command where its key is; a key that is on the old store is brought to the new one first.
	SplitAway
	// SplitNew sends every command on the split's keys to the new store.
	SplitNew
	// SplitSealed is the same, and there is no way back.
	SplitSealed
)

var splitStateNames = [...]string{"unknown", "old", "home", "away", "new", "sealed"}

// String is "old", "home", "away", "new", "sealed" or "unknown".
func (s SplitState) String() string {
	if s < 0 || int(s) >= len(splitStateNames) {
		return fmt.Sprintf("SplitState(%d)", int(s))
	}
	return splitStateNames[s]
}

// MarshalText is String, so that a report in JSON shows words.
func (s SplitState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *SplitState) UnmarshalText(text []byte) (err error) {
	if string(text) == SplitUnknown.String() {
		*s = SplitUnknown
		return nil
	}
	*s, err = ParseSplitState(string(text))
	return err
}

// ParseSplitState reads what String writes; "unknown" is none.
func ParseSplitState(text string) (SplitState, error) {
	for s, name := range splitStateNames {
		if SplitState(s) != SplitUnknown && name == strings.TrimSpace(text) {
			return SplitState(s), nil
		}
	}
	return SplitUnknown, fmt.Errorf("%q is no state of a split; they are old, home, away, new and sealed", clipped(text))
}

// toward is the store that keys are to be on.
func (s SplitState) toward() side {
	if s <= SplitHome {
		return oldSide
	}
	return newSide
}

// direct says that no command looks at a record.
func (s SplitState) direct() bool { return s != SplitHome && s != SplitAway }

// neighbours reports whether one step leads from one state to the other.
func (s SplitState) neighbours(to SplitState) bool {
	switch {
	case s == SplitUnknown || to == SplitUnknown || s == SplitSealed:
		return false
	}
	return to == s+1 || to == s-1
}

// SplitStates is the one place that all processes read the state of a split from.
type SplitStates interface {
	// State reads the state. An error, or SplitUnknown, makes processes refuse commands on the split's keys once the last state that they have read is older than
	// SplitOptions.MaxAge.
	State(ctx context.Context) (SplitState, error)
}

// SplitStateFunc makes SplitStates of a function, for a state that is kept elsewhere.
type SplitStateFunc func(ctx context.Context) (SplitState, error)

// State implements SplitStates.
func (f SplitStateFunc) State(ctx context.Context) (SplitState, error) { return f(ctx) }

// SplitStateFile reads the state from a file that holds its name, such as one that a Kubernetes ConfigMap is mounted as. Whoever changes it asks Split.MayStep before.
type SplitStateFile string

// State implements SplitStates.
func (f SplitStateFile) State(context.Context) (SplitState, error) {
	text, err := os.ReadFile(string(f))
	if err != nil {
		return SplitUnknown, err
	}
	s, err := ParseSplitState(string(text))
	if err != nil {
		return s, fmt.Errorf("%s: %w", string(f), err)
	}
	return s, nil
}

// stateKey keeps the state in a key of the new store: its name, and since when in Unix milliseconds of that server's clock. Split.Begin and Split.Step write it.
type stateKey struct {
	key   string
	store *splitStore
}

func stateKeyOf(id string) string { return recordPrefix + "state:" + id }

var errNotBegun = errors.New("the split has not begun: call Split.Begin once (redismigrate: or the key that holds its state was lost)")

func isNotBegun(err error) bool { return errors.Is(err, errNotBegun) }

// State implements SplitStates.
func (k *stateKey) State(ctx context.Context) (SplitState, error) {
	s, _, err := k.read(ctx)
	return s, err
}

func (k *stateKey) read(ctx context.Context) (s SplitState, text string, err error) {
	text, err = k.store.client.Get(ctx, k.key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return SplitUnknown, "", errNotBegun
	case err != nil:
		return SplitUnknown, "", k.store.fail("read the state of the split", err)
	}
	name, _, _ := strings.Cut(text, " ")
	if s, err = ParseSplitState(name); err != nil {
		return s, text, fmt.Errorf("key %s: %w", k.key, err)
	}
	return s, text, nil
}

// scriptState changes the state if it still is what the caller has seen. KEYS: the key. ARGV: what it holds ("": nothing), the new state. Returns what it holds then.
var scriptState = newUrgentScript(`
local has = redis.call('GET', KEYS[1])
if (has or '') ~= ARGV[1] then return has or '' end
local now = redis.call('TIME')
local text = ARGV[2] .. ' ' .. string.format('%d', now[1] * 1000 + math.floor(now[2] / 1000))
redis.call('SET', KEYS[1], text)
return text
`)

// write changes the state from what was read.
func (k *stateKey) write(ctx context.Context, was string, to SplitState) error {
	now, err := scriptState.run(ctx, k.store.client, []string{k.key}, was, to.String()).Text()
	if err != nil {
		return k.store.fail("write the state of the split", err)
	}
	if name, _, _ := strings.Cut(now, " "); now == was || name != to.String() {
		return fmt.Errorf("somebody else has changed the state meanwhile: it is %q now", now)
	}
	return nil
}

// lease is a state with the time until which it may be used.
type lease struct {
	state SplitState
	until time.Time
	since time.Time // this process has seen the state, or another one of the same directness
	salt  uint64    // another one for each state that was seen
	err   error     // why there is no newer one
}

// watchState reads the state again and again until ctx ends.
func (s *Split) watchState(ctx context.Context) {
	ticker := time.NewTicker(s.opt.Refresh)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.readState(ctx)
		}
	}
}

// readState reads the state once. What was read before stays until it is too old.
func (s *Split) readState(ctx context.Context) {
	s.reader.Lock()
	defer s.reader.Unlock()
	ctx, cancel := context.WithTimeout(ctx, s.opt.MaxAge)
	defer cancel()
	before := time.Now()
	state, err := s.states.State(ctx)
	if err == nil && state == SplitUnknown {
		err = errors.New("the state is unknown")
	}
	old := s.lease.Load()
	next := *old
	if next.err = err; err == nil {
		next.until = before.Add(s.opt.MaxAge)
		if state != old.state {
			if !state.direct() {
				s.loadScripts(ctx)
			}
			next.since, next.state, next.salt = before, state, old.salt+0x9e3779b97f4a7c15
			s.opt.Logger.Info("redismigrate: the split's state is another one", "split", s.id, "state", state.String(), "before", old.state.String())
		}
	}
	s.lease.Store(&next)
}

// loadScripts tells both stores the scripts, so that no command has to. Should that fail, commands do.
func (s *Split) loadScripts(ctx context.Context) {
	for _, st := range s.stores {
		for _, script := range []*redis.Script{scriptRun, scriptDepart.anyway, scriptArrive, scriptFinish.anyway} {
			_ = loadScript(ctx, st, script)
		}
	}
}

// current is the state, if it may be used now.
func (s *Split) current() (*lease, error) {
	l := s.lease.Load()
	if time.Now().After(l.until) {
		err := l.err
		if err == nil {
			err = errors.New("it was not read again in time")
		}
		return nil, fmt.Errorf("redismigrate: split %s: %w: the last state that was read (%s) is older than %s, and another one may be in force: %w", s.id, ErrSplitState, l.state, s.opt.MaxAge, notRun{err})
	}
	return l, nil
}

// awaitState is current for jobs, which wait a moment for a state that was read late.
func (s *Split) awaitState(ctx context.Context) (*lease, error) {
	for deadline := time.Now().Add(s.opt.settling()); ; {
		l, err := s.current()
		if err == nil || time.Now().After(deadline) || isNotBegun(err) || pause(ctx, s.opt.Refresh) != nil {
			return l, err
		}
	}
}

// ErrSplitState is wrapped by the error of a command that was not sent because the state of the split is not known well enough.
var ErrSplitState = errors.New("the state of the split cannot be told")
