package redismigrate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAdviceFollowsTheCounts(t *testing.T) {
	story := advise(DBCount{Keep: 300_000, Delete: 700_000}, 0)
	require.False(t, story.CopyIsFaster, "%v", story)
	require.Contains(t, story.Basis, "552000 keys/s deleting")
	little := advise(DBCount{Keep: 1000, Delete: 999_000}, 0)
	require.True(t, little.CopyIsFaster)
	require.Contains(t, little.String(), "little is kept")
	require.Less(t, little.Copy, little.Prune)
	require.False(t, advise(DBCount{Keep: 999_000, Delete: 1000}, 0).CopyIsFaster)
	// 1,000,000 keys at 100,000 a second, 700,000 deleted, 300,000 gone over again.
	slow := advise(DBCount{Keep: 300_000, Delete: 700_000}, 100_000)
	require.Contains(t, slow.Basis, "100000 keys/s as scanned here")
	require.InDelta(t, (10 + 700_000.0/unlinkRate + 3), slow.Prune.Seconds(), 0.001)
	require.InDelta(t, 10+3, slow.Copy.Seconds(), 0.001)
	require.NotContains(t, advise(DBCount{Keep: 10, Delete: 10}, 5).Basis, "as scanned here", "a scan of 20 keys measures nothing")
	require.Less(t, advise(DBCount{}, 0).Prune, time.Second)
}

func TestParseMyself(t *testing.T) {
	s, err := parseMyself("aaa 127.0.0.1:1@11 master - 0 1 3 connected 5461-10922\n" +
		"bbb 127.0.0.1:2@12,host myself,master - 0 1 7 connected 0-5460 9000 [93->-aaa] [77-<-ccc]\n")
	require.NoError(t, err)
	require.Equal(t, shard{id: "bbb", master: true, epoch: "7", slots: [][2]int{{0, 5460}, {9000, 9000}}, moving: []string{"[93->-aaa]", "[77-<-ccc]"}}, s)
	require.True(t, s.serves(0) && s.serves(5460) && s.serves(9000))
	require.False(t, s.serves(5461))
	s, err = parseMyself("bbb 127.0.0.1:2@12 myself,slave aaa 0 1 7 connected\n")
	require.NoError(t, err)
	require.False(t, s.master)
	_, err = parseMyself("aaa 127.0.0.1:1@11 master - 0 1 3 connected 5461-10922\n")
	require.ErrorContains(t, err, "does not show the node that was asked")
	_, err = parseMyself("bbb :2@12 myself,master - 0 1 7 connected 0-x\n")
	require.ErrorContains(t, err, `slots "0-x"`)
}

func TestTagServedBy(t *testing.T) {
	for _, r := range [][2]int{{0, 5460}, {16383, 16383}, {0, 0}} {
		s := shard{slots: [][2]int{r}}
		tag, err := tagServedBy(s)
		require.NoError(t, err)
		require.True(t, s.serves(slotOf(canaryPrefix+tag+"0123")))
	}
	_, err := tagServedBy(shard{})
	require.Error(t, err)
}

func TestParseClient(t *testing.T) {
	c := parseClient("id=7 addr=10.0.0.7:5 laddr=10.0.0.1:6379 fd=8 name=web-1 age=1 flags=N db=0 user=app cmd=get lib-name=x\r\n")
	require.Equal(t, connected{"10.0.0.7:5", "web-1", "app", "N"}, c)
	require.Equal(t, "10.0.0.7:5 (name web-1, user app)", c.String())
	require.Equal(t, connected{}, parseClient("\r\n"))
	f := foreignClients{list: []string{"a", "b"}, total: 12}
	require.Equal(t, "a, b and 10 more", f.String())
	require.NoError(t, foreignClients{}.refusal(nil))
}

func TestTheSecondReplicationIDIsRead(t *testing.T) {
	require.Empty(t, parseIdentity("master_replid2:0000000000000000000000000000000000000000\r\n").replID2)
	require.Equal(t, "abc", parseIdentity("master_replid2:abc\r\n").replID2)
	source := func(id, id2 string) *node {
		return &node{session: &session{addr: "s:1"}, id: identity{runID: id, role: "master", replID: id, replID2: id2}}
	}
	require.NoError(t, checkNodesApart(source("a", ""), source("b", "a")), "restored from the source's snapshot, or its detached replica")
	require.NoError(t, checkNodesApart(source("b", "x"), source("c", "x")), "both come from the same store")
	require.ErrorIs(t, checkNodesApart(source("b", "a"), source("a", "")), ErrRefused, "the target is the original")
}
