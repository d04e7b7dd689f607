package consistency

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func violations(keys string) []Violation {
	var vs []Violation
	for _, k := range strings.Fields(keys) {
		vs = append(vs, Violation{Key: k, Row: Row{{Name: "id", Value: k}}})
	}
	return vs
}

// script is a check whose looks go as written: "a b" found, "!text" an error, "!!text" a permanent one.
func script(name string, retry Retry, looks ...string) (CheckFunc, *[]time.Duration) {
	var at []time.Duration
	start := time.Now()
	n := 0
	return CheckFunc{Meta: Meta{Name: name, Retry: &retry}, Func: func(context.Context) (Findings, error) {
		at = append(at, time.Since(start))
		if n >= len(looks) {
			return Findings{}, errors.New("more looks than the script has")
		}
		look := looks[n]
		n++
		if text, ok := strings.CutPrefix(look, "!!"); ok {
			return Findings{}, Permanent(errors.New(text))
		}
		if text, ok := strings.CutPrefix(look, "!"); ok {
			return Findings{}, errors.New(text)
		}
		return Findings{Violations: violations(look), Examined: 100}, nil
	}}, &at
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func runOne(ctx context.Context, t *testing.T, c Check) Result {
	t.Helper()
	s, err := (&Runner{Checks: []Check{c}, Logger: quiet()}).Run(ctx)
	if ctx.Err() == nil {
		require.NoError(t, err)
	}
	require.Len(t, s.Results, 1)
	return s.Results[0]
}

func TestConfirmLooksAgainAfterTheDelays(t *testing.T) {
	retry := Retry{Attempts: 3, Delay: time.Second, Errors: 2, ErrorDelay: 100 * time.Millisecond}
	for _, c := range []struct {
		name   string
		looks  []string
		want   Outcome
		keys   string
		at     []time.Duration
		errors int
		reason string
	}{
		{"healthy: one look", []string{""}, Consistent, "", []time.Duration{0}, 0, ""},
		{"persists", []string{"a b", "b a", "b"}, Inconsistent, "b", []time.Duration{0, time.Second, 3 * time.Second}, 0, ""},
		{"heals: no third look", []string{"a", ""}, Consistent, "", []time.Duration{0, time.Second}, 0, ""},
		{"an error is neither gone nor there", []string{"a", "!no", "a", "a"}, Inconsistent, "a",
			[]time.Duration{0, time.Second, 1100 * time.Millisecond, 3100 * time.Millisecond}, 1, ""},
		{"backoff, then the budget is spent", []string{"!no", "!no", "!no"}, Unknown, "", []time.Duration{0, 100 * time.Millisecond, 300 * time.Millisecond}, 3, "no (3 looks failed)"},
		{"the budget is for the whole run", []string{"!no", "a", "!no", "a", "!gone away"}, Unknown, "",
			[]time.Duration{0, 100 * time.Millisecond, 1100 * time.Millisecond, 1300 * time.Millisecond, 3300 * time.Millisecond}, 3,
			"gone away (3 looks failed); until then 1 row looked wrong in 2 of 3 looks"},
		{"permanent: at once", []string{"!!syntax"}, Unknown, "", []time.Duration{0}, 1, "syntax"},
		{"permanent in the second look", []string{"a", "!!denied"}, Unknown, "", []time.Duration{0, time.Second}, 1, "denied; until then 1 row looked wrong in 1 of 3 looks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check, at := script("x", retry, c.looks...)
				r := runOne(t.Context(), t, check)
				require.Equal(t, c.want, r.Outcome, r.Reason)
				require.Equal(t, c.at, *at)
				require.Equal(t, c.errors, r.Errors)
				require.Equal(t, len(c.looks)-c.errors, r.Attempts)
				require.Equal(t, c.reason, r.Reason)
				var keys []string
				for _, v := range r.Violations {
					keys = append(keys, v.Key)
				}
				require.Equal(t, c.keys, strings.Join(keys, " "))
				require.Equal(t, int64(len(keys)), r.Total)
			})
		})
	}
}

func TestConfirmDefaultsLookThreeTimesIn30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check, at := script("x", Retry{}, "a b", "a b", "a")
		check.Retry = nil
		r := runOne(t.Context(), t, check)
		require.Equal(t, Inconsistent, r.Outcome)
		require.Equal(t, []time.Duration{0, 10 * time.Second, 30 * time.Second}, *at)
		require.Equal(t, Healed{Rows: 1, Longest: 30 * time.Second}, r.Healed)
		require.Equal(t, int64(2), r.Suspects)
	})
}

// rechecker shows suspects in Run and those in still in Recheck.
type rechecker struct {
	CheckFunc
	recheck func(context.Context, []Violation) ([]Violation, error)
}

func (r rechecker) Recheck(ctx context.Context, vs []Violation) ([]Violation, error) {
	return r.recheck(ctx, vs)
}

func TestConfirmRechecksTheSuspectsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full, at := script("x", Retry{}, "a b c")
		var asked []string
		r := runOne(t.Context(), t, rechecker{full, func(_ context.Context, vs []Violation) ([]Violation, error) {
			asked = append(asked, keysOf(vs))
			return append(vs[1:], Violation{Key: "never-asked"}), nil
		}})
		require.Len(t, *at, 1, "Run is called for the first look only")
		require.Equal(t, []string{"a b c", "b c"}, asked)
		require.Equal(t, "c", keysOf(r.Violations))
		require.Equal(t, Inconsistent, r.Outcome)
	})
}

func keysOf(vs []Violation) string {
	var keys []string
	for _, v := range vs {
		keys = append(keys, v.Key)
	}
	return strings.Join(keys, " ")
}

func TestUnknownIsNeverConsistent(t *testing.T) {
	type run = func(context.Context) (Findings, error)
	found := func(f Findings) run { return func(context.Context) (Findings, error) { return f, nil } }
	for _, c := range []struct {
		name   string
		run    run
		reason string
	}{
		{"the zero value examined nothing", found(Findings{}), "looked at nothing"},
		{"a total smaller than the rows", found(Findings{Violations: violations("a b"), Total: 1}), "contradicts itself"},
		{"a negative total", found(Findings{Total: -1, Examined: 5}), "contradicts itself"},
		{"no key", found(Findings{Violations: []Violation{{}}}), "violation 1 of 1 has no Key"},
		{"the same key twice", found(Findings{Violations: violations("a b a")}), "two violations have the key a"},
		{"more than was kept, another sample each time", func() run {
			n := 0
			return func(context.Context) (Findings, error) {
				n++
				return Findings{Violations: violations(strings.Repeat("x", n)), Total: 500, Examined: 900}, nil
			}
		}(), "the first look found 500 rows, more than could be kept"},
		{"a panic", func(context.Context) (Findings, error) { panic("boom") }, "it panicked: boom"},
		{"Goexit", func(context.Context) (Findings, error) { runtime.Goexit(); return Findings{}, nil }, "Goexit"},
		{"longer than the time limit", func(ctx context.Context) (Findings, error) { <-ctx.Done(); return Findings{}, ctx.Err() }, "the look took longer than its time limit of 1m0s"},
		{"cut off but says that all is well", func(ctx context.Context) (Findings, error) { <-ctx.Done(); return Findings{Examined: 9}, nil }, "time limit of 1m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := runOne(t.Context(), t, CheckFunc{Meta: Meta{Name: "x"}, Func: c.run})
				require.Equal(t, Unknown, r.Outcome)
				require.Contains(t, r.Reason, c.reason)
				require.NotContains(t, r.Reason, "\n")
				require.Empty(t, r.Violations)
				require.Contains(t, r.Headline(), "could not tell: x: ")
			})
		})
	}
}

func TestACheckThatIgnoresItsContextIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		start := time.Now()
		r := runOne(t.Context(), t, CheckFunc{Meta: Meta{Name: "x", Timeout: 2 * time.Second}, Func: func(context.Context) (Findings, error) {
			<-end
			return Findings{}, nil
		}})
		require.Equal(t, Unknown, r.Outcome)
		require.ErrorIs(t, r.Err, errAbandoned)
		require.Equal(t, 2*time.Second+callGrace, time.Since(start))
	})
}

func TestTheEndOfTheContextIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		check, _ := script("x", Retry{}, "a b", "a b", "a b")
		time.AfterFunc(15*time.Second, func() { cancel(errors.New("SIGTERM")) }) // while it waits for the third look
		s, err := (&Runner{Checks: []Check{check}, Logger: quiet()}).Run(ctx)
		require.ErrorContains(t, err, "the run was ended early: SIGTERM")
		require.Equal(t, Unknown, s.Results[0].Outcome)
		require.Equal(t, "SIGTERM; until then 2 rows looked wrong in 2 of 3 looks", s.Results[0].Reason)

		s, err = (&Runner{Checks: []Check{check}, Logger: quiet()}).Run(ctx) // it has ended before it begins
		require.Error(t, err)
		require.Equal(t, Unknown, s.Outcome())
		require.Zero(t, s.Results[0].Attempts)
	})
}

func TestOneBadCheckLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		good, _ := script("good", Retry{}, "")
		bad, _ := script("bad", Retry{}, "a", "a", "a")
		s, err := (&Runner{Logger: slog.New(slog.NewJSONHandler(&log, nil)), Parallel: 1, Checks: []Check{
			CheckFunc{Meta: Meta{Name: "panics"}, Func: func(context.Context) (Findings, error) { panic("boom") }},
			good, bad,
		}}).Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, []Outcome{Unknown, Consistent, Inconsistent}, []Outcome{s.Results[0].Outcome, s.Results[1].Outcome, s.Results[2].Outcome})
		require.Equal(t, "1 inconsistent, 1 unknown, 1 consistent (3 checks)", s.String())
		require.Equal(t, Inconsistent, s.Outcome())
		var line map[string]any
		for text := range strings.Lines(log.String()) {
			if strings.Contains(text, "the check panicked") {
				require.NoError(t, json.Unmarshal([]byte(text), &line))
			}
		}
		require.Equal(t, 3, strings.Count(log.String(), "the check begins"), "a check that hangs leaves a trace")
		require.Equal(t, "panics", line["check"])
		require.Contains(t, line["stack"], "confirm_test.go")
	})
}

func TestParallelLimitsLooksAndNotWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		r := &Runner{Parallel: 2, Logger: quiet()}
		for _, name := range strings.Fields("a b c d e f") {
			r.Checks = append(r.Checks, CheckFunc{Meta: Meta{Name: name, Retry: &Retry{Attempts: 2, Delay: time.Minute}}, Func: func(context.Context) (Findings, error) {
				most.Store(max(most.Load(), now.Add(1)))
				time.Sleep(time.Second)
				now.Add(-1)
				return Findings{Violations: violations("x")}, nil
			}})
		}
		start := time.Now()
		s, err := r.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, 6, s.Count(Inconsistent))
		require.Equal(t, int64(2), most.Load())
		require.Equal(t, 64*time.Second, time.Since(start), "three rounds of looks, one wait for all, and the last look")
	})
}

func TestSummaryWithoutResultsIsUnknown(t *testing.T) {
	require.Equal(t, Unknown, Summary{}.Outcome())
	require.Equal(t, Unknown, Result{}.Outcome)
	require.Contains(t, Result{}.Headline(), "could not tell")
	require.Equal(t, Unknown, Summary{Results: []Result{{Outcome: Consistent}, {}}}.Outcome())
	require.Equal(t, Consistent, Summary{Results: []Result{{Outcome: Consistent}}}.Outcome())
	require.Equal(t, Inconsistent, Summary{Results: []Result{{Outcome: Inconsistent}, {}}}.Outcome())
	text, err := Inconsistent.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "inconsistent", string(text))
}
