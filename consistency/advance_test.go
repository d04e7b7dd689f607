package consistency

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var t0 = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// res makes a result: "a b" is an exact Inconsistent, "" Consistent, "?" Unknown, "a b+" a lower bound; what follows a / is cleared.
func res(text string) Result {
	text, cleared, _ := strings.Cut(text, "/")
	r := Result{Check: Meta{Name: "x"}, Cleared: strings.Fields(cleared), Started: t0}
	if text == "?" {
		r.Reason = "gone away"
		return r
	}
	text, r.AtLeast = strings.CutSuffix(text, "+")
	r.Violations = violations(text)
	r.Total = int64(len(r.Violations))
	r.Outcome = Consistent
	if r.Total > 0 {
		r.Outcome = Inconsistent
	}
	return r
}

func phases(rows []TrackedRow) string {
	var out []string
	for _, r := range rows {
		out = append(out, r.Key+":"+r.Phase.String())
	}
	return strings.Join(out, " ")
}

// Each line is a run after the ones before it, an hour later.
func TestEveryTransition(t *testing.T) {
	type step struct{ result, want string }
	for name, steps := range map[string][]step{
		"a life": {
			{"", "quiet | 0: x | "},
			{"a b", "opened | 2 (+2): x | a:new b:new"},
			{"a b", "quiet | 2 (oldest 1h): x | a:continuing b:continuing"},
			{"a b c", "worse | 3 (+1, oldest 2h): x | a:continuing b:continuing c:new"},
			{"b c", "quiet | 2 (−1, oldest 3h): x | b:continuing c:continuing a:resolved"},
			{"b c a", "worse | 3 (+1, 1 reappeared, oldest 4h): x | b:continuing c:continuing a:reappeared"},
			{"", "resolved | 0 (−3): x | b:resolved c:resolved a:resolved"},
			{"", "quiet | 0 (clean for 1h): x | "},
			{"a", "opened | 1 (+1, 1 reappeared): x | a:reappeared"},
		},
		"unknown resolves and forgets nothing": {
			{"a b", "opened | 2 (+2): x | a:new b:new"},
			{"?", "unknown | could not tell now, 2 known (oldest 1h): x: gone away | a:continuing b:continuing"},
			{"?", "quiet | could not tell now, 2 known (oldest 2h): x: gone away | a:continuing b:continuing"},
			{"?/a b", "quiet | could not tell now, 2 known (oldest 3h): x: gone away | a:continuing b:continuing"},
			{"a b", "quiet | 2 (oldest 4h): x | a:continuing b:continuing"},
			{"?", "unknown | could not tell now, 2 known (oldest 5h): x: gone away | a:continuing b:continuing"},
			{"", "resolved | 0 (−2): x | a:resolved b:resolved"},
		},
		"unknown at first, then well": {
			{"?", "unknown | could not tell: x: gone away | "},
			{"", "recovered | 0: x | "},
			{"?", "unknown | could not tell: x: gone away | "},
			{"a", "opened | 1 (+1): x | a:new"},
		},
		"past the cap only what was looked at again is resolved": {
			{"a b c+", "opened | 3+ (+3): x | a:new b:new c:new"},
			{"d+", "worse | 4+ (+1, oldest 1h): x | a:continuing b:continuing c:continuing d:new"},
			{"d+/a c", "quiet | 2+ (−2, oldest 2h): x | b:continuing d:continuing a:resolved c:resolved"},
			{"d", "quiet | 1 (−1, oldest 2h): x | d:continuing b:resolved"},
		},
		"a row that is shown is not cleared": {
			{"a+", "opened | 1+ (+1): x | a:new"},
			{"a+/a", "quiet | 1+ (oldest 1h): x | a:continuing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s State
			for i, step := range steps {
				r := res(step.result)
				now := t0.Add(time.Duration(i) * time.Hour)
				r.Started = now
				before, _ := json.Marshal(s)
				next, e := Advance(s, r, nil, now)
				after, _ := json.Marshal(s)
				require.Equal(t, string(before), string(after), "Advance changed its argument")
				require.Equal(t, step.want, fmt.Sprintf("%s | %s | %s", e.Kind, e.Headline(), phases(e.Rows)), "run %d", i)
				s = next
			}
		})
	}
}

func TestStillChangingRowsResolveNothing(t *testing.T) {
	s, _ := Advance(State{}, res("a b"), nil, t0)
	r := res("a")
	r.Changing = 1 // it may be b
	s, e := Advance(s, r, nil, t0.Add(time.Hour))
	require.Equal(t, "a:continuing b:continuing", phases(e.Rows))
	require.EqualValues(t, 2, s.Total)
	r = res("")
	r.Changing = 1
	s, _ = Advance(s, r, nil, t0.Add(2*time.Hour))
	require.Len(t, s.Rows, 2)
	for _, odd := range []Result{{Outcome: Inconsistent}, {Outcome: Inconsistent, Total: 5, Violations: violations("a")}, {Outcome: Consistent, Total: 3}} {
		s, _ = Advance(s, odd, nil, t0.Add(3*time.Hour))
		require.Len(t, s.Rows, 2, "a result that contradicts itself proves nothing: %+v", odd)
	}
}

func TestTheLifeOfARowIsRemembered(t *testing.T) {
	at := func(h int) time.Time { return t0.Add(time.Duration(h) * time.Hour) }
	s, _ := Advance(State{}, res("a"), nil, at(0))
	s, _ = Advance(s, res("a"), nil, at(1))
	s, _ = Advance(s, res(""), nil, at(2))
	s, _ = Advance(s, res("?"), nil, at(3))
	require.Equal(t, at(2), s.Gone[0].ResolvedAt)
	require.Equal(t, at(3), s.Since)
	s, _ = Advance(s, res("a"), nil, at(4))
	require.Empty(t, s.Gone)
	row := s.Rows[0]
	require.Equal(t, []any{at(4), at(4), at(2), 2}, []any{row.FirstSeen, row.LastSeen, row.ResolvedAt, row.Appearances})
	require.Equal(t, at(4), s.Oldest())
	require.NotEqual(t, s.Closed.ID, s.Incident.ID, "another incident")
	require.Len(t, s.Incident.ID, 8)
	require.Len(t, s.History, 5)
	require.Equal(t, Point{At: at(4), Outcome: Inconsistent, Total: 1, Reappeared: 1}, s.History[4])

	// A clock that is put back does not turn the order around.
	back, e := Advance(s, res("a b"), nil, at(-9))
	require.True(t, back.LastRun.After(s.LastRun))
	require.Equal(t, "a:continuing b:new", phases(e.Rows))
}

func TestCleanSinceEndsWithAnythingElse(t *testing.T) {
	at := func(h int) time.Time { return t0.Add(time.Duration(h) * time.Hour) }
	run := func(s State, text string, h int) State {
		r := res(text)
		r.Started = at(h).Add(-time.Minute)
		s, _ = Advance(s, r, nil, at(h))
		return s
	}
	s := run(State{}, "", 0)
	s = run(s, "", 5)
	require.Equal(t, at(0).Add(-time.Minute), s.CleanSince, "when the first good run began")
	require.Zero(t, run(s, "?", 6).CleanSince, "nobody could tell")
	require.Zero(t, run(s, "a", 6).CleanSince)
	r := res("")
	r.Started = at(14 * 24)
	_, e := Advance(s, r, nil, at(14*24))
	require.Equal(t, "0 (clean for 14d): x", e.Headline())
}

func TestColumnChangesAreNoticed(t *testing.T) {
	with := func(columns ...string) Result {
		r := res("a")
		r.Violations[0].Row = nil
		for _, c := range columns {
			r.Violations[0].Row = append(r.Violations[0].Row, Field{Name: c})
		}
		return r
	}
	s, e := Advance(State{}, with("id", "price"), nil, t0)
	require.Empty(t, e.ColumnsAdded)
	s, _ = Advance(s, res(""), nil, t0.Add(1))
	s, e = Advance(s, with("id", "preis", "at"), nil, t0.Add(2))
	require.Equal(t, []string{"preis", "at"}, e.ColumnsAdded)
	require.Equal(t, []string{"price"}, e.ColumnsRemoved)
	_, e = Advance(s, with("id", "preis", "at"), nil, t0.Add(3))
	require.Empty(t, e.ColumnsAdded)
	both := Change{ColumnsAdded: []string{"a"}, ColumnsRemoved: []string{"b"}}.then(Change{ColumnsAdded: []string{"b", "c"}, ColumnsRemoved: []string{"a"}}, Consistent)
	require.Equal(t, Change{ColumnsAdded: []string{"c"}}, both)
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	var s State
	for i := range 3 * maxHistory {
		s, _ = Advance(s, res(fmt.Sprint("k", i)), nil, t0.Add(time.Duration(i)*time.Minute))
	}
	require.Len(t, s.History, maxHistory)
	require.Len(t, s.Gone, maxGone)
	require.Equal(t, "k1198", s.Gone[0].Key, "the latest first")
	require.NotNil(t, s.Gone[goneWithRow-1].Row)
	require.Nil(t, s.Gone[goneWithRow].Row)

	// Big rows lose what they look like, never their keys; the event has everything.
	r := res(strings.Repeat("k", 1) + " l m n o p q r s t")
	for i := range r.Violations {
		r.Violations[i].Row[0].Value = strings.Repeat("x", 1<<20)
	}
	s, e := Advance(State{}, r, nil, t0)
	kept, shown := 0, 0
	for i := range s.Rows {
		if s.Rows[i].Row != nil {
			kept++
		}
		if e.Rows[i].Row != nil {
			shown++
		}
	}
	require.Equal(t, []int{10, 3, 10}, []int{len(s.Rows), kept, shown})
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Less(t, len(text), 5<<20)

	// Another sample each time past the cap: rows are known up to the limit, and never forgotten for newer ones.
	s = State{}
	for i := range 12 {
		r := res("")
		r.Outcome, r.AtLeast = Inconsistent, true
		for k := range 1000 {
			r.Violations = append(r.Violations, Violation{Key: fmt.Sprintf("%d-%d", i, k)})
		}
		r.Total = 1000
		s, _ = Advance(s, r, nil, t0.Add(time.Duration(i)))
	}
	require.Len(t, s.Rows, maxTracked)
	require.Equal(t, "0-0", s.Rows[0].Key)
}

func TestAcks(t *testing.T) {
	at := func(h int) time.Time { return t0.Add(time.Duration(h) * time.Hour) }
	s, _ := Advance(State{}, res("a b"), nil, at(0))
	s, _ = Advance(s, res("a b c"), []Ack{{Kind: AckMute, By: "ann"}}, at(1))
	require.Equal(t, []string{"ann", "ann", ""}, []string{s.Rows[0].MutedBy, s.Rows[1].MutedBy, s.Rows[2].MutedBy}, "c was not known when ann answered")
	s, e := Advance(s, res("a b c"), []Ack{{Kind: AckMute, By: "ann"}}, at(2))
	require.Equal(t, "", s.Rows[2].MutedBy, "an answer counts once, in however many runs it is shown")
	require.Equal(t, 2, e.Muted)
	s, _ = Advance(s, res("a b c"), []Ack{{Kind: AckMute, By: "bob", At: at(0)}}, at(3))
	require.Equal(t, "", s.Rows[2].MutedBy, "c was not wrong at that time")
	s, _ = Advance(s, res("b c"), nil, at(4))
	s, _ = Advance(s, res("a b c"), nil, at(5))
	require.Equal(t, "a", s.Rows[2].Key)
	require.Equal(t, "", s.Rows[2].MutedBy, "a mute ends when the row is resolved")

	s, _ = Advance(s, res("b"), []Ack{{Kind: AckSeen, By: "eve"}}, at(6))
	require.Equal(t, []any{"eve", at(30)}, []any{s.Incident.AckedBy, s.Incident.AckedUntil})
	s, _ = Advance(s, res("b"), []Ack{{Kind: AckSeen, By: "eve"}}, at(40))
	require.Equal(t, at(30), s.Incident.AckedUntil, "the same answer does not last for ever")
	s, _ = Advance(s, res("b"), []Ack{{Kind: AckSeen, By: "eve", At: at(41), Until: at(60)}, {Kind: 9, By: "x"}}, at(42))
	require.Equal(t, at(60), s.Incident.AckedUntil)
	for i := range 3 * maxAcks {
		s, _ = Advance(s, res("b"), []Ack{{Kind: AckSeen, By: fmt.Sprint(i)}}, at(43+i))
	}
	require.Len(t, s.Incident.Acks, maxAcks)
	s, _ = Advance(s, res(""), nil, at(500))
	s, _ = Advance(s, res("b"), []Ack{{Kind: AckSeen, By: "eve"}}, at(501))
	require.Empty(t, s.Incident.AckedBy, "an answer to the incident before is none to this one")
}

func TestStateSurvivesJSON(t *testing.T) {
	r := res("a 日本")
	r.Violations[0].Row = Row{{"z", int64(9007199254740993)}, {"n", nil}, {"f", 0.1}, {"f32", float32(0.1)}, {"raw", json.RawMessage(`{"b":[1.10]}`)}, {"num", json.RawMessage(`1.10`)},
		{"bin", []byte{1, 255}}, {"bad", "\xff"}, {"t", t0}, {"b", true}, {"z", "twice"}, {"e", 1e300}, {"u", uint64(1 << 63)}}
	s, _ := Advance(State{Salt: []byte{1}}.enroll([]string{"n"}), r, nil, t0)
	s, _ = Advance(s, res("?"), []Ack{{Kind: AckSeen, By: "ann"}}, t0.Add(time.Nanosecond))
	text, err := json.Marshal(s)
	require.NoError(t, err)
	var back State
	require.NoError(t, json.Unmarshal(text, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
	require.Equal(t, s.Rows[0].FirstSeen, back.Rows[0].FirstSeen)
	for _, bad := range []string{`{"Outcome":"fine"}`, `{"Rows":[{"Phase":"odd"}]}`, `{"Rows":[{"Row":[1]}]}`, `{"Rows":[{"Row":{"a":}}]}`} {
		require.Error(t, json.Unmarshal([]byte(bad), &State{}), bad)
	}
	require.NoError(t, json.Unmarshal([]byte(`{"Rows":[{"Row":null}]}`), &back))
}

// A daily run does not end at the same second each day, and must remind each day all the same, and once.
func TestARunOfEveryDayRemindsEveryDay(t *testing.T) {
	var s State
	var heard []string
	for day, offset := range []time.Duration{0, -time.Minute, 2 * time.Minute, -10 * time.Minute, -9 * time.Minute, 5 * time.Hour, -time.Minute} {
		for _, again := range []time.Duration{0, time.Minute, time.Hour} {
			var e Event
			now := t0.Add(time.Duration(day)*24*time.Hour + offset + again)
			s, e = Advance(s.enroll([]string{"n"}), res("a"), nil, now)
			e = s.eventFor("n", e)
			if e.Kind.Loud() {
				heard = append(heard, fmt.Sprint(day, again, e.Kind))
			}
			s = s.delivered("n", e, "")
		}
	}
	require.Equal(t, []string{"0 0s opened", "1 0s reminder", "2 0s reminder", "3 0s reminder", "4 0s reminder", "5 0s reminder", "6 0s reminder"}, heard)
}
