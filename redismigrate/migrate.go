package redismigrate

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// migrateIdle is how long the source waits for the target at any one time during a MIGRATE: less than the patience of the connection over
// which it was asked (defaultTimeout).
const migrateIdle = 20 * time.Second

// migrator has the source send keys to the target.
type migrator struct {
	from, to   *session
	host, port string
	auth       []any

	mu     sync.Mutex
	proved bool // that what the source sends arrives at the target that the session checked
}

// newMigrator refuses where MIGRATE cannot be used. Nothing is written.
func newMigrator(ctx context.Context, from, to *session, addr string) (*migrator, error) {
	instead := "use the default strategy"
	switch o := to.opts; {
	case from.cluster != nil || to.cluster != nil:
		return nil, refuse("MIGRATE sends keys of one slot at a time between clusters, which is not supported; %s", instead)
	case o.TLSConfig != nil:
		return nil, refuse("the target %s wants TLS, and whether the source would speak it cannot be asked (tls-cluster); %s", to.addr, instead)
	case o.Password == "" && (o.CredentialsProvider != nil || o.CredentialsProviderContext != nil || o.StreamingCredentialsProvider != nil):
		return nil, refuse("the password of the target %s comes from a provider and may change, but MIGRATE hands it to the source; %s", to.addr, instead)
	}
	m := &migrator{from: from, to: to}
	if addr == "" {
		addr = to.addr
	}
	var err error
	if m.host, m.port, err = net.SplitHostPort(addr); err != nil {
		return nil, refuse("%q is no host:port at which the source could reach the target; set TargetFromSource, or %s", addr, instead)
	}
	switch o := to.opts; {
	case o.Username != "":
		m.auth = []any{"AUTH2", o.Username, o.Password}
	case o.Password != "":
		m.auth = []any{"AUTH", o.Password}
	}
	// Where it is allowed, a key that does not exist is answered before any connection is made. The address is one that is never routed.
	err = from.keyless(from.opts.DB).Do(ctx, "MIGRATE", "192.0.2.1", "1", canaryPrefix+"none", 0, 100, "COPY").Err()
	if isServerError(err) {
		return nil, refuse("the source %s does not let MIGRATE: %v; %s", from.addr, err, instead)
	}
	if err != nil {
		return nil, from.fail("probe MIGRATE", err)
	}
	return m, nil
}

// copyKeys has the source send keys of one db, and counts what arrived. suspects are keys that came to the target meanwhile, by the
// source's hand or somebody else's: those that are not equal there are somebody else's.
func (m *migrator) copyKeys(ctx context.Context, fromDB, toDB int, keys []string) (done Tally, busy, suspects []string, err error) {
	there, err := m.to.exist(ctx, toDB, keys)
	if err != nil {
		return done, nil, nil, err
	}
	var send []string
	for i, key := range keys {
		if there[i] > 0 {
			done.Exists++
			busy = append(busy, key)
		} else {
			send = append(send, key)
		}
	}
	for len(send) > 0 {
		n, err := m.next(ctx, fromDB, toDB, send, &done, &suspects)
		if err != nil {
			return done, busy, suspects, err
		}
		send = send[n:]
	}
	return done, busy, suspects, nil
}

// next sends the keys, or, until it is proved where they arrive, the first one only. It returns how many it has settled.
func (m *migrator) next(ctx context.Context, fromDB, toDB int, keys []string, done *Tally, suspects *[]string) (int, error) {
	m.mu.Lock()
	first := !m.proved
	if first {
		defer m.mu.Unlock() // the others wait
		keys = keys[:1]
	} else {
		m.mu.Unlock()
	}
	sendErr := m.send(ctx, fromDB, toDB, keys)
	if sendErr != nil && strings.Contains(sendErr.Error(), "BUSYKEY") {
		if len(keys) > 1 { // some were written, one or more were there
			for i := range keys {
				if _, err := m.next(ctx, fromDB, toDB, keys[i:i+1], done, suspects); err != nil {
					return i, err
				}
			}
			return len(keys), nil
		}
		*suspects = append(*suspects, keys[0])
		return 1, nil
	}
	// Counting must not be interrupted; session.cutConnections bounds it.
	there, err := m.to.exist(context.WithoutCancel(ctx), toDB, keys)
	if err != nil {
		if sendErr != nil {
			err = sendErr
		}
		return 0, err
	}
	for i, key := range keys {
		if there[i] > 0 {
			done.Copied++
			if first {
				m.proved = true
			}
			continue
		}
		if sendErr != nil {
			continue
		}
		if err := m.notThere(ctx, fromDB, toDB, key, first); err != nil {
			return i, err
		}
		done.Gone++
	}
	return len(keys), sendErr
}

// notThere finds out why a key that the source says it has sent is not on the target.
func (m *migrator) notThere(ctx context.Context, fromDB, toDB int, key string, first bool) error {
	look, err := m.from.look(ctx, fromDB, key)
	if err != nil {
		return err
	}
	if look.kind == "none" || look.expireAt >= 0 && look.expireAt <= look.now+time.Second.Milliseconds() {
		return nil
	}
	if first {
		return refuse("the source %s says that it has sent key %q to %s, but it is not in db %d of the target %s: from the source, that address leads to another server, which now has that one key; remove it there, and give the right address (TargetFromSource)",
			m.from.addr, clipped(key), net.JoinHostPort(m.host, m.port), toDB, m.to.addr)
	}
	return fmt.Errorf("target %s: key %q was sent to db %d but is not there: it was deleted or evicted meanwhile; see that nothing else writes there, then start again", m.to.addr, clipped(key), toDB)
}

// send runs MIGRATE. It is never sent without COPY, which is what leaves the keys on the source.
func (m *migrator) send(ctx context.Context, fromDB, toDB int, keys []string) error {
	args := append([]any{"MIGRATE", m.host, m.port, "", toDB, migrateIdle.Milliseconds(), "COPY"}, m.auth...)
	args = append(append(args, "KEYS"), toAny(keys)...)
	err := m.from.db(fromDB).Do(context.WithoutCancel(ctx), args...).Err()
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "BUSYKEY"):
		return err
	case strings.HasPrefix(err.Error(), "IOERR"):
		return m.from.fail(fmt.Sprintf("MIGRATE of %d keys to %s", len(keys), net.JoinHostPort(m.host, m.port)),
			fmt.Errorf("%w; the source must reach the target at that address (TargetFromSource)", err))
	}
	return m.from.fail(fmt.Sprintf("MIGRATE of %d keys to %s", len(keys), net.JoinHostPort(m.host, m.port)), err)
}

// migrateGroup copies a group of keys by MIGRATE.
func (w *carrier) migrateGroup(ctx context.Context, b *trip, items []item) {
	byKey, sum := map[string]item{}, int64(0)
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i], byKey[it.key] = it.key, it
		sum += it.bytes
	}
	free, err := w.room.take(ctx, w.to.addr, sum)
	if err != nil {
		b.fail(err)
		return
	}
	defer free()
	done, busy, suspects, err := w.migrate.copyKeys(ctx, b.db.DB, b.toDB, keys)
	done.Exists = 0 // counted when they are compared
	w.settle(b, int(done.Copied+done.Gone), done)
	for _, key := range busy {
		b.busy = append(b.busy, byKey[key])
	}
	for _, key := range suspects {
		it := byKey[key]
		it.lost = true
		b.busy = append(b.busy, it)
	}
	if err != nil {
		b.fail(err)
	}
}
