package redismigrate

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tashikame-go/tashikame/redismigrate/internal/rdb"
)

const (
	noSuchType     = 255     // no type of a value; in a snapshot it marks the end
	highestPayload = 127     // the highest version that is tried; as of 2026 the highest that exists is 80
	smallValue     = 4 << 10 // bytes of memory: a value so small may be dumped to see its version
)

// targetsOnly is why RestoreVersion is untold of a source.
const targetsOnly = "asked of targets only (InspectOptions.Target)"

// readPayloads finds the version of the payloads that DUMP writes, and on a target those that RESTORE takes.
func (i *inspection) readPayloads(ctx context.Context) error {
	taken := make([]bool, highestPayload+1)
	for at, n := range i.nodes {
		version, why, err := n.dumpVersion(ctx)
		if err != nil {
			return err
		}
		if at == 0 {
			i.card.DumpVersion = version
		}
		if version == 0 || version != i.card.DumpVersion {
			i.card.DumpVersion = 0
			i.card.untold("DumpVersion", n.addr+": "+cmp.Or(why, fmt.Sprintf("its version is %d, that of other masters is not", version)))
		}
	}
	if !i.target {
		i.card.untold("RestoreVersion", targetsOnly)
		return nil
	}
	for at, n := range i.nodes {
		takes, why, err := n.restoreVersions(ctx)
		if err != nil {
			return err
		}
		if why != "" {
			i.card.untold("RestoreVersion", n.addr+": "+why)
			return nil
		}
		for v := range taken {
			taken[v] = takes[v] && (at == 0 || taken[v])
		}
	}
	i.card.RestoreVersions = runs(taken)
	if len(i.card.RestoreVersions) == 0 {
		i.card.untold("RestoreVersion", fmt.Sprintf("it takes no version up to %d", highestPayload))
		return nil
	}
	i.card.RestoreVersion = i.card.RestoreVersions[len(i.card.RestoreVersions)-1].To
	return nil
}

// runs are the indexes that are true, in runs.
func runs(taken []bool) (out []VersionRange) {
	for v, ok := range taken {
		switch {
		case !ok:
		case len(out) > 0 && out[len(out)-1].To == v-1:
			out[len(out)-1].To = v
		default:
			out = append(out, VersionRange{v, v})
		}
	}
	return out
}

// trailer is the version that a payload ends in, before its checksum; 0 if it is none.
func trailer(payload string) int {
	const length = 2 + 8
	if len(payload) < length || rdb.Checksum(0, []byte(payload)) != 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint16([]byte(payload[len(payload)-length:])))
}

// dumpVersion is the version of what the server dumps. What FUNCTION DUMP returns ends as what DUMP returns does, and it touches no key. Where
// it is not allowed, a small key is dumped, if that does not make the key look used.
func (n *node) dumpVersion(ctx context.Context) (version int, why string, err error) {
	c := n.db(n.opts.DB)
	payload, err := c.FunctionDump(ctx).Result()
	if err := broken(err); err != nil {
		return 0, "", n.fail("FUNCTION DUMP", err)
	}
	if v := trailer(payload); err == nil && v > 0 {
		return v, "", nil
	}
	why = "FUNCTION DUMP does not tell it"
	if err != nil {
		why = "FUNCTION DUMP: " + err.Error()
	}
	pipe := c.Pipeline() // of one connection, so that what holds for the first command holds for the others
	quiet := pipe.Do(ctx, "CLIENT", "NO-TOUCH", "ON")
	page := pipe.Scan(ctx, 0, "", 100)
	_, _ = pipe.Exec(ctx) // each is looked at
	for _, cmd := range []redis.Cmder{quiet, page} {
		if err := broken(cmd.Err()); err != nil {
			return 0, "", n.fail("find a key to DUMP", err)
		}
	}
	if refused := quiet.Err(); refused != nil {
		return 0, why + "; a DUMP would make a key look used, since CLIENT NO-TOUCH is not there: " + refused.Error(), nil //nolint:nilerr // untold, with the reason
	}
	keys, _ := page.Val()
	for _, key := range keys[:min(len(keys), 100)] {
		size, err := c.MemoryUsage(ctx, key).Result()
		if err := broken(err); err != nil {
			return 0, "", n.fail("MEMORY USAGE", err)
		}
		if err != nil || size > smallValue {
			continue // gone, large, not ours to see, or MEMORY USAGE is not allowed
		}
		payload, err := c.Dump(ctx, key).Result() // connections of this pool all have NO-TOUCH set
		if err := broken(err); err != nil {
			return 0, "", n.fail("DUMP", err)
		}
		if v := trailer(payload); v > 0 {
			return v, "", nil
		}
	}
	return 0, why + "; and there is no small key in the first page of a SCAN that could be dumped instead", nil
}

// restoreVersions says of each version whether RESTORE takes it. The payloads are right but for their type, which does not exist: a server that
// knows the version goes on to the type and says "Bad data format", one that does not says so. No server can make a key of them; and should
// one try, their expiry is past.
func (n *node) restoreVersions(ctx context.Context) (takes []bool, why string, err error) {
	if n.id.role != "master" {
		return nil, "it is a replica, and takes no writes; ask its master", nil
	}
	p := prober{node: n}
	if err := p.chooseKeys(ctx, nil); err != nil {
		return nil, "", err
	}
	pipe := n.db(n.opts.DB).Pipeline()
	cmds := make([]*redis.Cmd, highestPayload+1)
	for v := 1; v <= highestPayload; v++ {
		cmds[v] = pipe.Do(ctx, "RESTORE", p.outside, 1, rdb.Payload(uint16(v), noSuchType, nil), "ABSTTL")
	}
	exists := pipe.Exists(ctx, p.outside)
	_, _ = pipe.Exec(ctx) // each is looked at
	if err := broken(exists.Err()); err != nil {
		return nil, "", n.fail("probe RESTORE", err)
	}
	if exists.Val() != 0 {
		return nil, "", n.fail("probe RESTORE", errors.New("the probe's key "+p.outside+" exists, though no server should have made it; delete it"))
	}
	takes = make([]bool, highestPayload+1)
	for v := 1; v <= highestPayload; v++ {
		err := cmds[v].Err()
		switch {
		case broken(err) != nil:
			return nil, "", n.fail("probe RESTORE", err)
		case err == nil:
			return nil, "RESTORE answered OK to a payload of a type that does not exist", nil
		case strings.Contains(err.Error(), "Bad data format"):
			takes[v] = true
		case strings.Contains(err.Error(), "payload version or checksum"):
		default:
			return nil, "RESTORE: " + err.Error(), nil
		}
	}
	return takes, "", nil
}
