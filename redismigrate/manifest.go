package redismigrate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// The manifest of a prune: a line of JSON that says of what it is, one for each key that is kept, and one that ends it.

const (
	manifestFormat = 1
	manifestBatch  = 250     // keys a round trip
	manifestBytes  = 4 << 20 // of values a round trip, by MEMORY USAGE; larger values are digested as they come in
	manifestWork   = 4       // round trips at the same time
)

type manifestHead struct {
	Format   int       `json:"tashikame_manifest"`
	Target   string    `json:"target"`
	RunIDs   []string  `json:"run_ids"` // of the masters that digested the values
	DBs      []int     `json:"dbs"`
	Selector string    `json:"selector"`
	Made     time.Time `json:"made"`
	Values   bool      `json:"values"`
}

// manifestLine is a key, or the end.
type manifestLine struct {
	DB       int    `json:"db"`
	Key      string `json:"key,omitempty"`
	Binary   []byte `json:"key_base64,omitempty"` // where the key is no valid UTF-8
	Type     string `json:"type,omitempty"`
	ExpireAt int64  `json:"expire_at"` // Unix milliseconds; -1: never
	Digest   string `json:"digest,omitempty"`

	End  bool  `json:"end,omitempty"`
	Keys int64 `json:"keys,omitempty"` // of the last line: how many lines there are
}

func (l manifestLine) key() string {
	if l.Binary != nil {
		return string(l.Binary)
	}
	return l.Key
}

// profile is what a manifest says of a key.
type profile struct {
	kind     string // "none": there is no such key
	expireAt int64
	digest   string
}

// profiles looks at keys, and digests their values if asked to.
func (s *session) profiles(ctx context.Context, db int, keys []string, values bool) ([]profile, error) {
	absolute, err := s.absoluteExpiry(ctx)
	if err != nil {
		return nil, err
	}
	pipe := s.db(db).Pipeline()
	var now *redis.TimeCmd
	command := "PEXPIRETIME"
	if !absolute {
		command, now = "PTTL", pipe.Time(ctx)
	}
	kinds, expiries := make([]*redis.StatusCmd, len(keys)), make([]*redis.IntCmd, len(keys))
	for i, key := range keys {
		kinds[i] = pipe.Type(ctx, key)
		expiries[i] = expiry(ctx, pipe, command, key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, s.fail(fmt.Sprintf("TYPE and expiry of %d keys of db %d", len(keys), db), err)
	}
	out, index := make([]profile, len(keys)), make(map[string]int, len(keys))
	for i, key := range keys {
		out[i].kind = kinds[i].Val()
		if out[i].expireAt, err = absoluteOf(expiries[i], now); err != nil {
			return nil, s.fail("read the expiry", err)
		}
		if out[i].expireAt == -2 {
			out[i].kind = "none"
		}
		index[key] = i
	}
	if !values {
		return out, nil
	}
	groups, err := s.weigh(ctx, db, keys, manifestBytes)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		digests, err := s.digests(ctx, db, g)
		if err != nil {
			return nil, err
		}
		for i, key := range g.keys {
			at := index[key]
			if out[at].digest = digests[i]; digests[i] == "" {
				out[at].kind = "none"
			}
		}
	}
	return out, nil
}

// digests returns a digest for each value, "" for a key that is gone.
func (s *session) digests(ctx context.Context, db int, g group) ([]string, error) {
	out := make([]string, len(g.keys))
	if len(g.keys) == 1 && g.bytes > manifestBytes {
		var err error
		out[0], err = s.digestBig(ctx, db, g.keys[0])
		return out, err
	}
	pipe := s.db(db).Pipeline()
	dumps := make([]*redis.StringCmd, len(g.keys))
	for i, key := range g.keys {
		dumps[i] = pipe.Dump(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, s.fail(fmt.Sprintf("DUMP %d keys of db %d", len(g.keys), db), err)
	}
	for i, key := range g.keys {
		payload, err := dumps[i].Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err == nil {
			out[i], err = digestOf(payload)
		}
		if err != nil {
			return nil, s.fail(fmt.Sprintf("digest the value of %.100q", key), err)
		}
	}
	return out, nil
}

// digestBig digests a value as it comes in.
func (s *session) digestBig(ctx context.Context, db int, key string) (string, error) {
	reading, writing := io.Pipe()
	var digest string
	done := make(chan error, 1)
	go func() {
		var err error
		digest, err = digestReply(bufio.NewReader(reading))
		reading.CloseWithError(err) // unblocks the writing
		done <- err
	}()
	err := s.db(db).Process(ctx, redis.NewRawWriteToCmd(ctx, writing, "DUMP", key))
	writing.CloseWithError(err)
	if errDigest := <-done; err == nil {
		err = errDigest
	}
	if err != nil {
		return "", s.fail(fmt.Sprintf("digest the value of %.100q", key), err)
	}
	return digest, nil
}

// digestReply reads the raw reply of a DUMP.
func digestReply(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	var size int64
	switch {
	case line[0] == '-':
		return "", serverError(strings.TrimSpace(line[1:]))
	case line == "$-1\r\n", line == "_\r\n":
		return "", nil
	}
	if _, err := fmt.Sscanf(line, "$%d\r\n", &size); err != nil {
		return "", errPayload
	}
	digest, err := digestPayload(in, size)
	if err == nil {
		_, err = io.Copy(io.Discard, in) // the line's end
	}
	return digest, err
}

// writeManifest writes what the plan keeps.
func (p *PrunePlan) writeManifest(ctx context.Context, to *session) error {
	out := bufio.NewWriterSize(p.opt.Manifest, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	head := manifestHead{Format: manifestFormat, Target: to.addr, DBs: to.dbs, Selector: p.keep.text, Made: p.made.UTC(), Values: !p.opt.ManifestKeysOnly}
	for _, n := range to.nodes {
		head.RunIDs = append(head.RunIDs, n.id.runID)
	}
	if err := enc.Encode(head); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	var mu sync.Mutex
	var lines int64
	write := func(db int, keys []string, found []profile) error {
		mu.Lock()
		defer mu.Unlock()
		for i, key := range keys {
			if found[i].kind == "none" {
				continue
			}
			line := manifestLine{DB: db, Key: key, Type: found[i].kind, ExpireAt: found[i].expireAt, Digest: found[i].digest}
			if !utf8.ValidString(key) {
				line.Key, line.Binary = "", []byte(key)
			}
			if err := enc.Encode(line); err != nil {
				return fmt.Errorf("write the manifest: %w", err)
			}
			lines++
		}
		return nil
	}
	for _, db := range to.dbs {
		err := fanOut(ctx, manifestWork, func(ctx context.Context, hand func([]string) error) error {
			report := func(scanned, done int64) {
				p.opt.report(Progress{Job: "manifest", DB: db, Pass: 1, Scanned: scanned, Total: to.id.keys[db], Done: done})
			}
			return newWalker(to, p.opt.ScanCount).inBatches(ctx, db, manifestBatch, p.keep.has, hand, report)
		}, func(keys []string) error {
			found, err := to.profiles(ctx, db, keys, head.Values)
			if err != nil {
				return err
			}
			return write(db, keys, found)
		})
		if err != nil {
			return err
		}
	}
	err := enc.Encode(manifestLine{End: true, Keys: lines, ExpireAt: -1})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}
