package redismigrate

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestTheTagOfAnUnfinishedKeyIsOfItsSlot(t *testing.T) {
	require.Equal(t, 12739, slotOf("123456789"), "the published check value of this CRC, 0x31c3")
	require.Equal(t, slotOf("user1000"), slotOf("{user1000}.following"))
	require.NotEqual(t, slotOf(""), slotOf("x{}y"), "empty braces are no tag")
	for _, key := range []string{"", "{", "}", "{}", "a}b{c", "{tag}x", "x{}y", "\x00\xff", "カート:1", "{{}}"} {
		name := newTypedCopy(nil, nil).unfinished(key)
		require.Equal(t, slotOf(key), slotOf(name), "%q", key)
		require.True(t, isServiceKey(name))
	}
}

func TestCopyByTypesIntoAndOutOfACluster(t *testing.T) {
	t.Parallel()
	cluster := servers.RedisCluster(t, servers.RedisKind{Version: "7.0"}, "--save", "")
	newer, older := servers.OwnRedisOf(t, servers.RedisKind{Version: "8.0"}, "--save", ""), own(t)
	ctx := t.Context()
	fillEveryType(t, newer.Client)
	for i := range 500 {
		require.NoError(t, newer.Client.HSet(ctx, fmt.Sprint("many:", i), "f", i).Err())
	}
	keys := everything
	keys.Exclude = []string{"fields that expire:*"}
	// Moves and Copy of a cluster are not this test's: it is the copying by types.
	through := func(from, to *Endpoint, opt CopyOptions) Result {
		r, err := Copy(ctx, Move{From: from, To: to, Keys: keys}, opt)
		require.NoError(t, err)
		return r
	}
	into := &Endpoint{URL: "redis://" + cluster.Masters[0]}
	began := time.Now()
	r := through(one(newer), into, CopyOptions{})
	require.Len(t, r.Notes, 1)
	t.Logf("into the cluster: %v (%v)", r, time.Since(began))
	sameByOtherMeans(t, newer.Client, cluster.Client)
	again := through(one(newer), into, CopyOptions{})
	require.Zero(t, again.Copied)
	require.Zero(t, again.Differs, again.Existing)

	from, to, err := openPair(ctx, into, one(older), nil, true)
	require.NoError(t, err)
	defer from.close()
	defer to.close()
	c := newTypedCopy(from, to)
	for _, key := range newer.Client.Keys(ctx, "*").Val() {
		if cluster.Client.Exists(ctx, key).Val() > 0 {
			require.NoError(t, c.copyKey(ctx, 0, 0, key), "%q", key)
		}
	}
	sameByOtherMeans(t, cluster.Client, older.Client)
	require.EqualValues(t, r.Copied, older.Client.DBSize(ctx).Val())

	// Functions go to every master.
	require.NoError(t, older.Client.FunctionLoad(ctx, fmt.Sprintf(library, "one", "one", 1)).Err())
	f, err := CopyFunctions(ctx, Move{From: one(older), To: into}, FunctionsOptions{Scripts: []string{"return 7"}})
	require.NoError(t, err)
	require.Equal(t, []string{"one"}, f.Copied)
	for _, addr := range cluster.Masters {
		node := redis.NewClient(cluster.Options(addr))
		defer node.Close()
		require.Len(t, node.FunctionList(ctx, redis.FunctionListQuery{}).Val(), 1, addr)
		require.EqualValues(t, 7, node.EvalSha(ctx, f.Scripts[0], nil).Val())
	}
	_, err = Copy(ctx, Move{From: one(older), To: into, Keys: keys}, CopyOptions{Strategy: MigrateKeys})
	require.ErrorIs(t, err, ErrRefused)
}
