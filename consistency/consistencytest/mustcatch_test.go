package consistencytest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// recorder is a testing.TB that notes how a test failed.
type recorder struct {
	testing.TB
	ctx    context.Context
	fatal  string
	errors []string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// caught runs MustCatch as a test of its own.
func caught(t *testing.T, check consistency.Check, plant func(context.Context) (func(context.Context) error, error)) *recorder {
	r := &recorder{ctx: t.Context()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		MustCatch(r, check, plant)
	}()
	<-done
	return r
}

// shop is a small world for a check without a database.
type shop struct{ bad, healthy int }

func (s *shop) plant(context.Context) (func(context.Context) error, error) {
	s.bad++
	return func(context.Context) error { s.bad--; return nil }, nil
}

func check(f func() (consistency.Findings, error)) consistency.CheckFunc {
	return consistency.CheckFunc{Meta: consistency.Meta{Name: "c", Retry: &consistency.Retry{Attempts: 1}}, Func: func(context.Context) (consistency.Findings, error) { return f() }}
}

func violations(n int, key func(i int) string) (out []consistency.Violation) {
	for i := range n {
		out = append(out, consistency.Violation{Key: key(i)})
	}
	return out
}

func TestMustCatch(t *testing.T) {
	number := func(i int) string { return fmt.Sprint("k", i) }
	looks := 0
	cases := map[string]struct {
		found func(s *shop) (consistency.Findings, error)
		want  string // "" where the check is right
	}{
		"a good check": {func(s *shop) (consistency.Findings, error) {
			return consistency.Findings{Violations: violations(s.bad, number), Examined: 10}, nil
		}, ""},
		"it does not know how many rows there are": {func(s *shop) (consistency.Findings, error) {
			return consistency.Findings{Violations: violations(s.bad, number), Examined: -1}, nil
		}, ""},
		"blind": {func(*shop) (consistency.Findings, error) {
			return consistency.Findings{Examined: 10}, nil
		}, "MustCatch: c does not see the planted fault: 0 inconsistent: c (rows examined: 10)"},
		"nothing examined": {func(s *shop) (consistency.Findings, error) {
			return consistency.Findings{Violations: violations(s.bad, number)}, nil
		}, "MustCatch: c must be silent before the fault is planted, but: could not tell: c: it looked at nothing"},
		"always alarmed": {func(s *shop) (consistency.Findings, error) {
			return consistency.Findings{Violations: violations(s.bad+7, number), Examined: 10}, nil
		}, "MustCatch: c must be silent before the fault is planted, but: 7 inconsistent: c (k0; k1; k2; k3; k4; …)"},
		"another key each time": {func(s *shop) (consistency.Findings, error) {
			looks++
			return consistency.Findings{Violations: violations(s.bad, func(int) string { return fmt.Sprint(looks) }), Examined: 10}, nil
		}, "MustCatch: c sees the planted fault in its first look and not in a later one"},
		"no key": {func(s *shop) (consistency.Findings, error) {
			return consistency.Findings{Violations: violations(s.bad, func(int) string { return "" }), Examined: 10}, nil
		}, "MustCatch: c cannot tell that the planted fault is there: could not tell: c: violation 1 of 1 has no Key"},
		"an error when it matters": {func(s *shop) (consistency.Findings, error) {
			if s.bad > 0 {
				return consistency.Findings{}, errors.New("boom")
			}
			return consistency.Findings{Examined: 10}, nil
		}, "MustCatch: c cannot tell that the planted fault is there: could not tell: c: boom"},
		"alarmed for ever after": {func(s *shop) (consistency.Findings, error) {
			s.healthy = max(s.healthy, s.bad)
			return consistency.Findings{Violations: violations(s.healthy, number), Examined: 10}, nil
		}, "MustCatch: c must be silent after the fault was removed, but: 1 inconsistent: c (k0)"},
	}
	for name, c := range cases {
		s := &shop{}
		r := caught(t, check(func() (consistency.Findings, error) { return c.found(s) }), s.plant)
		require.Zero(t, s.bad, "%s: the fault is taken away in any case", name)
		require.Empty(t, r.errors, name)
		if c.want == "" {
			require.Empty(t, r.fatal, name)
			continue
		}
		require.Contains(t, r.fatal, c.want, name)
	}
}

func TestMustCatchWithAPlantThatIsWrong(t *testing.T) {
	good := check(func() (consistency.Findings, error) { return consistency.Findings{Examined: 1}, nil })
	removed := 0
	remove := func(context.Context) error { removed++; return nil }
	for want, plant := range map[string]func(context.Context) (func(context.Context) error, error){
		"the check or plant is nil":                         nil,
		"plant returned no function that removes the fault": func(context.Context) (func(context.Context) error, error) { return nil, nil },
		"could not be planted: duplicate":                   func(context.Context) (func(context.Context) error, error) { return remove, errors.New("duplicate") },
	} {
		require.Contains(t, caught(t, good, plant).fatal, want)
	}
	require.Equal(t, 1, removed, "half a fault is taken away too")
	require.Contains(t, caught(t, nil, (&shop{}).plant).fatal, "is nil")
	require.Contains(t, caught(t, consistency.CheckFunc{Meta: consistency.Meta{Name: "c"}}, (&shop{}).plant).fatal, "CheckFunc.Func is nil")

	s := &shop{}
	seeing := check(func() (consistency.Findings, error) {
		return consistency.Findings{Violations: violations(s.bad, func(int) string { return "k" }), Examined: 1}, nil
	})
	r := caught(t, seeing, func(context.Context) (func(context.Context) error, error) {
		s.bad++
		return func(context.Context) error { return errors.New("stuck") }, nil
	})
	require.Contains(t, r.fatal, "could not be removed: stuck")
}

// A real check: Recheck is used, and its retries do not make the test wait.
func TestMustCatchOfSQL(t *testing.T) {
	server := servers.MySQL(t)
	for _, s := range []string{"CREATE TABLE t (id INT PRIMARY KEY, paid BOOL)", "INSERT INTO t VALUES (1, TRUE)"} {
		_, err := server.DB.Exec(s)
		require.NoError(t, err)
	}
	sqlCheck := consistency.SQL{
		Meta: consistency.Meta{Name: "unpaid", Retry: &consistency.Retry{Attempts: 5, Delay: time.Hour}}, DB: server.DB,
		Query: "SELECT id FROM t WHERE NOT paid", Key: []string{"id"}, Population: "SELECT COUNT(*) FROM t",
	}
	plant := func(ctx context.Context) (func(context.Context) error, error) {
		_, err := server.DB.ExecContext(ctx, "INSERT INTO t VALUES (2, FALSE)")
		return func(ctx context.Context) error {
			_, err := server.DB.ExecContext(ctx, "DELETE FROM t WHERE id = 2")
			return err
		}, err
	}
	MustCatch(t, sqlCheck, plant)
	sqlCheck.Query = "SELECT id FROM t WHERE paid IS NULL"
	require.Contains(t, caught(t, sqlCheck, plant).fatal, "unpaid does not see the planted fault: 0 inconsistent: unpaid (rows examined: 2)")
	sqlCheck.Query = "SELECT UUID() AS id FROM t WHERE NOT paid"
	require.Contains(t, caught(t, sqlCheck, plant).fatal, "differ from look to look")
	sqlCheck.Query = "SELECT id FRM t"
	require.Contains(t, caught(t, sqlCheck, plant).fatal, "Error 1064")
}
