package consistency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"
)

// DefaultLockName is the name of a MySQLLock whose Name is empty.
const DefaultLockName = "tashikame/consistency"

// ErrLockLost is the cause (context.Cause) with which the context of a lock ends when the lock was lost.
var ErrLockLost = errors.New("consistency: the lock was lost")

// MySQLLock is a Locker by GET_LOCK of a MySQL or MariaDB server: the lock belongs to one connection, which is kept for it, and ends with it, so that a runner that dies leaves
// nothing behind. It holds on one server: all runners must reach the same one, not each a node of its own of a cluster.
type MySQLLock struct {
	// DB is the server. Required. The lock takes one connection of the pool for as long as it is held; with SetMaxOpenConns(1) nothing else could use the pool.
	DB *sql.DB
	// Name names the lock, over all databases of the server. A name of more than 64 characters, which is the server's limit, is replaced by a digest of it. Empty: DefaultLockName.
	Name string
	// Watch is how often it is made sure that the lock is still held. Zero: 5 s.
	Watch time.Duration
}

// lockAnswer is how long the server may take to say that the lock is still held.
const lockAnswer = 5 * time.Second

// name is what the server knows the lock by: at most 64 characters since MySQL 5.7, https://dev.mysql.com/doc/refman/9.7/en/locking-functions.html
func (l MySQLLock) name() string {
	switch {
	case l.Name == "":
		return DefaultLockName
	case utf8.RuneCountInString(l.Name) > 64:
		sum := sha256.Sum256([]byte(l.Name))
		return hex.EncodeToString(sum[:]) // 64 characters
	}
	return l.Name
}

// Acquire takes the lock, or returns ErrLocked at once if somebody else holds it. held ends with ctx, or with ErrLockLost as its cause as soon as the lock is not known any more to
// be held: its connection was killed, its server stopped or did not answer for 5 s. release gives the lock back; it may be called more than once.
func (l MySQLLock) Acquire(ctx context.Context) (held context.Context, release func(), err error) {
	if l.DB == nil {
		return nil, nil, errors.New("MySQLLock.DB is nil: set it to the server that all runners reach")
	}
	watch := l.Watch
	if watch <= 0 {
		watch = 5 * time.Second
	}
	ask, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	conn, err := l.DB.Conn(ask)
	if err != nil {
		return nil, nil, advise("connect", err)
	}
	name := l.name()
	var got sql.NullInt64
	if err := conn.QueryRowContext(ask, "SELECT GET_LOCK(?, 0)", name).Scan(&got); err != nil {
		throwAway(conn)
		return nil, nil, advise(fmt.Sprintf("take the lock %q", name), err)
	}
	if !got.Valid || got.Int64 != 1 {
		_ = conn.Close()
		if !got.Valid {
			return nil, nil, fmt.Errorf("take the lock %q: the server could not (GET_LOCK returned NULL)", name)
		}
		return nil, nil, fmt.Errorf("%w (%q)", ErrLocked, name)
	}
	held, lose := context.WithCancelCause(ctx)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		watchLock(conn, name, watch, stop, lose)
	}()
	var once sync.Once
	return held, func() {
		once.Do(func() {
			close(stop)
			<-stopped
			lost := errors.Is(context.Cause(held), ErrLockLost)
			lose(context.Canceled)
			giveBack(conn, name, lost)
		})
	}, nil
}

// watchLock asks the lock's own connection, again and again, whether the lock is still its.
func watchLock(conn *sql.Conn, name string, every time.Duration, stop <-chan struct{}, lose context.CancelCauseFunc) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), lockAnswer)
		var ours sql.NullBool
		err := conn.QueryRowContext(ctx, "SELECT IS_USED_LOCK(?) = CONNECTION_ID()", name).Scan(&ours)
		cancel()
		if err != nil {
			lose(fmt.Errorf("%w: %w", ErrLockLost, err))
			return
		}
		if !ours.Bool {
			lose(fmt.Errorf("%w: the server says that this connection does not hold %q any more", ErrLockLost, name))
			return
		}
	}
}

// giveBack releases the lock. Where that is not certain the connection is closed, which releases it.
func giveBack(conn *sql.Conn, name string, lost bool) {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	var released sql.NullInt64
	if lost || conn.QueryRowContext(ctx, "SELECT RELEASE_LOCK(?)", name).Scan(&released) != nil || released.Int64 != 1 {
		throwAway(conn)
		return
	}
	_ = conn.Close()
}

// throwAway closes a connection instead of giving it back to its pool.
func throwAway(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}
