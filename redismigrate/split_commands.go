package redismigrate

import (
	"encoding"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// treatment is what a split does with a command.
type treatment struct {
	keys   finder // where its keys are; nil: it is not routed
	reads  bool   // it only reads
	native bool   // it cannot run inside a script
	cursor int    // the argument that is a cursor into the key's value; 0: none
	refuse string // why it is refused, and what to do instead; "" for those that are routed
}

// finder returns the positions of a command's keys among its arguments. err says what is wrong with those arguments, or why they are refused.
type finder func(args []any) (at []int, err error)

// span are the keys from first on, every step-th argument; last counts from the end when it is below zero.
func span(first, last, step int) finder {
	return func(args []any) (at []int, err error) {
		end := last
		if end < 0 {
			end += len(args)
		}
		for i := first; i <= end; i += step {
			if i >= len(args) {
				return nil, errArguments
			}
			at = append(at, i)
		}
		if at == nil {
			return nil, errArguments
		}
		return at, nil
	}
}

// numbered are as many keys as the argument at count says, from count+1 on, every step-th, and those at more.
func numbered(count, step int, more ...int) finder {
	return func(args []any) ([]int, error) {
		if count >= len(args) {
			return nil, errArguments
		}
		n, err := strconv.Atoi(argText(args[count]))
		if err != nil || n < 0 || n > (len(args)-1-count)/step {
			return nil, errArguments
		}
		at := slices.Clone(more)
		for i := range n {
			at = append(at, count+1+i*step)
		}
		return at, nil
	}
}

// streams are the keys of XREAD and XREADGROUP: the first half of what follows STREAMS.
func streams(args []any) (at []int, err error) {
	for i := 1; i < len(args); i++ {
		switch strings.ToLower(argText(args[i])) {
		case "block":
			return nil, refusal("it may block (BLOCK), and a client that waits in one store does not see the key go to the other: read without BLOCK (go-redis: Block: -1), and again after a pause" + orOld)
		case "group":
			i += 2
		case "count":
			i++
		case "streams":
			n := len(args) - i - 1
			if n == 0 || n%2 != 0 {
				return nil, errArguments
			}
			for k := range n / 2 {
				at = append(at, i+1+k)
			}
			return at, nil
		}
	}
	return nil, errArguments
}

// sorting are the keys of SORT: the one that is sorted and the one for the result.
func sorting(args []any) ([]int, error) {
	if len(args) < 2 {
		return nil, errArguments
	}
	at := []int{1}
	for i := 2; i+1 < len(args); i++ {
		value := strings.ToLower(argText(args[i+1]))
		switch strings.ToLower(argText(args[i])) {
		case "store":
			at = append(at, i+1)
			i++
		case "by", "get":
			if value != "#" && (strings.Contains(value, "*") || value != "nosort") {
				return nil, refusal("it reads keys that it does not name (BY or GET with a pattern): read those keys yourself, or sort in the program" + orOld)
			}
			i++
		case "limit":
			i += 2
		}
	}
	return at, nil
}

// near are the keys of GEORADIUS and GEORADIUSBYMEMBER: the one that is searched, and those of STORE and STOREDIST.
func near(args []any) ([]int, error) {
	if len(args) < 2 {
		return nil, errArguments
	}
	at := []int{1}
	for i := 4; i+1 < len(args); i++ {
		if w := strings.ToLower(argText(args[i])); w == "store" || w == "storedist" {
			i++
			at = append(at, i)
		}
	}
	return at, nil
}

// copying are the keys of COPY, which may name another db.
func copying(args []any) ([]int, error) {
	for i := 3; i < len(args); i++ {
		if strings.EqualFold(argText(args[i]), "db") {
			return nil, refusal("it copies to another db, and a split is about one: copy within the db, without DB (in go-redis by Do, as Copy always names one)")
		}
	}
	return span(1, 2, 1)(args)
}

// orOld ends reasons that are about the split's keys, by which the command is refused for all.
const orOld = "; for keys that are not part of the split, use the old store's own client (Split.Old)"

// refusal is why a command is refused.
type refusal string

func (r refusal) Error() string { return string(r) }

const errArguments = refusal("its arguments are not those that the command takes, so that its keys cannot be found: correct them")

// commands lists names that are treated alike.
func commands(into map[string]treatment, t treatment, names string) {
	for _, name := range strings.Fields(names) {
		into[name] = t
	}
}

// treatments are all commands that a split knows, by their names in lower case. What is not there is refused. The test holds them against what servers say of themselves.
var treatments = func() map[string]treatment {
	all := map[string]treatment{}
	one := span(1, 1, 1)
	commands(all, treatment{keys: one, reads: true}, `
		bitcount bitpos digest dump expiretime geodist geohash geopos georadius_ro georadiusbymember_ro geosearch get getbit getrange
		hexists hexpiretime hget hgetall hkeys hlen hmget hpexpiretime hpttl hrandfield hstrlen httl hvals lindex llen lpos lrange pexpiretime pttl scard sismember
		smembers smismember srandmember strlen substr ttl type xlen xpending xrange xrevrange zcard zcount zlexcount zmscore zrandmember zrange zrangebylex
		zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscore`)
	commands(all, treatment{keys: one}, `
		append delex delifeq expire expireat geoadd getdel getex getset hdel hexpire hexpireat hgetdel hgetex hincrbyfloat hmset
		hpersist hpexpire hpexpireat hset hsetex hsetnx incrbyfloat linsert lpop lpush lpushx lrem lset ltrim persist pexpire pexpireat pfadd psetex
		restore rpop rpush rpushx sadd set setbit setex setnx setrange spop srem xack xackdel xadd xautoclaim xclaim xdel xdelex xsetid xtrim zadd
		zincrby zpopmax zpopmin zrem zremrangebylex zremrangebyrank zremrangebyscore`)
	// Lua's numbers are exact up to 2^53, and what a script passes on is one of them.
	commands(all, treatment{keys: one, native: true}, "bitfield")
	commands(all, treatment{keys: one}, "decr decrby hincrby incr incrby") // see scriptRunText
	commands(all, treatment{keys: one, native: true, reads: true}, "bitfield_ro")
	commands(all, treatment{keys: one, reads: true, cursor: 2}, "hscan sscan zscan")
	commands(all, treatment{keys: span(1, -1, 1), reads: true}, "exists mget pfcount sdiff sinter sunion touch")
	commands(all, treatment{keys: span(1, -1, 1)}, "del pfmerge sdiffstore sinterstore sunionstore unlink")
	commands(all, treatment{keys: span(1, -1, 2)}, "mset msetnx")
	commands(all, treatment{keys: span(1, 2, 1), reads: true}, "lcs")
	commands(all, treatment{keys: span(1, 2, 1)}, "geosearchstore lmove rename renamenx rpoplpush smove zrangestore")
	commands(all, treatment{keys: span(2, -1, 1)}, "bitop")
	commands(all, treatment{keys: numbered(1, 1), reads: true}, "sintercard zdiff zinter zintercard zunion")
	commands(all, treatment{keys: numbered(1, 1)}, "lmpop zmpop")
	commands(all, treatment{keys: numbered(1, 2)}, "msetex")
	commands(all, treatment{keys: numbered(2, 1, 1)}, "zdiffstore zinterstore zunionstore")
	commands(all, treatment{keys: numbered(2, 1), native: true, reads: true}, "eval_ro evalsha_ro fcall_ro")
	commands(all, treatment{keys: numbered(2, 1), native: true}, "eval evalsha fcall")
	commands(all, treatment{keys: streams, reads: true}, "xread")
	commands(all, treatment{keys: streams}, "xreadgroup")
	commands(all, treatment{keys: sorting, reads: true}, "sort_ro")
	commands(all, treatment{keys: sorting}, "sort")
	commands(all, treatment{keys: near}, "georadius georadiusbymember")
	commands(all, treatment{keys: copying}, "copy")

	sub := span(2, 2, 1)
	for _, name := range strings.Fields("object|encoding object|freq object|idletime object|refcount memory|usage xinfo|consumers xinfo|groups xinfo|stream") {
		all[name] = treatment{keys: sub, reads: true}
	}
	for _, name := range strings.Fields("xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|setid") {
		all[name] = treatment{keys: sub}
	}

	no := func(why, names string) { commands(all, treatment{refuse: why}, names) }
	no("it blocks, and a client that waits in one store does not see the key go to the other: ask without waiting (LPOP, LMOVE, ZPOPMIN, …), and again after a pause"+orOld,
		"blmove blmovem blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin")
	no("it is about the connection that a key was last written on, which is the split's own: wait on the stores' own clients", "wait waitaof")
	no("it is about all keys of a store, and the split's keys are on two of them: ask each store's own client (Split.Old and Split.New), and mind that both hold records whose names begin with "+recordPrefix,
		"dbsize keys randomkey scan")
	no("it would delete the records by which the split knows where each key is: delete your keys by name, or end the split first", "flushall flushdb swapdb")
	no("a key that is watched may go to the other store before EXEC: use a transaction of commands (TxPipelined), or a script with declared keys"+orOld, "watch unwatch")
	no("transactions are sent as a whole, by TxPipelined", "multi exec discard")
	no("messages go through one store only: publish and subscribe on a store's own client (Split.Old or Split.New), the same one in all processes",
		"publish spublish pubsub subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe")
	no("it moves a key past the split's records: a split moves keys by itself", "migrate move")
	no("it is about the connection, which the split shares among all commands of two stores: set it in the options of the endpoint, or use a store's own client (Split.Old or Split.New)",
		"asking auth client hello monitor psync quit readonly readwrite replconf reset select sync restore-asking")
	no("it is about a server and not about keys: ask the store's own client (Split.Old or Split.New)",
		"acl bgrewriteaof bgsave cluster command commandlog config debug echo failover hotkeys info lastsave latency lolwut memory module object pfdebug pfselftest replicaof role save shutdown slaveof slowlog time xgroup xinfo")
	no("scripts and functions are kept by each server: load them on both stores' own clients (Split.Old and Split.New), or send them by EVAL, as redis.Script.Run does by itself", "script function")
	no("alone it asks both stores, which a pipeline or transaction cannot: send it by itself, or ask a store's own client (Split.Old or Split.New)", "ping")
	no("it is too new to have been tried in a split: use older commands"+orOld, "arcount ardel ardelrange arget argetrange argrep arinfo arinsert arlastitems arlen armget armset arnext arop arring arscan arseek arset himport increx lmovem "+
		"sdiffcard sunioncard vadd vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember vrange vrem vsetattr vsim xcfgset xnack")
	return all
}()

const (
	refuseModule  = "it is a module's, and whether values of modules survive a hand-over was never tried: use the store's own client (Split.Old) for keys that are not part of the split"
	refuseUnknown = "the split does not know where its keys are: use the store's own client (Split.Old or Split.New), or open an issue for it"
)

// treatmentOf says how a command is treated.
func treatmentOf(args []any) treatment {
	if len(args) == 0 {
		return treatment{refuse: refuseUnknown}
	}
	name := strings.ToLower(argText(args[0]))
	t, known := treatments[name]
	if t.refuse != "" && len(args) > 1 {
		if s, ok := treatments[name+"|"+strings.ToLower(argText(args[1]))]; ok {
			return s
		}
	}
	switch {
	case known:
		return t
	case strings.Contains(name, "."):
		return treatment{refuse: refuseModule}
	}
	return treatment{refuse: refuseUnknown}
}

// argText is an argument as it goes over the wire; "" for what is none.
func argText(arg any) string {
	switch v := arg.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case time.Duration:
		return strconv.FormatInt(v.Nanoseconds(), 10)
	case bool:
		if v {
			return "1"
		}
		return "0"
	}
	v := reflect.ValueOf(arg)
	if v.Kind() == reflect.Pointer && sentAs(v.Type().Elem()) {
		if v.IsNil() {
			return argText(reflect.Zero(v.Type().Elem()).Interface())
		}
		return argText(v.Elem().Interface())
	}
	if m, ok := arg.(encoding.BinaryMarshaler); ok {
		b, err := m.MarshalBinary()
		if err != nil {
			return ""
		}
		return string(b)
	}
	if ip, ok := arg.(net.IP); ok {
		return string(ip)
	}
	if v.CanFloat() {
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	}
	return fmt.Sprint(arg)
}

// sentAs says that of a pointer go-redis sends what it points to.
func sentAs(t reflect.Type) bool {
	basic := t.PkgPath() == "" && (t.Kind() <= reflect.Float64 || t.Kind() == reflect.String)
	return basic || t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[time.Duration]()
}
