package redismigrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// defaultScanCount is the COUNT of SCAN. Beyond a few thousand the server gains little, while each call holds up its other clients
// longer: 5,000 keys take it about 7 ms.
const defaultScanCount = 5000

// walker goes over all keys of a session's dbs. It is the only code that reads cursors.
type walker struct {
	*session
	count  int
	prefix string // the server leaves out keys that do not begin so
}

func newWalker(s *session, count int) walker {
	return walker{session: s, count: orDefault(count, defaultScanCount)}
}

// page is what one SCAN showed. Its keys share the reply's memory, and the slice is reused.
type page struct {
	node *node
	keys []string
	next string // the cursor that goes on after this page; "0": it was the node's last
}

// walk hands every key of one db to fn, in batches, at least once each (SCAN may show a key twice), service keys left out; it returns how
// many of those there are. Keys that are added or removed meanwhile may or may not show. The masters of a cluster are scanned side by
// side; fn is called by one at a time. fn's strings share the batch's memory; the slice is reused.
func (w walker) walk(ctx context.Context, db int, fn func(keys []string) error) (service int, err error) {
	return w.pages(ctx, db, nil, func(p page) error { return fn(p.keys) })
}

// pages is walk for those who must know where they are. It begins each node at the cursor that from names for its run_id; "done" leaves
// the node out. The next page of a node is fetched while fn works on one, so at most three pages of each are held.
func (w walker) pages(ctx context.Context, db int, from map[string]string, fn func(page) error) (service int, err error) {
	fetching, stop := context.WithCancel(ctx)
	defer stop()
	replies := make(chan reply, len(w.nodes))
	errs := make([]error, len(w.nodes))
	var group sync.WaitGroup
	for i, n := range w.nodes {
		cursor := from[n.id.runID]
		if cursor == scanDone {
			continue
		}
		group.Go(func() {
			if errs[i] = w.fetch(fetching, n, db, cmp.Or(cursor, "0"), replies); errs[i] != nil {
				stop()
			}
		})
	}
	go func() {
		group.Wait()
		close(replies)
	}()
	serviceKeys := map[string]struct{}{} // a set, since SCAN may show them twice too
	keys := make([]string, 0, w.count+w.count/4)
	for r := range replies {
		if err != nil {
			continue // drain, so that the fetching ends
		}
		if keys, err = parseScan(r.raw, keys[:0]); err == nil {
			keys = slices.DeleteFunc(keys, func(key string) bool {
				if !isServiceKey(key) {
					return false
				}
				serviceKeys[strings.Clone(key)] = struct{}{}
				return true
			})
			err = fn(page{r.node, keys, r.next})
		}
		if err != nil {
			stop()
		}
	}
	if err != nil {
		return 0, err
	}
	return len(serviceKeys), firstCause(errs)
}

// scanDone stands for a cursor where a node is over.
const scanDone = "done"

// firstCause is the error that made the others be cancelled.
func firstCause(errs []error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return cmp.Or(errs...)
}

// reply is the raw reply of one SCAN.
type reply struct {
	node      *node
	raw, next string
}

// fetch sends the raw replies of a SCAN of one db of one node, from a cursor to its end.
func (w walker) fetch(ctx context.Context, n *node, db int, cursor string, to chan<- reply) error {
	client := n.db(db)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// The raw reply is cut into keys later: a string per key would cost more than reading it.
		args := []any{"SCAN", cursor, "COUNT", w.count}
		if w.prefix != "" {
			args = append(args, "MATCH", w.prefix+"*")
		}
		raw, err := client.DoRaw(ctx, args...).Result()
		text := string(raw)
		if err == nil && strings.HasPrefix(text, "-") {
			err = serverError(strings.TrimSpace(text[1:]))
		}
		if err != nil {
			return n.fail(fmt.Sprintf("SCAN db %d", db), err)
		}
		if cursor, err = scanCursor(text); err != nil {
			return n.fail(fmt.Sprintf("SCAN db %d", db), err)
		}
		select {
		case to <- reply{n, text, cursor}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if cursor == "0" {
			return nil
		}
	}
}

// serverError is an error reply that was read as raw bytes.
type serverError string

func (e serverError) Error() string { return string(e) }

// RedisError marks it as the server's answer.
func (serverError) RedisError() {}

var errScanReply = errors.New("the reply to SCAN is not of the form that Redis documents")

// scanCursor reads the cursor of a reply: *2, $n, cursor, *k, then the keys.
func scanCursor(reply string) (string, error) {
	rest, ok := strings.CutPrefix(reply, "*2\r\n")
	if !ok {
		return "", errScanReply
	}
	cursor, _, ok := cutBulk(rest)
	if !ok {
		return "", errScanReply
	}
	if _, err := strconv.ParseUint(cursor, 10, 64); err != nil {
		return "", errScanReply
	}
	return cursor, nil
}

// parseScan appends the keys of a reply to keys. They share the reply's memory.
func parseScan(reply string, keys []string) ([]string, error) {
	rest, ok := strings.CutPrefix(reply, "*2\r\n")
	if !ok {
		return nil, errScanReply
	}
	if _, rest, ok = cutBulk(rest); !ok {
		return nil, errScanReply
	}
	n, rest, ok := cutCount(rest, '*')
	if !ok {
		return nil, errScanReply
	}
	for range n {
		var key string
		if key, rest, ok = cutBulk(rest); !ok {
			return nil, errScanReply
		}
		keys = append(keys, key)
	}
	if rest != "" {
		return nil, errScanReply
	}
	return keys, nil
}

// cutBulk cuts one bulk string, "$3\r\nabc\r\n", off the front.
func cutBulk(reply string) (value, rest string, ok bool) {
	n, rest, ok := cutCount(reply, '$')
	if !ok || len(rest) < n+2 {
		return "", "", false
	}
	return rest[:n], rest[n+2:], true
}

// cutCount cuts a header line, "$3\r\n" or "*12\r\n", off the front.
func cutCount(reply string, kind byte) (n int, rest string, ok bool) {
	if len(reply) < 4 || reply[0] != kind {
		return 0, "", false
	}
	i := 1
	for ; i < len(reply) && reply[i] >= '0' && reply[i] <= '9'; i++ {
		n = n*10 + int(reply[i]-'0')
		if n > 1<<31 {
			return 0, "", false
		}
	}
	if i == 1 || len(reply) < i+2 || reply[i] != '\r' || reply[i+1] != '\n' {
		return 0, "", false
	}
	return n, reply[i+2:], true
}

// errNotClean says that the last allowed pass still found work.
var errNotClean = errors.New("still not clean")

// untilClean repeats pass over all dbs until one reports that it found nothing to do, at most max times. One pass is not enough: SCAN
// may miss keys that are added meanwhile, and deleting while scanning has exposed server bugs.
func untilClean(ctx context.Context, max int, pass func(n int) (clean bool, err error)) (passes int, err error) {
	for n := 1; n <= max; n++ {
		if ctx.Err() != nil {
			return n - 1, ctx.Err()
		}
		clean, err := pass(n)
		if err != nil {
			return n, err
		}
		if clean {
			return n, nil
		}
	}
	return max, errNotClean
}

// inBatches walks one db and hands on the wanted keys, size by size. report, which may be nil, is told after each batch of SCAN how many
// keys it has shown and how many of them were wanted.
func (w walker) inBatches(ctx context.Context, db, size int, wanted func(string) bool, hand func([]string) error, report func(scanned, wanted int64)) error {
	var batch []string
	var scanned, chosen int64
	_, err := w.walk(ctx, db, func(keys []string) error {
		for _, key := range keys {
			if !wanted(key) {
				continue
			}
			chosen++
			if batch == nil {
				batch = make([]string, 0, size)
			}
			if batch = append(batch, key); len(batch) == size {
				full := batch
				batch = nil
				if err := hand(full); err != nil {
					return err
				}
			}
		}
		scanned += int64(len(keys))
		if report != nil {
			report(scanned, chosen)
		}
		return nil
	})
	if err == nil && batch != nil {
		err = hand(batch)
	}
	return err
}
