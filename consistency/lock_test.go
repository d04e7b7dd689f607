package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestMySQLLockLetsOneIn(t *testing.T) {
	for name, server := range map[string]func(servers.TB) *servers.MySQLServer{"MySQL": servers.MySQL, "MariaDB": servers.MariaDB} {
		t.Run(name, func(t *testing.T) {
			s := server(t)
			lock := MySQLLock{DB: s.DB, Name: strings.Repeat("鍵", 65) + s.Database, Watch: 50 * time.Millisecond}
			require.Len(t, lock.name(), 64)
			other := MySQLLock{DB: open(t, s, func(*mysql.Config) {}), Name: lock.Name}
			for range 3 {
				held, release, err := lock.Acquire(t.Context())
				require.NoError(t, err)
				_, _, err = other.Acquire(t.Context())
				require.ErrorIs(t, err, ErrLocked)
				_, _, err = lock.Acquire(t.Context())
				require.ErrorIs(t, err, ErrLocked, "another connection of the same pool is another one too")
				time.Sleep(200 * time.Millisecond)
				require.NoError(t, held.Err(), "it is watched, and still held")
				release()
				release()
				require.ErrorIs(t, held.Err(), context.Canceled)
				_, release, err = other.Acquire(t.Context())
				require.NoError(t, err, "it was given back")
				release()
			}
			apart := MySQLLock{DB: s.DB, Name: lock.Name + "2"}
			_, release, err := lock.Acquire(t.Context())
			require.NoError(t, err)
			defer release()
			_, release2, err := apart.Acquire(t.Context())
			require.NoError(t, err, "long names that begin alike are two locks")
			release2()

			ctx, cancel := context.WithCancel(t.Context())
			held, release3, err := apart.Acquire(ctx)
			require.NoError(t, err)
			cancel()
			<-held.Done()
			release3()
			_, release2, err = apart.Acquire(t.Context())
			require.NoError(t, err)
			release2()

			// A release that reaches the server too late leaves no lock in the pool.
			one := open(t, s, func(*mysql.Config) {})
			one.SetMaxOpenConns(1)
			ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			_, release4, err := MySQLLock{DB: one, Name: "x" + s.Database}.Acquire(t.Context())
			require.NoError(t, err)
			_, _, err = MySQLLock{DB: one, Name: "y" + s.Database}.Acquire(ctx)
			require.ErrorContains(t, err, "every connection of the pool was in use")
			release4()
		})
	}
	_, _, err := MySQLLock{}.Acquire(t.Context())
	require.ErrorContains(t, err, "MySQLLock.DB is nil")
}

func mustBeLost(held context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-held.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("nobody noticed that the lock was lost")
	}
	require.ErrorIs(t, context.Cause(held), ErrLockLost)
}

func TestALostLockEndsItsContext(t *testing.T) {
	s := servers.MySQL(t)
	lock := MySQLLock{DB: s.DB, Name: s.Database, Watch: 50 * time.Millisecond}
	holder := func() int64 {
		var id sql.NullInt64
		require.NoError(t, s.DB.QueryRow("SELECT IS_USED_LOCK(?)", lock.name()).Scan(&id))
		return id.Int64
	}
	held, release, err := lock.Acquire(t.Context())
	require.NoError(t, err)
	exec(t, s.DB, fmt.Sprint("KILL ", holder()))
	mustBeLost(held, t)
	again, release2, err := lock.Acquire(t.Context())
	require.NoError(t, err, "the lock went with its connection")
	release()
	require.NoError(t, again.Err())
	require.NotZero(t, holder(), "to release a lost lock takes it from nobody")
	release2()
	require.Zero(t, holder())
}

func TestAKilledServerEndsTheLockAndTheRun(t *testing.T) {
	t.Parallel()
	s := servers.OwnMySQL(t)
	looks, killed := make(chan struct{}, 1), make(chan error, 1)
	e := &ear{name: "e"}
	r := &Runner{
		Lock: MySQLLock{DB: s.DB, Name: s.Database, Watch: 200 * time.Millisecond}, Logger: quiet(), Notifiers: []Notifier{e},
		Checks: []Check{CheckFunc{Meta: Meta{Name: "x"}, Func: func(ctx context.Context) (Findings, error) {
			looks <- struct{}{}
			<-ctx.Done()
			return Findings{}, ctx.Err()
		}}},
	}
	go func() {
		<-looks
		second := &Runner{Lock: r.Lock, Checks: r.Checks, Logger: quiet()}
		if _, err := second.Run(context.Background()); !errors.Is(err, ErrLocked) {
			t.Errorf("a second runner was let in: %v", err)
		}
		killed <- s.Kill()
	}()
	summary, err := r.Run(t.Context())
	require.NoError(t, <-killed)
	require.ErrorIs(t, err, ErrLockLost)
	require.Equal(t, Unknown, summary.Outcome())
	require.Contains(t, e.take()[0], "unknown could not tell: x:")
	_, err = r.Run(t.Context())
	require.ErrorContains(t, err, "no check was run")
	require.NotErrorIs(t, err, ErrLocked)
	require.NoError(t, s.Start())
}

// handLock is a Locker in the test's hand.
type handLock struct {
	free atomic.Bool
	lose atomic.Pointer[context.CancelCauseFunc]
}

func (h *handLock) Acquire(ctx context.Context) (context.Context, func(), error) {
	if !h.free.CompareAndSwap(true, false) {
		return nil, nil, ErrLocked
	}
	held, cancel := context.WithCancelCause(ctx)
	h.lose.Store(&cancel)
	return held, func() { cancel(nil) }, nil
}
