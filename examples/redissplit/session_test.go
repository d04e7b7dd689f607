package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// scene is the service on a plain Redis, behind whose back things are done to its sessions.
type scene struct {
	*testing.T
	*service
	store   *redis.Client
	path    string
	session *session
}

func newScene(t *testing.T) *scene {
	store := servers.Redis(t).Client
	path := filepath.Join(t.TempDir(), "journal")
	journal, err := openJournal(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, journal.close()) })
	s := &session{slot: "session:a:1", key: "session:a:1", may: []value{loggedOut}}
	return &scene{t, &service{client: store, hits: "hits:a", journal: journal, told: complaints}, store, path, s}
}

// judged takes the findings since the last time.
func (s *scene) judged(want tally) {
	s.Helper()
	want.Compared = 1
	got := s.tally
	got.Commands, got.Took = 0, 0
	require.Equal(s, want, got)
	s.tally = tally{}
}

func TestWhatIsLostStaleResurrectedOrRepeatedIsFound(t *testing.T) {
	s, ctx := newScene(t), t.Context()
	anew := func() { // a session that is logged in, and was touched twice
		s.read(s.session)
		if s.session.may[0] == loggedOut {
			s.logIn(s.session)
		}
		s.touch(s.session)
		s.touch(s.session)
		s.tally = tally{}
	}
	by := map[string]func(*session){"HMGET": s.read, "HINCRBY": s.touch, "TTL": s.expiry, "DEL": s.logOut}
	for name, look := range by {
		anew()
		look(s.session)
		if name != "DEL" { // of which only what is wrong is counted
			s.judged(tally{})
		}
		anew()
		require.NoError(t, s.store.Del(ctx, s.session.key).Err())
		look(s.session)
		s.judged(tally{Lost: 1})
		require.NoError(t, s.store.Del(ctx, s.session.key).Err())
	}
	for _, name := range []string{"HMGET", "HINCRBY"} {
		anew()
		require.NoError(t, s.store.HIncrBy(ctx, s.session.key, "hits:a", -1).Err())
		by[name](s.session)
		s.judged(tally{Stale: 1})
		anew()
		require.NoError(t, s.store.HIncrBy(ctx, s.session.key, "hits:a", 1).Err())
		by[name](s.session)
		s.judged(tally{Repeated: 1})
	}
	anew()
	require.NoError(t, s.store.Persist(ctx, s.session.key).Err())
	s.expiry(s.session)
	s.judged(tally{Stale: 1})
	anew()
	old := s.store.HGetAll(ctx, s.session.key).Val()
	s.logOut(s.session)
	s.tally = tally{}
	s.read(s.session)
	s.judged(tally{})
	require.NoError(t, s.store.HSet(ctx, s.session.key, old).Err())
	s.read(s.session)
	s.judged(tally{Resurrected: 1})

	require.NoError(t, s.store.RPush(ctx, "cart:1", "book", "pen").Err())
	s.cart(1)
	s.judged(tally{})
	s.cart(2)
	s.judged(tally{Lost: 1})
}

// deaf lets the answers of some commands not come.
type deaf struct {
	to map[string]bool // and whether it is carried out
}

var errDeaf = errors.New("no answer")

func (d deaf) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d deaf) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d deaf) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		done, is := d.to[cmd.Name()]
		if !is {
			return next(ctx, cmd)
		}
		if done {
			_ = next(ctx, cmd)
		}
		cmd.SetErr(errDeaf)
		return errDeaf
	}
}

func TestACommandWithoutAnAnswerMayHaveBeenCarriedOutOrNot(t *testing.T) {
	for _, done := range []bool{true, false} {
		s := newScene(t)
		s.logIn(s.session)
		s.store.AddHook(deaf{to: map[string]bool{"hincrby": done}})
		before := s.session.may[0]
		s.touch(s.session)
		require.Equal(t, int64(1), s.tally.Uncertain)
		both := []value{before, {before.login, 1}}
		require.Equal(t, both, s.session.may)
		require.WithinDuration(t, time.Now().Add(settling), s.session.rests, time.Second)

		// The next process knows as much as this one.
		next := &session{slot: s.session.slot}
		require.NoError(t, readJournal(s.path, []*session{next}))
		require.Equal(t, session{slot: s.session.slot, key: s.session.key, last: s.session.last, may: both}, *next)

		s.tally = tally{}
		s.session.rests = time.Time{}
		s.read(s.session)
		s.judged(tally{})
		require.Equal(t, []value{{before.login, map[bool]int64{true: 1}[done]}}, s.session.may)
		// And what is neither is wrong.
		s.touch(s.session)
		require.NoError(t, s.store.HSet(t.Context(), s.session.key, "hits:a", 9).Err())
		s.tally = tally{}
		s.read(s.session)
		s.judged(tally{Repeated: 1})
	}
}

func TestAJournalThatMakesNoSenseIsRefused(t *testing.T) {
	s := newScene(t)
	for _, line := range []string{"session:a:1 session:a:1 1", "session:b:1 session:b:1 1 1:0", "session:a:1 session:a:1 x 1:0", "session:a:1 session:a:1 1 1"} {
		j, err := openJournal(filepath.Join(t.TempDir(), "j"))
		require.NoError(t, err)
		_, err = j.file.WriteString(line + "\n")
		require.NoError(t, err)
		require.Error(t, readJournal(j.file.Name(), []*session{s.session}), line)
		require.NoError(t, j.close())
	}
}

func TestTheVerdict(t *testing.T) {
	say := func(string, ...any) {}
	require.NoError(t, verdict(say, tally{Compared: 1}))
	require.Error(t, verdict(say, tally{}), "nothing compared proves nothing")
	for _, bad := range []tally{{Lost: 1}, {Stale: 1}, {Resurrected: 1}, {Repeated: 1}} {
		require.Error(t, verdict(say, tally{Compared: 1}.plus(bad)))
	}
	require.Equal(t, tally{Commands: 2}, tally{Commands: 3, Lost: 1}.minus(tally{Commands: 1, Lost: 1}))
	require.Equal(t, []string{"1", "999", "1,000", "1,234,567"}, []string{thousands(1), thousands(999), thousands(1000), thousands(1234567)})
}
