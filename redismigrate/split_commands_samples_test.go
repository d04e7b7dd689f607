package redismigrate

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// splitSamples are one or more uses of every command that a split routes, its keys in angle brackets. They are held against the table, and against what servers say of them; and they
// stand in SPLIT.md.
const splitSamples = `
APPEND <a> x
BITCOUNT <a>
BITCOUNT <a> 0 -1 BIT
BITFIELD <a> GET u8 0 SET i16 #1 7
BITFIELD_RO <a> GET u8 0
BITOP NOT <dst> <a>
BITOP AND <dst> <a> <b> <c>
BITPOS <a> 1 0 -1 BYTE
COPY <a> <b>
COPY <a> <b> REPLACE
DECR <a>
DECRBY <a> 2
DEL <a>
DEL <a> <b> <c>
DELEX <a> IFEQ x
DELIFEQ <a> x
DIGEST <a>
DUMP <a>
EVAL script 1 <a>
EVAL script 2 <a> <b> 2 x
EVALSHA sha1 2 <a> <b> x
EVALSHA_RO sha1 1 <a> 5
EVAL_RO script 3 <a> <b> <c>
EXISTS <a>
EXISTS <a> <b>
EXPIRE <a> 10 NX
EXPIREAT <a> 4000000000
EXPIRETIME <a>
FCALL f 1 <a>
FCALL f 2 <a> <b> 1 x
FCALL_RO f 2 <a> <b> x
GEOADD <a> NX CH 13.3 38.1 m
GEODIST <a> m n km
GEOHASH <a> m n
GEOPOS <a> m n
GEORADIUS <a> 13.3 38.1 10 km
GEORADIUS <a> 13.3 38.1 10 km WITHDIST COUNT 3 ASC
GEORADIUS <a> 13.3 38.1 10 km STORE <dst>
GEORADIUS <a> 13.3 38.1 10 km COUNT 3 STOREDIST <dst>
GEORADIUS <a> 13.3 38.1 10 km STORE <store> COUNT 3
GEORADIUSBYMEMBER <a> m 10 km
GEORADIUSBYMEMBER <a> store 10 km STORE <dst> ASC
GEORADIUSBYMEMBER_RO <a> m 10 km
GEORADIUS_RO <a> 13.3 38.1 10 km
GEOSEARCH <a> FROMMEMBER m BYRADIUS 10 km
GEOSEARCHSTORE <dst> <a> FROMLONLAT 13.3 38.1 BYBOX 10 10 km STOREDIST
GET <a>
GETBIT <a> 7
GETDEL <a>
GETEX <a> EX 10
GETRANGE <a> 0 -1
GETSET <a> x
HDEL <a> f g
HEXISTS <a> f
HEXPIRE <a> 10 NX FIELDS 1 f
HEXPIREAT <a> 4000000000 FIELDS 2 f g
HEXPIRETIME <a> FIELDS 1 f
HGET <a> f
HGETALL <a>
HGETDEL <a> FIELDS 1 f
HGETEX <a> EX 10 FIELDS 1 f
HINCRBY <a> f 1
HINCRBYFLOAT <a> f 1.5
HKEYS <a>
HLEN <a>
HMGET <a> f g
HMSET <a> f 1 g 2
HPERSIST <a> FIELDS 1 f
HPEXPIRE <a> 10000 FIELDS 1 f
HPEXPIREAT <a> 4000000000000 FIELDS 1 f
HPEXPIRETIME <a> FIELDS 1 f
HPTTL <a> FIELDS 1 f
HRANDFIELD <a> 2 WITHVALUES
HSCAN <a> 0 MATCH f* COUNT 10
HSET <a> f 1 g 2
HSETEX <a> EX 10 FIELDS 1 f 1
HSETNX <a> f 1
HSTRLEN <a> f
HTTL <a> FIELDS 1 f
HVALS <a>
INCR <a>
INCRBY <a> 2
INCRBYFLOAT <a> 1.5
LCS <a> <b> LEN
LINDEX <a> 0
LINSERT <a> BEFORE x y
LLEN <a>
LMOVE <a> <b> LEFT RIGHT
LMPOP 1 <a> LEFT
LMPOP 3 <a> <b> <c> RIGHT COUNT 2
LPOP <a> 2
LPOS <a> x RANK 2
LPUSH <a> x y
LPUSHX <a> x
LRANGE <a> 0 -1
LREM <a> 0 x
LSET <a> 0 x
LTRIM <a> 0 -1
MEMORY USAGE <a>
MEMORY USAGE <a> SAMPLES 5
MGET <a>
MGET <a> <b> <c>
MSET <a> 1
MSET <a> 1 <b> 2 <c> 3
MSETEX 1 <a> 1
MSETEX 2 <a> 1 <b> 2 EX 10
MSETNX <a> 1 <b> 2
OBJECT ENCODING <a>
OBJECT FREQ <a>
OBJECT IDLETIME <a>
OBJECT REFCOUNT <a>
PERSIST <a>
PEXPIRE <a> 10000 GT
PEXPIREAT <a> 4000000000000
PEXPIRETIME <a>
PFADD <a> x y
PFCOUNT <a>
PFCOUNT <a> <b>
PFMERGE <dst> <a> <b>
PSETEX <a> 10000 x
PTTL <a>
RENAME <a> <b>
RENAMENX <a> <b>
RESTORE <a> 0 payload REPLACE
RPOP <a>
RPOPLPUSH <a> <b>
RPUSH <a> x y
RPUSHX <a> x
SADD <a> x y
SCARD <a>
SDIFF <a>
SDIFF <a> <b> <c>
SDIFFSTORE <dst> <a> <b>
SET <a> x EX 10 NX
SETBIT <a> 7 1
SETEX <a> 10 x
SETNX <a> x
SETRANGE <a> 5 x
SINTER <a> <b>
SINTERCARD 1 <a>
SINTERCARD 2 <a> <b> LIMIT 5
SINTERSTORE <dst> <a> <b>
SISMEMBER <a> x
SMEMBERS <a>
SMISMEMBER <a> x y
SMOVE <a> <b> x
SORT <a>
SORT <a> BY nosort GET # LIMIT 0 5 DESC ALPHA
SORT <a> ALPHA STORE <dst>
SORT <a> LIMIT 0 5 STORE <store>
SORT_RO <a>
SORT_RO <a> LIMIT 0 5 ALPHA
SPOP <a> 2
SRANDMEMBER <a> 2
SREM <a> x y
SSCAN <a> 0
STRLEN <a>
SUBSTR <a> 0 -1
SUNION <a> <b>
SUNIONSTORE <dst> <a> <b>
TOUCH <a>
TOUCH <a> <b>
TTL <a>
TYPE <a>
UNLINK <a>
UNLINK <a> <b>
XACK <a> g 1-1 2-1
XACKDEL <a> g KEEPREF IDS 1 1-1
XADD <a> NOMKSTREAM MAXLEN ~ 10 * f 1
XAUTOCLAIM <a> g consumer 0 0 COUNT 5
XCLAIM <a> g consumer 0 1-1 JUSTID
XDEL <a> 1-1 2-1
XDELEX <a> IDS 1 1-1
XGROUP CREATE <a> g $ MKSTREAM
XGROUP CREATECONSUMER <a> g consumer
XGROUP DELCONSUMER <a> g consumer
XGROUP DESTROY <a> g
XGROUP SETID <a> g 0
XINFO CONSUMERS <a> g
XINFO GROUPS <a>
XINFO STREAM <a> FULL COUNT 5
XLEN <a>
XPENDING <a> g IDLE 5 - + 10
XRANGE <a> - + COUNT 5
XREAD STREAMS <a> 0
XREAD COUNT 5 STREAMS <a> <b> 0 0
XREAD STREAMS <streams> 0
XREADGROUP GROUP g consumer STREAMS <a> >
XREADGROUP GROUP streams streams COUNT 5 NOACK STREAMS <a> <b> <c> > > 0
XREVRANGE <a> + - COUNT 5
XSETID <a> 5-0 ENTRIESADDED 7 MAXDELETEDID 3-0
XTRIM <a> MAXLEN ~ 10
ZADD <a> NX CH 1 m 2 n
ZCARD <a>
ZCOUNT <a> -inf +inf
ZDIFF 1 <a>
ZDIFF 2 <a> <b> WITHSCORES
ZDIFFSTORE <dst> 2 <a> <b>
ZINCRBY <a> 1 m
ZINTER 2 <a> <b> WEIGHTS 1 2 AGGREGATE MAX
ZINTERCARD 2 <a> <b> LIMIT 5
ZINTERSTORE <dst> 2 <a> <b> WEIGHTS 1 2
ZLEXCOUNT <a> - +
ZMPOP 1 <a> MIN
ZMPOP 2 <a> <b> MAX COUNT 2
ZMSCORE <a> m n
ZPOPMAX <a> 2
ZPOPMIN <a>
ZRANDMEMBER <a> 2 WITHSCORES
ZRANGE <a> (1 5 BYSCORE LIMIT 0 5
ZRANGEBYLEX <a> - +
ZRANGEBYSCORE <a> 1 5
ZRANGESTORE <dst> <a> 0 -1
ZRANK <a> m
ZREM <a> m n
ZREMRANGEBYLEX <a> - +
ZREMRANGEBYRANK <a> 0 -1
ZREMRANGEBYSCORE <a> 1 5
ZREVRANGE <a> 0 -1
ZREVRANGEBYLEX <a> + -
ZREVRANGEBYSCORE <a> 5 1
ZREVRANK <a> m
ZSCAN <a> 0
ZSCORE <a> m
ZUNION 3 <a> <b> <c> AGGREGATE MIN
ZUNIONSTORE <dst> 1 <a>
ZUNIONSTORE <dst> 2 <a> <b> WEIGHTS 1 2
`

// splitSample is one of them.
type splitSample struct {
	text string
	name string // in the table
	args []any
	keys []string
}

// samplesOfSplit reads them.
func samplesOfSplit() (list []splitSample) {
	for text := range strings.Lines(splitSamples) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		s := splitSample{text: text}
		for _, word := range strings.Fields(text) {
			if key, ok := strings.CutPrefix(word, "<"); ok {
				word = strings.TrimSuffix(key, ">")
				s.keys = append(s.keys, word)
			}
			s.args = append(s.args, word)
		}
		s.name = nameOfSample(s.args)
		list = append(list, s)
	}
	return list
}

// nameOfSample is what the table and servers call a command: with its subcommand, if it is a container.
func nameOfSample(args []any) string {
	name := strings.ToLower(argText(args[0]))
	if len(args) > 1 {
		if sub := name + "|" + strings.ToLower(argText(args[1])); treatments[sub].keys != nil {
			return sub
		}
	}
	return name
}

func TestSplitFindsTheKeysOfSamples(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range samplesOfSplit() {
		seen[s.name] = true
		treatment := treatmentOf(s.args)
		require.NotNil(t, treatment.keys, "%s: %s", s.text, treatment.refuse)
		at, err := treatment.keys(s.args)
		require.NoError(t, err, s.text)
		var found []string
		for _, i := range at {
			found = append(found, argText(s.args[i]))
		}
		require.Equal(t, s.keys, found, s.text)
		require.True(t, slices.IsSorted(at), s.text)
	}
	for name, treatment := range treatments {
		require.Equal(t, treatment.keys != nil, seen[name], "a sample of %s", name)
	}
}
