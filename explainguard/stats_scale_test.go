package explainguard_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

func written(t *testing.T, s *explainguard.Stats) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, s.Write(&b))
	return b.String()
}

func TestStatsScale(t *testing.T) {
	s := savedStats(t)
	before := written(t, s)
	ten := s.Scale(10)
	require.Equal(t, before, written(t, s), "it changes a copy")
	c, r := ten.Tables[0], ten.Tables[2]
	require.EqualValues(t, 2_000_000, c.Rows)
	require.Equal(t, []int64{2_000_000}, c.Indexes[0].Distinct)
	require.Equal(t, []int64{5001, 2_000_000}, c.Indexes[1].Distinct, "more customers, not more tenants")
	require.Equal(t, []int64{200_000}, c.Indexes[1].Biggest)
	require.Equal(t, []int64{2_000_000, 4_000_000}, r.Indexes[1].Distinct, "two reservations for each customer stay two")
	require.Equal(t, []int64{20_000, 4_000_000}, r.Indexes[2].Distinct)
	require.InDelta(t, 6, ten.Scale(0.6).Factor, 1e-9)
	for _, none := range []float64{0, -1, math.NaN(), math.Inf(1), math.Inf(-1)} {
		require.Equal(t, before, written(t, s.Scale(none)))
	}
	tiny := s.Scale(1e-9)
	require.EqualValues(t, 1, tiny.Tables[0].Rows)
	require.Equal(t, []int64{1, 1}, tiny.Tables[0].Indexes[1].Distinct)
	require.Positive(t, s.Scale(1e300).Tables[0].Rows)
}

func TestStatsBiggestGroup(t *testing.T) {
	s := savedStats(t)
	before := written(t, s)
	b := s.BiggestGroup()
	require.Equal(t, before, written(t, s), "it changes a copy")
	require.Equal(t, explainguard.ModeBiggest, b.Mode)
	require.Equal(t, []int64{10, 200_000}, b.Tables[0].Indexes[1].Distinct)
	require.Equal(t, []int64{2000, 20_000}, b.Tables[1].Indexes[1].Distinct, "no tenant owns 1 % of the pages, but tenant_id is a tenant's column elsewhere")
	require.Equal(t, []int64{10, 400_000}, b.Tables[2].Indexes[3].Distinct)
	require.Equal(t, []int64{200_000, 400_000}, b.Tables[2].Indexes[1].Distinct, "customer_id is no tenant's column")
	require.Equal(t, written(t, b), written(t, b.BiggestGroup()), "twice is once")

	one := s.BiggestGroup("customers.tenant_id", "CUSTOMER_ID")
	require.Equal(t, []int64{10, 200_000}, one.Tables[0].Indexes[1].Distinct)
	require.Equal(t, []int64{5001, 400_000}, one.Tables[2].Indexes[3].Distinct)
	require.Equal(t, before, strings.Replace(written(t, s.Averages()), `,"mode":"average"`, "", 1))

	e := eventsStats().BiggestGroup()
	require.Equal(t, []int64{20, 11_111, 1_000_000}, e.Tables[0].Indexes[1].Distinct, "each prefix has a biggest group of its own")
	require.Equal(t, []int64{100_000, 1_000_000}, e.Tables[0].Indexes[3].Distinct, "NULLs are no tenant")
}

func TestStatsUnknown(t *testing.T) {
	s := eventsStats()
	require.Empty(t, s.Unknown())
	s.Tables[0].Indexes[1].Biggest = []int64{-1}
	s.Tables[0].Indexes[3].Nulls = -1
	s.Tables[0].Indexes[4].Distinct = nil
	require.Equal(t, []string{
		"events.ix_tenant_day: the biggest group of tenant_id",
		"events.ix_deleted: how many rows have NULL in deleted_at",
		"events.ix_parent: the number of different values",
	}, s.Unknown())
	db := emptyEvents(t)
	for query, want := range map[string]explainguard.Verdict{
		"SELECT * FROM events WHERE tenant_id = 1":  explainguard.Unanalysable,
		"SELECT * FROM events WHERE id IN (1, 2)":   explainguard.Pass,
		"SELECT * FROM events WHERE parent_id = 1":  explainguard.Unanalysable,
		"SELECT * FROM events WHERE parent_id = id": explainguard.Unanalysable,
	} {
		r, err := (&explainguard.Guard{DB: db, Stats: s}).Check(t.Context(), query)
		require.NoError(t, err)
		require.Equal(t, want, r.Verdict, "%s: %s", query, r)
	}
	r, err := (&explainguard.Guard{DB: db, Stats: s.Averages()}).Check(t.Context(), "SELECT * FROM events WHERE tenant_id = 1")
	require.NoError(t, err)
	require.Equal(t, explainguard.Pass, r.Verdict, "%s", r)
	require.InDelta(t, 1000, r.Work.Total, 1)
}

func TestReadStatsRefusesWhatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "the file is empty",
		"select 1":                           "no JSON document",
		"{}":                                 "it has no tashikame_stats",
		`{"tashikame_stats": 2}`:             "version 2, and this package reads version 1; dump the statistics again",
		`{"tashikame_stats": 1}`:             "they hold no table",
		`{"tashikame_stats": 1, "rows": []}`: `unknown field "rows"`,
		`{"tashikame_stats": 1, "tables": [{"name": ""}]}`:                                                                                 "it has no name",
		`{"tashikame_stats": 1, "tables": [{"name": "t", "rows": -5}]}`:                                                                    `table "t": rows -5`,
		`{"tashikame_stats": 1, "tables": [{"name": "t"}, {"name": "t"}]}`:                                                                 `table "t" is listed twice`,
		`{"tashikame_stats": 1, "tables": [{"name": "t", "indexes": [{"name": "a"}]}]}`:                                                    `index "a" has no columns`,
		`{"tashikame_stats": 1, "tables": [{"name": "t", "indexes": [{"name": "a", "columns": ["c"], "biggest": [-2]}]}]}`:                 `index "a": biggest and nulls are counts, or -1`,
		`{"tashikame_stats": 1, "tables": [{"name": "t", "indexes": [{"name": "a", "columns": ["c"]}, {"name": "A", "columns": ["c"]}]}]}`: `"A" is listed twice`,
		`{"tashikame_stats": 1, "mode": "huge", "tables": [{"name": "t"}]}`:                                                                `mode "huge" is not known`,
		`{"tashikame_stats": 1, "tables": [{"name": "t", "rows": 1.5}]}`:                                                                   "cannot unmarshal number 1.5",
		`{"tashikame_stats": 1, "tables": [{"name": "t", "partitions": [{"name": ""}]}]}`:                                                  "a partition has no name",
		`{"tashikame_stats": 1, "tables": [{"name": "t", "indexes": [{"name": "a", "columns": ["c"], "distinct": [-1]}]}]}`:                "distinct and pages cannot be negative",
	} {
		_, err := explainguard.ReadStats(strings.NewReader(text))
		require.ErrorContains(t, err, "explainguard: read statistics: ", text)
		require.ErrorContains(t, err, want, text)
	}
	var none *explainguard.Stats
	require.ErrorContains(t, none.Write(&bytes.Buffer{}), "the Stats are nil")
	s := savedStats(t)
	again, err := explainguard.ReadStats(strings.NewReader(written(t, s)))
	require.NoError(t, err)
	require.Equal(t, written(t, s), written(t, again))
}

// TestStatsOfTwoKindsOnOneDatabase: whoever judges has its own statistics applied, not those that another Guard left there.
func TestStatsOfTwoKindsOnOneDatabase(t *testing.T) {
	db := emptyEvents(t)
	stats := eventsStats()
	average, scaled := stats.Averages(), stats.Scale(3)
	for range 2 {
		for s, want := range map[*explainguard.Stats]float64{stats: 50_000, average: 1000, scaled: 150_000} {
			r, err := (&explainguard.Guard{DB: db, Stats: s, Budget: explainguard.Budget{RowsExamined: explainguard.Unlimited, UntimedRows: explainguard.Unlimited}}).Check(t.Context(), "SELECT * FROM events WHERE tenant_id = 1")
			require.NoError(t, err)
			require.Equal(t, explainguard.Pass, r.Verdict, "%s", r)
			require.InEpsilon(t, want, r.Work.Total, 0.01)
		}
	}
}
