package consistency

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// modelRow is what a naive reader of the log would know of a row.
type modelRow struct {
	wrong       bool
	appearances int
}

// listener is a notifier as a person sees it: it counts what it hears.
type listener struct {
	wrong  int // what adding up the changes comes to
	open   bool
	period time.Time // when the period began in which it last heard something loud
	heard  int
	events []EventKind
}

// play runs a random story: each byte pair is one run. It compares Advance with the model, and what two notifiers hear, one of which often fails, with what is so.
func play(t *testing.T, story []byte) {
	names := []string{"steady", "flaky"}
	listeners := map[string]*listener{"steady": {}, "flaky": {}}
	model := map[string]*modelRow{}
	var s State
	now := t0
	for len(story) >= 3 {
		dice, kind, more := story[0], story[1], story[2]
		story = story[3:]
		now = now.Add([]time.Duration{time.Minute, time.Hour, 23 * time.Hour, 25 * time.Hour}[more&3])
		var wrong, cleared []string
		for i := range 4 {
			key := string(rune('a' + i))
			if dice>>i&1 == 1 {
				wrong = append(wrong, key)
			} else if dice>>(4+i)&1 == 1 {
				cleared = append(cleared, key)
			}
		}
		r := Result{Check: Meta{Name: "x"}, Outcome: Consistent, Started: now, Cleared: cleared}
		exact := true
		switch {
		case kind%5 == 0:
			r.Outcome, exact = Unknown, false
		case len(wrong) > 0:
			r.Outcome, r.Total = Inconsistent, int64(len(wrong))
			for _, k := range wrong {
				r.Violations = append(r.Violations, Violation{Key: k, Row: Row{{Name: "k", Value: k}}})
			}
			if kind%5 == 1 {
				r.AtLeast, exact = true, false
			}
		}
		// The model, in plain steps.
		want := Change{}
		if r.Outcome != Unknown {
			before := 0
			for key, m := range model {
				before += toInt(m.wrong)
				if m.wrong && !slices.Contains(wrong, key) && (exact || slices.Contains(cleared, key)) {
					m.wrong = false
					want.Resolved++
				}
			}
			for _, key := range wrong {
				switch m := model[key]; {
				case m == nil:
					model[key] = &modelRow{wrong: true, appearances: 1}
					want.New++
				case !m.wrong:
					m.wrong = true
					m.appearances++
					want.Reappeared++
				}
			}
		}
		var e Event
		s, e = Advance(s.enroll(names), r, nil, now)
		require.Equal(t, []int{want.New, want.Resolved, want.Reappeared}, []int{e.New, e.Resolved, e.Reappeared})
		wrongNow := 0
		for _, m := range model {
			wrongNow += toInt(m.wrong)
		}
		require.Len(t, s.Rows, wrongNow, "a row was lost or invented")
		for _, row := range s.Rows {
			require.True(t, model[row.Key].wrong)
			require.Equal(t, model[row.Key].appearances, row.Appearances)
		}
		require.Equal(t, wrongNow > 0, s.Incident != nil)
		require.Equal(t, r.Outcome == Consistent, !s.CleanSince.IsZero())

		// The store between saving and telling.
		text, err := json.Marshal(s)
		require.NoError(t, err)
		s = State{}
		require.NoError(t, json.Unmarshal(text, &s))
		for i, name := range names {
			l := listeners[name]
			due := s.eventFor(name, e)
			lost := name == "flaky" && more>>(2+i)&1 == 1
			heardButKilled := name == "flaky" && !lost && more>>5&1 == 1 && due.empty() // told, then killed before it was saved
			if lost {
				continue
			}
			if !heardButKilled {
				s = s.delivered(name, due, Receipt(fmt.Sprint(name, l.heard)))
			}
			l.heard++
			l.events = append(l.events, due.Kind)
			l.wrong += due.New + due.Reappeared - due.Resolved
			require.Equal(t, wrongNow, l.wrong, "%s cannot add up what it heard", name)
			switch due.Kind {
			case EventOpened:
				require.False(t, l.open, "%s: opened twice", name)
				l.open = true
			case EventResolved:
				require.True(t, l.open || due.Opened, "%s: a second resolved", name)
				require.Equal(t, Consistent, due.Outcome)
				l.open = false
			case EventRecovered:
				require.Equal(t, Consistent, due.Outcome)
			case EventWorse, EventReminder:
				require.True(t, l.open)
			}
			if r.Outcome != Unknown {
				require.Equal(t, wrongNow > 0, l.open, "%s does not know how things stand: %v", name, l.events)
			}
			if due.New+due.Reappeared > 0 && wrongNow > 0 {
				require.True(t, due.Kind.Loud(), "%s: rows became wrong in silence", name)
			}
			reminder := due.Kind == EventReminder || due.Kind == EventUnknown && !due.OutcomeChanged && !l.period.IsZero()
			switch {
			case heardButKilled:
			case due.Kind == EventResolved, due.Kind == EventRecovered:
				l.period = time.Time{}
			case reminder:
				require.False(t, now.Before(l.period.Add(DefaultRemind-DefaultRemind/100)), "%s: two reminders in a period", name)
				for !now.Before(l.period.Add(DefaultRemind - DefaultRemind/100)) {
					l.period = l.period.Add(DefaultRemind)
				}
			case due.Kind.Loud():
				l.period = now
			}
			if wrongNow > 0 && !heardButKilled {
				require.Less(t, now.Sub(l.period), DefaultRemind-DefaultRemind/100, "%s: a reminder was missed", name)
			}
		}
	}
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func FuzzAdvance(f *testing.F) {
	f.Add([]byte{0x03, 1, 1, 0x00, 2, 1, 0x07, 0, 2, 0x00, 2, 0xff})
	f.Fuzz(play)
}

func TestAdvanceAgreesWithTheModel(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		story := make([]byte, 3*(1+r.IntN(40)))
		for i := range story {
			story[i] = byte(r.Uint32())
		}
		play(t, story)
	}
}
