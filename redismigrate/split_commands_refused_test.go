package redismigrate

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// givenState is a split's state that a test changes; it cannot be read while it is SplitUnknown.
type givenState struct{ now atomic.Int64 }

func (s *givenState) State(context.Context) (SplitState, error) {
	if now := SplitState(s.now.Load()); now != SplitUnknown {
		return now, nil
	}
	return SplitUnknown, errors.New("the place where the state is kept is out of order")
}

func (s *givenState) put(t *testing.T, split *Split, state SplitState) {
	t.Helper()
	s.now.Store(int64(state))
	sees(t, state, split)
}

// toldBy are the commands that a server has carried out, but for the one that asks.
func toldBy(t *testing.T, list ...*servers.RedisServer) (counts []string) {
	t.Helper()
	for _, s := range list {
		text, err := s.Client.Info(t.Context(), "commandstats").Result()
		require.NoError(t, err)
		for _, line := range regexp.MustCompile(`cmdstat_(\S+):calls=(\d+)`).FindAllStringSubmatch(text, -1) {
			if line[1] != "info" {
				counts = append(counts, line[1]+" "+line[2])
			}
		}
	}
	return counts
}

// refusedCase is something that a split does not do, and what it says.
type refusedCase struct {
	name  string
	state SplitState
	do    func(ctx context.Context, c *redis.Client) error
	says  string
}

var refusedCases = []refusedCase{
	{"a command on keys of both", SplitOld, func(ctx context.Context, c *redis.Client) error {
		return c.MGet(ctx, "session:a", "session:b", "cart:c").Err()
	},
		`MGET is refused: key "session:a" is part of the split and key "cart:c" is not, so that they are not on one store: use a command for each`},
	{"the other first", SplitAway, func(ctx context.Context, c *redis.Client) error { return c.Rename(ctx, "cart:c", "session:a").Err() },
		`RENAME is refused: key "session:a" is part of the split and key "cart:c" is not, so that they are not on one store: use a command for each`},
	{"a key without a name", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.MGet(ctx, "session:a", "").Err() }, `MGET is refused: key "session:a" is part of the split and key "" is not`},
	{"a script on keys of both", SplitNew, func(ctx context.Context, c *redis.Client) error {
		return c.Eval(ctx, "return 1", []string{"cart:c", "session:a"}).Err()
	}, `EVAL is refused: key "session:a" is part of the split and key "cart:c" is not`},
	{"a script without keys", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.Eval(ctx, "return 1", nil).Err() },
		`EVAL is refused: it names no key, so that it could run on either store: declare the keys that it touches, or use a store's own client (Split.Old or Split.New)`},
	{"a transaction on keys of both", SplitAway, func(ctx context.Context, c *redis.Client) error {
		_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Incr(ctx, "session:a")
			p.Incr(ctx, "cart:c")
			return nil
		})
		return err
	}, `MULTI is refused: some of its keys are part of the split and others are not, so that they are not on one store: use a transaction for each`},
	{"a transaction with a command that is refused", SplitOld, func(ctx context.Context, c *redis.Client) error {
		_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Incr(ctx, "cart:c")
			p.Ping(ctx)
			return nil
		})
		return err
	}, `PING is refused: alone it asks both stores, which a pipeline or transaction cannot: send it by itself, or ask a store's own client (Split.Old or Split.New)`},
	{"a transaction on very many keys", SplitOld, func(ctx context.Context, c *redis.Client) error {
		_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
			for i := range mostKeys + 1 {
				p.Incr(ctx, fmt.Sprintf("session:%d", i))
			}
			return nil
		})
		return err
	}, `MULTI is refused: it touches more than 100 of the split's keys, each of which may have to be brought first: make several transactions of it`},
	{"a command on very many keys", SplitOld, func(ctx context.Context, c *redis.Client) error {
		var keys []string
		for i := range mostKeys + 1 {
			keys = append(keys, fmt.Sprintf("session:%d", i))
		}
		return c.Del(ctx, keys...).Err()
	}, `DEL is refused: it names more than 100 of the split's keys, each of which may have to be brought first: make several commands of it`},
	{"a pipeline whose commands share very many keys", SplitAway, func(ctx context.Context, c *redis.Client) error {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range mostKeys {
				p.Rename(ctx, fmt.Sprintf("session:%d", i), fmt.Sprintf("session:%d", i+1))
			}
			return nil
		})
		return err
	}, `RENAME is refused: it and others of its pipeline share more than 100 keys, each of which may have to be brought first: make several pipelines of it`},
	{"a read that waits", SplitOld, func(ctx context.Context, c *redis.Client) error {
		return c.XRead(ctx, &redis.XReadArgs{Streams: []string{"session:a", "$"}, Block: time.Second}).Err()
	}, `XREAD is refused: it may block (BLOCK), and a client that waits in one store does not see the key go to the other: read without BLOCK (go-redis: Block: -1), and again after a pause`},
	{"a read of a group that waits for ever", SplitNew, func(ctx context.Context, c *redis.Client) error {
		return c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"session:a", ">"}}).Err()
	}, `XREADGROUP is refused: it may block (BLOCK)`},
	{"a pop that waits", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.BLPop(ctx, time.Second, "session:a").Err() },
		`BLPOP is refused: it blocks, and a client that waits in one store does not see the key go to the other: ask without waiting (LPOP, LMOVE, ZPOPMIN, …), and again after a pause; ` +
			`for keys that are not part of the split, use the old store's own client (Split.Old)`},
	{"sorting by other keys", SplitOld, func(ctx context.Context, c *redis.Client) error {
		return c.Sort(ctx, "session:a", &redis.Sort{By: "weight:*"}).Err()
	},
		`SORT is refused: it reads keys that it does not name (BY or GET with a pattern): read those keys yourself, or sort in the program`},
	{"getting other keys", SplitOld, func(ctx context.Context, c *redis.Client) error {
		return c.SortRO(ctx, "session:a", &redis.Sort{Get: []string{"#", "session:*->f"}}).Err()
	}, `SORT_RO is refused: it reads keys that it does not name`},
	{"copying to another db", SplitOld, func(ctx context.Context, c *redis.Client) error {
		return c.Copy(ctx, "session:a", "session:b", 3, false).Err()
	},
		`COPY is refused: it copies to another db, and a split is about one: copy within the db, without DB (in go-redis by Do, as Copy always names one)`},
	{"going on with a cursor", SplitAway, func(ctx context.Context, c *redis.Client) error { return c.HScan(ctx, "session:a", 7, "", 10).Err() },
		`HSCAN is refused: its cursor may be of the other store, where the key was, and elements would be missed: begin again from cursor 0 when the split is in state new or old, or read the key whole (HGETALL, SMEMBERS, ZRANGE)`},
	{"going on with a cursor soon afterwards", SplitNew, func(ctx context.Context, c *redis.Client) error { return c.SScan(ctx, "session:a", 7, "", 10).Err() }, `SSCAN is refused: its cursor may be of the other store`},
	{"going on with a cursor in a pipeline", SplitHome, func(ctx context.Context, c *redis.Client) error {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error { return p.ZScan(ctx, "session:a", 7, "", 10).Err() })
		return err
	}, `ZSCAN is refused: its cursor may be of the other store`},
	{"watching", SplitOld, func(ctx context.Context, c *redis.Client) error {
		return c.Watch(ctx, func(*redis.Tx) error { return errors.New("it was run") }, "session:a")
	}, `WATCH is refused: a key that is watched may go to the other store before EXEC: use a transaction of commands (TxPipelined), or a script with declared keys`},
	{"a transaction by hand", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.Do(ctx, "MULTI").Err() }, `MULTI is refused: transactions are sent as a whole, by TxPipelined`},
	{"publishing", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.Publish(ctx, "channel", "x").Err() },
		`PUBLISH is refused: messages go through one store only: publish and subscribe on a store's own client (Split.Old or Split.New), the same one in all processes`},
	{"looking at all keys", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.Scan(ctx, 0, "session:*", 10).Err() },
		`SCAN is refused: it is about all keys of a store, and the split's keys are on two of them: ask each store's own client (Split.Old and Split.New), and mind that both hold records whose names begin with tashikame:split:`},
	{"deleting all", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.FlushDB(ctx).Err() }, `FLUSHDB is refused: it would delete the records by which the split knows where each key is`},
	{"loading a script", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.ScriptLoad(ctx, "return 1").Err() },
		`SCRIPT is refused: scripts and functions are kept by each server: load them on both stores' own clients`},
	{"a module's command", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.JSONSet(ctx, "session:a", "$", "1").Err() },
		`JSON.SET is refused: it is a module's, and whether values of modules survive a hand-over was never tried: use the store's own client (Split.Old) for keys that are not part of the split`},
	{"a new command", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.VCard(ctx, "session:a").Err() },
		`VCARD is refused: it is too new to have been tried in a split: use older commands; for keys that are not part of the split, use the old store's own client (Split.Old)`},
	{"a command that nobody knows", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.Do(ctx, "FROBNICATE", "session:a").Err() },
		`FROBNICATE is refused: the split does not know where its keys are: use the store's own client (Split.Old or Split.New), or open an issue for it`},
	{"too few arguments", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.Do(ctx, "ZUNION", 3, "session:a").Err() },
		`ZUNION is refused: its arguments are not those that the command takes, so that its keys cannot be found: correct them`},
	{"no command", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.Do(ctx).Err() }, ` is refused: the split does not know where its keys are`},
	{"no keys", SplitOld, func(ctx context.Context, c *redis.Client) error { return c.Del(ctx).Err() }, `DEL is refused: its arguments are not those that the command takes`},
}

// refusingSplit is a split on two servers that nobody else talks to.
func refusingSplit(t *testing.T) (*Split, *givenState, []*servers.RedisServer) {
	t.Helper()
	old, fresh := ownPair(t)
	state := &givenState{}
	state.now.Store(int64(SplitOld))
	opt := quickSplit()
	opt.States, opt.MaxAge, opt.CommandTimeout = state, time.Second, 5*time.Second
	return openSplit(t, old.URL, fresh.URL, opt), state, []*servers.RedisServer{old, fresh}
}

// TestSplitRefusals makes a split refuse: it says why and what to do instead, and sends nothing.
func TestSplitRefusals(t *testing.T) {
	t.Parallel()
	s, state, both := refusingSplit(t)
	for _, c := range refusedCases {
		t.Run(c.name, func(t *testing.T) {
			state.put(t, s, c.state)
			before, refused := toldBy(t, both...), s.Stats().Refused
			err := c.do(t.Context(), s.Client())
			var why *SplitRefusedError
			require.ErrorAs(t, err, &why)
			require.Equal(t, sessions.ID, why.Split)
			require.ErrorContains(t, err, "redismigrate: split sessions: "+c.says)
			require.Equal(t, before, toldBy(t, both...))
			require.Greater(t, s.Stats().Refused, refused)
		})
	}
	t.Run("every command that is refused", func(t *testing.T) {
		state.put(t, s, SplitOld)
		before := toldBy(t, both...)
		for name, treatment := range treatments {
			if treatment.refuse == "" || name == "ping" {
				continue
			}
			var why *SplitRefusedError
			require.ErrorAs(t, s.Client().Do(t.Context(), name, "session:a", "session:b").Err(), &why)
			require.Equal(t, treatment.refuse, why.Why)
			reason, instead, ok := strings.Cut(why.Why, ": ")
			require.True(t, ok && reason != "" && instead != "" || name == "multi" || name == "exec" || name == "discard", "%s: %s", name, why.Why)
		}
		require.Equal(t, before, toldBy(t, both...))
	})
	t.Run("what needs a connection", func(t *testing.T) {
		before := toldBy(t, both...)
		sub := s.Client().Subscribe(t.Context(), "channel")
		_, err := sub.Receive(t.Context())
		const says = "redismigrate: split sessions: this client has no connection of its own: publish, subscribe and monitor on a store's own client (Split.Old or Split.New)"
		require.ErrorContains(t, err, says)
		require.NoError(t, sub.Close())
		require.ErrorContains(t, s.Client().WithTimeout(time.Second).Get(t.Context(), "session:a").Err(), says, "go-redis leaves the hooks out there")
		require.Equal(t, before, toldBy(t, both...))
	})
}

// TestSplitRefusesOneOfMany shows that a command which is refused leaves the others of its pipeline, and a cursor is only refused where it may be another store's.
func TestSplitRefusesOneOfMany(t *testing.T) {
	t.Parallel()
	s, state, both := refusingSplit(t)
	ctx := t.Context()
	for _, in := range []SplitState{SplitOld, SplitAway, SplitNew} {
		state.put(t, s, in)
		cmds, err := s.Client().Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "session:a", in.String(), 0)
			p.BLPop(ctx, time.Second, "session:b")
			p.MGet(ctx, "session:a", "cart:c")
			p.Set(ctx, "cart:c", in.String(), 0)
			p.Get(ctx, "session:a")
			p.Get(ctx, "cart:c")
			return nil
		})
		require.ErrorContains(t, err, "BLPOP is refused")
		require.NoError(t, cmds[0].Err())
		require.ErrorContains(t, cmds[2].Err(), "MGET is refused")
		require.NoError(t, cmds[3].Err())
		require.Equal(t, in.String(), cmds[4].(*redis.StringCmd).Val())
		require.Equal(t, in.String(), cmds[5].(*redis.StringCmd).Val())
		require.Equal(t, in.String(), both[0].Client.Get(ctx, "cart:c").Val())
	}
	state.put(t, s, SplitOld)
	require.NoError(t, s.Client().HScan(ctx, "session:h", 7, "", 10).Err())
	require.NoError(t, s.Client().Ping(ctx).Err())
}

// TestSplitWithoutItsState shows that while the state cannot be read, commands on the split's keys are refused and all others go on.
func TestSplitWithoutItsState(t *testing.T) {
	t.Parallel()
	s, state, both := refusingSplit(t)
	ctx := t.Context()
	for _, in := range []SplitState{SplitOld, SplitAway, SplitNew} {
		state.put(t, s, in)
		require.NoError(t, s.Client().Set(ctx, "session:a", "x", 0).Err())
		state.put(t, s, SplitUnknown)
		before, refused := toldBy(t, both...), s.Stats().Refused
		for _, err := range []error{
			s.Client().Get(ctx, "session:a").Err(),
			errOf(s.Client().Pipelined(ctx, func(p redis.Pipeliner) error { return p.Get(ctx, "session:a").Err() })),
			errOf(s.Client().TxPipelined(ctx, func(p redis.Pipeliner) error { return p.Get(ctx, "session:a").Err() })),
		} {
			require.ErrorIs(t, err, ErrSplitState)
			require.ErrorContains(t, err, "redismigrate: split sessions: the state of the split cannot be told: the last state that was read ("+in.String()+
				") is older than 1s, and another one may be in force: the place where the state is kept is out of order")
		}
		require.Equal(t, before, toldBy(t, both...))
		require.Equal(t, refused+3, s.Stats().Refused)
		require.NoError(t, s.Client().Set(ctx, "cart:c", "y", 0).Err())
		cmds, err := s.Client().Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Get(ctx, "session:a")
			p.Get(ctx, "cart:c")
			return nil
		})
		require.ErrorIs(t, err, ErrSplitState)
		require.Equal(t, "y", cmds[1].(*redis.StringCmd).Val())
	}
}

// TestSplitDiffersFromAClient shows what SPLIT.md says is different while keys move.
func TestSplitDiffersFromAClient(t *testing.T) {
	t.Parallel()
	s, state, _ := refusingSplit(t)
	ctx := t.Context()
	for _, in := range []SplitState{SplitOld, SplitHome, SplitAway} {
		state.put(t, s, in)
		key := "session:" + in.String()
		cmds, err := s.Client().Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Incr(ctx, key)
			p.SAdd(ctx, key)
			p.Incr(ctx, key+" another")
			return nil
		})
		require.Error(t, err)
		require.EqualError(t, cmds[1].Err(), "ERR wrong number of arguments for 'sadd' command")
		require.NoError(t, cmds[2].Err())
		if in == SplitOld {
			require.NoError(t, cmds[0].Err())
			require.EqualError(t, s.Client().SAdd(ctx, key).Err(), "ERR wrong number of arguments for 'sadd' command")
		} else {
			require.ErrorContains(t, cmds[0].Err(), "EXECABORT")
			require.EqualError(t, s.Client().SAdd(ctx, key).Err(), "ERR Wrong number of args calling Redis command from script")
		}
		require.NoError(t, s.Client().Watch(ctx, func(tx *redis.Tx) error { return tx.Incr(ctx, key).Err() }))
	}
}

func errOf[T any](_ T, err error) error { return err }

// TestSplitRefusesWhatNoClusterDoes plans commands for stores of which one is a cluster.
func TestSplitRefusesWhatNoClusterDoes(t *testing.T) {
	t.Parallel()
	s := selectingSplit(t)
	s.stores[newSide].cluster = true
	ctx := t.Context()
	require.EqualError(t, s.planCommand(redis.NewSliceCmd(ctx, "mget", "session:{1}a", "session:{1}b", "session:{2}c")).err,
		`redismigrate: split sessions: MGET is refused: keys "session:{1}a" and "session:{2}c" are in different slots of a cluster, so that no server can carry it out as a whole: use a command for each`)
	require.NoError(t, s.planCommand(redis.NewSliceCmd(ctx, "mget", "session:{1}a", "session:{1}b")).err)
	s.stores[newSide].cluster = false
	require.NoError(t, s.planCommand(redis.NewSliceCmd(ctx, "mget", "session:{1}a", "session:{2}c")).err)
}
