package consistency

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// windowCheck shows nothing in its window; what is wrong outside of it, Recheck says.
type windowCheck struct {
	Meta
	still []string
	err   error
}

func (windowCheck) Run(context.Context) (Findings, error) {
	return Findings{Examined: 10, Windowed: true}, nil
}

func (w windowCheck) Recheck(_ context.Context, suspects []Violation) (wrong []Violation, err error) {
	for _, s := range suspects {
		for _, k := range w.still {
			if s.Key == k {
				wrong = append(wrong, s)
			}
		}
	}
	return wrong, w.err
}

// TestARowIsNotResolvedByGrowingOld: two rows were convicted yesterday, and today's window no longer shows them.
func TestARowIsNotResolvedByGrowingOld(t *testing.T) {
	for name, c := range map[string]struct {
		check   Check
		lost    bool // the key of b is masked, so that nobody can ask about it
		outcome Outcome
		rows    []string
	}{
		"both are still wrong":      {check: windowCheck{still: []string{"a", "b"}}, outcome: Inconsistent, rows: []string{"a", "b"}},
		"one is all right":          {check: windowCheck{still: []string{"a"}}, outcome: Inconsistent, rows: []string{"a"}},
		"both are all right":        {check: windowCheck{}, outcome: Consistent},
		"looking again fails":       {check: windowCheck{err: errors.New("connection refused")}, outcome: Unknown, rows: []string{"a", "b"}},
		"one cannot be asked about": {check: windowCheck{}, lost: true, outcome: Unknown, rows: []string{"a", "b"}},
		"none can be looked at again": {check: CheckFunc{Func: func(ctx context.Context) (Findings, error) { return windowCheck{}.Run(ctx) }},
			outcome: Unknown, rows: []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				before := State{Check: "x", Outcome: Inconsistent, LastRun: now.Add(-24 * time.Hour), Total: 2}
				var earlier []tracked
				for _, key := range []string{"a", "b"} {
					v := Violation{Key: key}
					before.Rows = append(before.Rows, TrackedRow{Violation: v, Phase: RowContinuing, FirstSeen: before.LastRun, Appearances: 1})
					earlier = append(earlier, tracked{id: key, violation: v, askable: key == "a" || !c.lost})
				}
				run := &confirmer{check: c.check, meta: Meta{Name: "x"}, retry: Retry{}.withDefaults(), log: slog.New(slog.DiscardHandler), tracked: earlier, identity: Violation.ID,
					admit: func(context.Context) (func(), error) { return func() {}, nil }}
				r := run.run(t.Context())
				require.Equal(t, c.outcome, r.Outcome, r.Reason)
				after, _ := Advance(before, r, nil, now)
				rows := []string(nil)
				for _, row := range after.Rows {
					rows = append(rows, row.Key)
				}
				require.Equal(t, c.rows, rows)
				require.Equal(t, c.outcome == Consistent, !after.CleanSince.IsZero())
				if c.outcome == Unknown {
					require.NotEmpty(t, r.Reason)
				}
			})
		})
	}
}
