package consistency

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOrderWalkJudges(t *testing.T) {
	base := time.Unix(1_700_000_000, 0)
	type step struct {
		id, aggregate, sequence string
		at                      int // seconds
		over                    string
	}
	for name, c := range map[string]struct {
		skew  time.Duration
		steps []step
	}{
		"in order":                      {0, []step{{"a", "x", "1", 1, ""}, {"b", "x", "2", 2, ""}}},
		"at the same moment":            {0, []step{{"a", "x", "1", 1, ""}, {"b", "x", "2", 1, ""}}},
		"overtaken":                     {0, []step{{"a", "x", "1", 5, ""}, {"b", "x", "2", 2, "a"}, {"c", "x", "3", 6, ""}}},
		"overtaken by the next but one": {0, []step{{"a", "x", "1", 5, ""}, {"b", "x", "2", 6, ""}, {"c", "x", "3", 4, "b"}}},
		"the latest of those before":    {0, []step{{"a", "x", "1", 9, ""}, {"b", "x", "2", 6, "a"}, {"c", "x", "3", 7, "a"}}},
		"within the skew":               {3 * time.Second, []step{{"a", "x", "1", 5, ""}, {"b", "x", "2", 2, ""}, {"c", "x", "3", 1, "a"}}},
		"the same sequence":             {0, []step{{"a", "x", "1", 5, ""}, {"b", "x", "1", 2, ""}, {"c", "x", "2", 3, "a"}}},
		"another aggregate":             {0, []step{{"a", "x", "1", 5, ""}, {"b", "y", "2", 2, ""}}},
		"mixed spellings":               {0, []step{{"a", "x", "1", 5, ""}, {"b", "X", "2", 2, ""}, {"c", "x", "3", 4, "a"}, {"d", "X", "4", 1, "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var walks orderWalks
			for _, s := range c.steps {
				e := event{id: s.id, aggregateType: "Order", aggregateID: s.aggregate, sequence: s.sequence}
				other, _, wrong := walks.of(e).next(e, base.Add(time.Duration(s.at)*time.Second), c.skew)
				require.Equal(t, s.over != "", wrong, s.id)
				if wrong {
					require.Equal(t, s.over, other.id)
				}
			}
		})
	}
	t.Run("another type", func(t *testing.T) {
		var walks orderWalks
		for i, kind := range []string{"Order", "Refund"} {
			e := event{id: fmt.Sprint(i), aggregateType: kind, aggregateID: "x", sequence: fmt.Sprint(i)}
			_, _, wrong := walks.of(e).next(e, base.Add(-time.Duration(i)*time.Second), 0)
			require.False(t, wrong)
		}
	})
	t.Run("sixteen spellings and no more", func(t *testing.T) {
		for spellings, found := range map[int]bool{orderVariants: true, orderVariants + 1: false} {
			var walks orderWalks
			wrong := false
			for round := range 2 {
				for i := range spellings {
					e := event{id: fmt.Sprint(round, i), aggregateID: fmt.Sprint(i), sequence: fmt.Sprint(round)}
					_, _, w := walks.of(e).next(e, base.Add(-time.Duration(round)*time.Second), 0)
					wrong = wrong || w
				}
			}
			require.Equal(t, found, wrong, spellings)
		}
	})
}

// TestLedgerOrderUnderACollationThatIgnoresCase: the server sorts the events of two aggregates into each other.
func TestLedgerOrderUnderACollationThatIgnoresCase(t *testing.T) {
	onLedgerServers(t, func(t *testing.T, database func() *sql.DB) {
		s := newStream(t, database)
		exec(t, s.requests, "UPDATE outboxevent SET aggregateid = IF(seq % 8 < 4, 'ord-a', 'ORD-A') WHERE seq % 4 = 0") // 0, 8, 16 … and 4, 12, 20 …
		exec(t, s.publications, fmt.Sprintf("UPDATE published SET at_ms = %d WHERE event_id = UNHEX(REPLACE('%s', '-', ''))", s.at(16).Add(15*time.Second).UnixMilli()+500, streamID(8)))
		check := s.ledger()
		check.Consumers = nil
		r := runOne(t.Context(), t, check)
		require.Equal(t, []string{"out-of-order," + streamID(16) + `,"",` + streamID(8)}, ledgerKeys(r.Violations), r.Reason)
	})
}

func TestReplayCoversFromInclusiveUntilExclusive(t *testing.T) {
	from := time.Unix(1_700_000_000, 0)
	r := Replay{From: from, Until: from.Add(time.Hour)}
	for after, want := range map[time.Duration]bool{-1: false, 0: true, time.Hour - 1: true, time.Hour: false} {
		require.Equal(t, want, r.covers(from.Add(after)), after)
	}
}
