package redismigrate

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// sameCase is something that a program does, which has to come out alike through a split.
type sameCase struct {
	name   string
	before func(ctx context.Context, p redis.Pipeliner, k keyName) // fills the keys; nil: there are none
	do     func(ctx context.Context, c *redis.Client, k keyName) []any
}

// keyName makes the name of a key that no other case uses.
type keyName func(name string) string

func (c sameCase) key(name string) string { return "session:" + c.name + ":" + name }

// sameCases are all of them.
func sameCases() []sameCase {
	return slices.Concat(sameStrings, sameGeneric, sameHashes, sameLists, sameSets, sameSortedSets, sameGeo, sameStreams, sameScripts, sameReplies, sameTogether)
}

// outcomeOf is what came of one thing that a case does.
type outcomeOf struct {
	what string
	got  []any
}

// run does a case, and returns what came of it in a form that can be compared.
func (c sameCase) run(ctx context.Context, client *redis.Client) (list []outcomeOf) {
	for i, r := range c.do(ctx, client, c.key) {
		one := outcomeOf{what: fmt.Sprintf("%s, no. %d", c.name, i)}
		if cmd, ok := r.(redis.Cmder); ok {
			one.what += fmt.Sprint(" ", cmd.Args())
			for _, got := range reflect.ValueOf(cmd).MethodByName("Result").Call(nil) {
				one.got = append(one.got, got.Interface())
			}
		} else {
			one.got = []any{r}
		}
		list = append(list, one)
	}
	return list
}

// only is a part of a command's result that does not change from time to time, or its error.
func only[T any](val T, err error, part func(T) any) any {
	if err != nil {
		return err
	}
	return part(val)
}

// inOrder is the result of a command whose order is random.
func inOrder(cmd *redis.StringSliceCmd) any {
	return only(cmd.Val(), cmd.Err(), func(list []string) any { return slices.Sorted(slices.Values(list)) })
}

// works is whether a command that has another result each time has one.
func works[T comparable](cmd interface{ Result() (T, error) }) any {
	val, err := cmd.Result()
	var zero T
	return only(val, err, func(val T) any { return val != zero })
}

// someTime is what can be compared of a duration until an expiry.
func someTime(cmd *redis.DurationCmd) any {
	return only(cmd.Val(), cmd.Err(), func(d time.Duration) any { return d.Round(time.Minute) })
}

// sameWays are the states of a split, and where the keys are when a case begins.
var sameWays = []struct {
	name  string
	state SplitState
	swept bool // else a key comes when it is touched first
}{
	{"old", SplitOld, false},
	{"away, keys on the old store", SplitAway, false},
	{"away, keys on the new store", SplitAway, true},
	{"home, keys on the new store", SplitHome, false},
	{"home, keys on the old store", SplitHome, true},
	{"new", SplitNew, false},
}

// TestSplitAnswersAsTheServerDoes does the same through a plain client and through a split, in each state. Values, errors and their Go types have to be the same, and so have the
// keys that are there afterwards.
func TestSplitAnswersAsTheServerDoes(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{3, 2} {
		t.Run(fmt.Sprint("RESP", protocol), func(t *testing.T) {
			t.Parallel()
			old, fresh := ownPair(t)
			ctx := t.Context()
			for _, s := range []*servers.RedisServer{old, fresh} {
				require.NoError(t, s.Client.FunctionLoad(ctx, sameFunctions).Err())
				require.NoError(t, s.Client.ScriptLoad(ctx, sameLoaded).Err())
			}
			o := old.Options(1)
			o.Protocol = protocol
			plain := redis.NewClient(o)
			t.Cleanup(func() { require.NoError(t, plain.Close()) })
			want := map[string][]outcomeOf{}
			prepare(t, plain)
			for _, c := range sameCases() {
				require.NotContains(t, want, c.name)
				want[c.name] = c.run(ctx, plain)
			}
			left := leftBy(t, plain)
			for _, way := range sameWays {
				t.Run(way.name, func(t *testing.T) {
					db0 := *o
					db0.DB = 0
					stores := [2]*redis.Client{redis.NewClient(&db0), fresh.Client}
					t.Cleanup(func() { require.NoError(t, stores[0].Close()) })
					for _, s := range stores {
						require.NoError(t, s.FlushDB(ctx).Err())
					}
					opt := quickSplit()
					opt.MaxAge, opt.CommandTimeout = 5*time.Second, 5*time.Second
					s := openSplit(t, fmt.Sprintf("%s?protocol=%d", old.URL, protocol), fmt.Sprintf("%s?protocol=%d", fresh.URL, protocol), opt)
					require.NoError(t, s.Begin(ctx))
					sees(t, SplitOld, s)
					bring(t, s, stores, way.state, way.swept)
					for _, c := range sameCases() {
						got := c.run(ctx, s.Client())
						assert.Len(t, got, len(want[c.name]), c.name)
						for i, w := range want[c.name] {
							assert.Equal(t, w.got, got[i].got, w.what)
						}
					}
					if !way.state.direct() {
						_, err := s.Sweep(ctx, SweepOptions{})
						require.NoError(t, err)
					}
					assert.Equal(t, left, leftBy(t, stores[way.state.toward()]))
				})
			}
		})
	}
}

// bring fills the keys and brings a split to a state.
func bring(t *testing.T, s *Split, stores [2]*redis.Client, state SplitState, swept bool) {
	t.Helper()
	sweep := func() {
		_, err := s.Sweep(t.Context(), SweepOptions{})
		require.NoError(t, err)
	}
	if state == SplitNew {
		put(t, s, SplitNew)
		prepare(t, stores[newSide])
		return
	}
	prepare(t, stores[oldSide])
	if state == SplitHome {
		put(t, s, SplitAway)
		sweep()
	}
	put(t, s, state)
	if swept {
		sweep()
	}
}

// prepare fills the keys of all cases.
func prepare(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := t.Context()
	for _, one := range sameCases() {
		if one.before == nil {
			continue
		}
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			one.before(ctx, p, one.key)
			return nil
		})
		require.NoError(t, err, one.name)
	}
}

// leftBy are digests of the keys that are left.
func leftBy(t *testing.T, c *redis.Client) map[string]any {
	t.Helper()
	left := map[string]any{}
	keys, err := c.Keys(t.Context(), "session:*").Result()
	require.NoError(t, err)
	for _, key := range keys {
		d, err := c.Do(t.Context(), "DEBUG", "DIGEST-VALUE", key).StringSlice()
		require.NoError(t, err)
		left[key] = d[0]
	}
	require.Greater(t, len(left), 50)
	return left
}

// TestSplitAnswersOfAllCommands requires that the cases use every command that the server knows.
func TestSplitAnswersOfAllCommands(t *testing.T) {
	t.Parallel()
	s := own(t)
	c := redis.NewClient(s.Options(0))
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	used := &namesOf{names: map[string]bool{}}
	c.AddHook(used)
	for _, one := range sameCases() {
		one.run(t.Context(), c)
	}
	theirs := commandsOf(t, redis2(t, s))
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(treatments)) {
		if _, known := theirs[name]; known && treatments[name].keys != nil && !used.names[name] {
			missing = append(missing, name)
		}
	}
	require.Empty(t, missing)
}

// namesOf notes the names of commands.
type namesOf struct{ names map[string]bool }

func (*namesOf) DialHook(next redis.DialHook) redis.DialHook { return next }

func (n *namesOf) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		n.names[nameOfSample(cmd.Args())] = true
		return next(ctx, cmd)
	}
}

func (n *namesOf) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			n.names[strings.ToLower(nameOfSample(cmd.Args()))] = true
		}
		return next(ctx, cmds)
	}
}
