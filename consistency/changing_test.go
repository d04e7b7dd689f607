package consistency

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// contents makes a look whose rows have a content: "a=1 b=2".
func contents(text string, more int64) look {
	l := seen(text, more)
	for i := range l.found {
		l.found[i].Key, l.found[i].Content, _ = strings.Cut(l.found[i].Key, "=")
	}
	return l
}

func TestARowWhoseContentMovesIsStillChanging(t *testing.T) {
	for _, c := range []struct {
		name      string
		looks     []look
		want      Outcome
		convicted string
		changing  int
		healed    int64
	}{
		{"the same content is convicted", []look{contents("a=1", 0), contents("a=1", 0), contents("a=1", 0)}, Inconsistent, "a", 0, 0},
		{"other content each time", []look{contents("a=1", 0), contents("a=2", 0), contents("a=3", 0)}, Unknown, "", 1, 0},
		{"other content once, early", []look{contents("a=1", 0), contents("a=2", 0), contents("a=2", 0)}, Unknown, "", 1, 0},
		{"other content once, late", []look{contents("a=1", 0), contents("a=1", 0), contents("a=2", 0)}, Unknown, "", 1, 0},
		{"there and back again", []look{contents("a=1", 0), contents("a=2", 0), contents("a=1", 0)}, Unknown, "", 1, 0},
		{"content that comes up is other content", []look{contents("a", 0), contents("a=1", 0)}, Unknown, "", 1, 0},
		{"one stands, one moves", []look{contents("a=1 b=1", 0), contents("a=1 b=2", 0)}, Inconsistent, "a", 1, 0},
		{"it moves, then heals", []look{contents("a=1", 0), contents("a=2", 0), contents("", 0)}, Consistent, "", 0, 1},
		{"no content at all", []look{contents("a", 0), contents("a", 0)}, Inconsistent, "a", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tally tally
			for _, l := range c.looks {
				tally.add(l)
			}
			v := tally.verdict()
			require.Equal(t, c.want, v.outcome)
			require.Equal(t, c.convicted, keysOf(v.convicted))
			require.Equal(t, c.changing, v.changing)
			require.Equal(t, c.healed, tally.healed.Rows)
		})
	}
}

func TestStillChangingIsUnknownAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := runOne(t.Context(), t, CheckFunc{Meta: Meta{Name: "x"}, Func: func(context.Context) (Findings, error) {
			n++
			return Findings{Violations: []Violation{{Key: "a", Content: strings.Repeat("x", n)}}, Examined: 5}, nil
		}})
		require.Equal(t, Unknown, r.Outcome)
		require.EqualValues(t, 1, r.Changing)
		require.Zero(t, r.Healed.Rows)
		require.Contains(t, r.Reason, "1 row was wrong in every look but with other content each time, so still changing")
	})
}

func track(keys string) []tracked {
	var out []tracked
	for _, v := range violations(keys) {
		out = append(out, tracked{id: v.Key, violation: v, askable: true})
	}
	return out
}

// Past the cap a row of an earlier run is cleared only by a look that would have shown it.
func TestRowsOfEarlierRunsAreClearedOnlyByProof(t *testing.T) {
	type answer = func([]Violation) ([]Violation, error)
	still := func(keys string) answer {
		return func([]Violation) ([]Violation, error) { return violations(keys), nil }
	}
	for _, c := range []struct {
		name      string
		found     string
		total     int64
		rechecks  []answer // nil: the check is no Rechecker, each look is found again
		tracked   string
		asked     string
		cleared   string
		outcome   Outcome
		reason    string
		unaskable bool
	}{
		{name: "a complete look clears what it does not show", found: "a", tracked: "a b c", cleared: "b c", outcome: Inconsistent},
		{name: "nothing found clears all", found: "", tracked: "a b", cleared: "a b", outcome: Consistent},
		{name: "complete, then healed", found: "a", rechecks: []answer{still("")}, tracked: "a", cleared: "a", outcome: Consistent, asked: "a"},
		{name: "capped: asked by key", found: "a", total: 9, rechecks: []answer{still("a"), still("a"), still("b")}, tracked: "a b c", asked: "a|a|b c", cleared: "c", outcome: Inconsistent},
		{name: "capped: the one question fails", found: "a", total: 9, rechecks: []answer{still("a"), still("a"), func([]Violation) ([]Violation, error) { return nil, errors.New("gone away") }},
			tracked: "a b", asked: "a|a|b", outcome: Inconsistent, reason: "1 row of earlier runs could not be looked at again: gone away"},
		{name: "capped: it panics", found: "a", total: 9, rechecks: []answer{still("a"), still("a"), func([]Violation) ([]Violation, error) { panic("boom") }},
			tracked: "a b", asked: "a|a|b", outcome: Inconsistent, reason: "it panicked: boom"},
		{name: "capped: nobody to ask", found: "a", total: 9, tracked: "a b", outcome: Inconsistent},
		{name: "capped: the key is masked and not known any more", found: "a", total: 9, rechecks: []answer{still("a"), still("a")}, tracked: "b", asked: "a|a", outcome: Inconsistent, unaskable: true},
		{name: "capped, all suspects healed: unknown clears nothing", found: "a", total: 9, rechecks: []answer{still("")}, tracked: "a b", asked: "a", outcome: Unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var check Check = CheckFunc{Meta: Meta{Name: "x"}, Func: func(context.Context) (Findings, error) {
					return Findings{Violations: violations(c.found), Total: c.total, Examined: 100}, nil
				}}
				var asked []string
				if c.rechecks != nil {
					check = rechecker{check.(CheckFunc), func(_ context.Context, vs []Violation) ([]Violation, error) {
						asked = append(asked, keysOf(vs))
						return c.rechecks[len(asked)-1](vs)
					}}
				}
				known := track(c.tracked)
				for i := range known {
					known[i].askable = !c.unaskable
				}
				r := (&confirmer{
					check: check, meta: check.Describe(), retry: Retry{Delay: time.Second}.withDefaults(), log: quiet(), tracked: known, identity: Violation.ID,
					admit: func(context.Context) (func(), error) { return func() {}, nil },
				}).run(t.Context())
				require.Equal(t, c.outcome, r.Outcome, r.Reason)
				require.Equal(t, c.asked, strings.Join(asked, "|"))
				require.Equal(t, c.cleared, strings.Join(r.Cleared, " "))
				require.Contains(t, r.Reason, c.reason)
			})
		})
	}
}
