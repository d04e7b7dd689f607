package redismigrate

import (
	"context"
	"hash/maphash"
	"strings"

	"github.com/redis/go-redis/v9"
)

// reading is the value of one key of the source while it is read, piece by piece.
type reading struct {
	t         *typedCopy
	c         *redis.Client
	db        int
	key, kind string
}

// piece is a part of a value.
type piece struct {
	at      int64    // where it begins in a string or a list; unordered for the others
	width   int      // how many of members make one: 2 for fields and values, members and scores
	members []string // of a string: its bytes
	expires []int64  // of hash fields, in Unix milliseconds, -1 for never; nil when none of the piece expires
	stream  *streamPiece
}

const unordered = -1

// sum is a number that, added up over all pieces of a value, tells a reading from another that found the value different.
func (p piece) sum(seed maphash.Seed) (sum uint64) {
	if p.stream != nil {
		return p.stream.sum(seed)
	}
	type one struct {
		at, expires int64
		a, b        string
	}
	for i := 0; i < len(p.members); i += p.width {
		o := one{at: unordered, a: p.members[i], b: p.members[i+p.width-1]}
		if p.at != unordered {
			o.at = p.at + int64(i)
		}
		if p.expires != nil {
			o.expires = p.expires[i/p.width]
		}
		sum += maphash.Comparable(seed, o)
	}
	return sum
}

// pieces reads the value.
func (r *reading) pieces(ctx context.Context, yield func(piece) error) error {
	switch r.kind {
	case "string":
		return r.strings(ctx, yield)
	case "list":
		return r.lists(ctx, yield)
	case "set":
		return r.scan(ctx, "SSCAN", 1, yield)
	case "zset":
		return r.scan(ctx, "ZSCAN", 2, yield)
	case "hash":
		return r.scan(ctx, "HSCAN", 2, func(p piece) error {
			var err error
			if p.expires, err = r.fieldExpiries(ctx, p.members); err != nil {
				return err
			}
			return yield(p)
		})
	case "stream":
		return r.streams(ctx, yield)
	}
	return r.cannot(errNotInPieces, "values of type "+r.kind+" cannot be taken apart; only a target that reads the source's payloads (RESTORE) can take it: upgrade the target, or leave the key out")
}

func (r *reading) cannot(underlying error, why string) error {
	return &cannotError{db: r.db, key: strings.Clone(r.key), kind: r.kind, why: why, underlying: underlying}
}

func (r *reading) strings(ctx context.Context, yield func(piece) error) error {
	for at := int64(0); ; at += pieceBytes {
		text, err := r.c.GetRange(ctx, r.key, at, at+pieceBytes-1).Result()
		if err != nil {
			return r.t.from.fail("GETRANGE", err)
		}
		if text != "" || at == 0 {
			if err := yield(piece{at: at, width: 1, members: []string{text}}); err != nil {
				return err
			}
		}
		if len(text) < pieceBytes {
			return nil
		}
	}
}

func (r *reading) lists(ctx context.Context, yield func(piece) error) error {
	var pace pagePace
	for at := int64(0); ; {
		want := pace.next()
		members, err := r.c.LRange(ctx, r.key, at, at+want-1).Result()
		if err != nil {
			return r.t.from.fail("LRANGE", err)
		}
		if len(members) > 0 {
			if err := yield(piece{at: at, width: 1, members: members}); err != nil {
				return err
			}
		}
		if int64(len(members)) < want {
			return nil
		}
		at += want
		pace.saw(len(members), byteSum(members))
	}
}

// scan reads the members of a set, hash or sorted set. One may show twice.
func (r *reading) scan(ctx context.Context, command string, width int, yield func(piece) error) error {
	var pace pagePace
	for cursor := uint64(0); ; {
		cmd := redis.NewScanCmd(ctx, r.c.Process, command, r.key, cursor, "COUNT", pace.next())
		_ = r.c.Process(ctx, cmd) // its error is the command's
		members, next, err := cmd.Result()
		if err != nil {
			return r.t.from.fail(command, err)
		}
		if len(members) > 0 {
			if err := yield(piece{at: unordered, width: width, members: members}); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		pace.saw(len(members), byteSum(members))
	}
}

// fieldExpiries asks when the fields of a hash expire (Redis 7.4, Valkey 9 and newer). It returns nil when none does.
func (r *reading) fieldExpiries(ctx context.Context, fieldsAndValues []string) ([]int64, error) {
	if r.t.noFieldTTL.Load() {
		return nil, nil
	}
	args := askFieldExpiries(r.key, fieldsAndValues)
	at, err := r.c.Do(ctx, args...).Int64Slice()
	switch {
	case err != nil && strings.Contains(err.Error(), "unknown command"):
		r.t.noFieldTTL.Store(true)
		return nil, nil
	case err != nil:
		return nil, r.t.from.fail("HPEXPIRETIME", err)
	}
	return onlyExpiries(at, len(fieldsAndValues)/2), nil
}

func askFieldExpiries(key string, fieldsAndValues []string) []any {
	args := make([]any, 0, 4+len(fieldsAndValues)/2)
	args = append(args, "HPEXPIRETIME", key, "FIELDS", len(fieldsAndValues)/2)
	for i := 0; i < len(fieldsAndValues); i += 2 {
		args = append(args, fieldsAndValues[i])
	}
	return args
}

// onlyExpiries returns nil when no field expires.
func onlyExpiries(at []int64, fields int) []int64 {
	if len(at) != fields { // the hash is gone
		return nil
	}
	for _, ms := range at {
		if ms >= 0 {
			return at
		}
	}
	return nil
}

// pagePace chooses how many members the next piece asks for, so that a piece weighs about pieceBytes, however large the members are.
type pagePace struct{ count int64 }

const (
	firstCount   = 16
	mostInAPiece = 1000
)

func (p *pagePace) next() int64 {
	if p.count == 0 {
		p.count = firstCount
	}
	return p.count
}

// saw is told what a piece came to.
func (p *pagePace) saw(members, bytes int) {
	if members > 0 {
		p.count = min(max(int64(pieceBytes/max(bytes/members, 1)), 1), mostInAPiece)
	}
}

func byteSum(list []string) (n int) {
	for _, s := range list {
		n += len(s)
	}
	return n
}
