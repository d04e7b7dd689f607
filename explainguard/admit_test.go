package explainguard_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

var _ consistency.Admitter = (*explainguard.Guard)(nil)

func TestAdmitJudgesBeforeTheQueryRuns(t *testing.T) {
	server := servers.MySQL(t)
	require.NoError(t, smartlist.Create(t.Context(), server.DB))
	require.NoError(t, smartlist.Fill(t.Context(), server.DB))
	guard := &explainguard.Guard{Budget: explainguard.Budget{RowsExamined: 5000}}
	require.NoError(t, guard.Admit(t.Context(), server.DB, smartlist.Good))
	err := guard.Admit(t.Context(), server.DB, smartlist.Bad)
	require.ErrorContains(t, err, "not admitted: ")
	require.ErrorContains(t, err, "derived-filter: derived table st examines")
	for query, want := range map[string]string{
		"SELECT id FROM customers WHERE id = 0 * ?": "could not tell: ", // no such row: the plan collapses
		"SELECT id FROM missing WHERE id = ?":       "Error 1146",
	} {
		require.ErrorContains(t, guard.Admit(t.Context(), server.DB, query, 7), want, query)
	}
	closed := servers.MySQL(t)
	require.NoError(t, closed.DB.Close())
	require.Error(t, guard.Admit(t.Context(), closed.DB, smartlist.Good), "an unreachable server admits nothing")

	for want, g := range map[string]*explainguard.Guard{
		"it is nil":     nil,
		"Guard.Analyze": {Analyze: time.Second},
		"Guard.Stats":   {Stats: &explainguard.Stats{}},
	} {
		require.ErrorContains(t, g.Admit(t.Context(), server.DB, smartlist.Good), want)
	}
	require.ErrorContains(t, guard.Admit(t.Context(), nil, smartlist.Good), "no database")

	var many sync.WaitGroup // a Runner asks for several checks at a time
	for range 8 {
		many.Go(func() { _ = guard.Admit(t.Context(), server.DB, smartlist.Good) })
	}
	many.Wait()

	// A check of package consistency.
	run := func(query string, admit consistency.Admitter) consistency.Result {
		check := consistency.SQL{
			Meta: consistency.Meta{Name: "smart-list", Retry: &consistency.Retry{Attempts: 1}}, DB: server.DB, Query: query, Key: []string{"id"}, Admit: admit,
		}
		s, err := (&consistency.Runner{Checks: []consistency.Check{check}}).Run(t.Context())
		require.NoError(t, err)
		return s.Results[0]
	}
	require.Equal(t, consistency.Inconsistent, run(smartlist.Good, guard).Outcome)
	bad := run(smartlist.Bad, guard)
	require.Equal(t, consistency.Unknown, bad.Outcome)
	require.Contains(t, bad.Reason, "query: it was not sent, because it was not admitted: explainguard: not admitted: ")
}
