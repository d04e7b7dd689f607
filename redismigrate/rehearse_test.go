package redismigrate

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// planFor makes a plan between two servers as an operator would.
func planFor(t *testing.T, from, to *servers.RedisServer) *Plan {
	t.Helper()
	m := Move{From: all(from), To: all(to), Keys: sessions}
	source, err := Inspect(t.Context(), m.From, InspectOptions{})
	require.NoError(t, err)
	target, err := Inspect(t.Context(), m.To, InspectOptions{Target: true})
	require.NoError(t, err)
	census, err := Measure(t.Context(), m.From, MeasureOptions{Keys: m.Keys})
	require.NoError(t, err)
	p, err := MakePlan(m, source, target, census, ableClient)
	require.NoError(t, err)
	require.NotEmpty(t, p.Chosen, "%s", p)
	return p
}

// A plan for the real pair is rehearsed on a smaller one, with both strategies that a rehearsal can carry out by itself.
func TestRehearsalRunsThePlanOnStandInsAndForecastsTheDay(t *testing.T) {
	t.Parallel()
	production, newStore := ownPair(t)
	fillMixed(t, production, 6000)
	standIn, restored := ownPair(t)
	fillMixed(t, standIn, 3000)
	unchanged(t, production, newStore, standIn)
	p := planFor(t, production, newStore)

	require.NoError(t, p.Choose(CopyKeys))
	r, err := Rehearse(t.Context(), p, Move{From: all(standIn), To: all(restored)}, RehearseOptions{Window: time.Hour, Back: time.Minute})
	require.NoError(t, err)
	require.Equal(t, Match, r.Verdict, "%s", r)
	require.InDelta(t, 0.5, r.Share, 0.02)
	require.Equal(t, []string{stepCopy, stepVerify}, []string{r.Steps[0].Name, r.Steps[1].Name})
	for _, s := range r.Steps {
		require.Positive(t, s.Elapsed)
		require.GreaterOrEqual(t, s.Forecast.Likely, s.Elapsed*3/2, "twice the keys")
		require.LessOrEqual(t, s.Forecast.Low, s.Forecast.Likely)
		require.LessOrEqual(t, s.Forecast.Likely, s.Forecast.High)
	}
	require.Equal(t, time.Hour-time.Minute, r.Steps[1].AbortAt, "the way back must fit into the window")
	var types []string
	for _, g := range r.Types {
		require.Positive(t, g.Keys)
		require.Positive(t, g.Write)
		types = append(types, g.Type)
	}
	require.ElementsMatch(t, []string{"string", "hash", "list", "set", "zset", "stream"}, types)
	verified(t, Move{From: all(standIn), To: all(restored), Keys: sessions})
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(text), `"verdict":"match"`)
	require.Contains(t, r.String(), "it works")

	// The window is too short for the same.
	require.NoError(t, restored.Client.FlushAll(t.Context()).Err())
	r, err = Rehearse(t.Context(), p, Move{From: all(standIn), To: all(restored)}, RehearseOptions{Window: time.Microsecond})
	require.NoError(t, err)
	require.Equal(t, Mismatch, r.Verdict)
	require.Contains(t, r.String(), "does not fit into the window")
	require.True(t, r.Steps[0].BackIsFaster)

	// Prune after restore: the stand-in's target holds the whole stand-in.
	require.NoError(t, restored.Client.FlushAll(t.Context()).Err())
	copied(t, standIn, restored)
	require.NoError(t, p.Choose(PruneAfterRestore))
	r, err = Rehearse(t.Context(), p, Move{From: all(standIn), To: all(restored)}, RehearseOptions{Restore: time.Minute, Prune: PruneOptions{AllowClients: true}})
	require.NoError(t, err)
	require.Equal(t, Match, r.Verdict, "%s", r)
	require.Equal(t, []string{stepRestore, stepPlan, stepPrune, stepVerify}, []string{r.Steps[0].Name, r.Steps[1].Name, r.Steps[2].Name, r.Steps[3].Name})
	require.InDelta(t, 2*time.Minute, r.Steps[0].Forecast.Likely, float64(6*time.Second))
	verified(t, Move{From: all(standIn), To: all(restored), Keys: sessions})
}

func TestRehearsalSaysWhatWentWrong(t *testing.T) {
	t.Parallel()
	production, newStore := ownPair(t)
	fillMixed(t, production, 600)
	standIn, restored := ownPair(t)
	fillMixed(t, standIn, 600)
	p := planFor(t, production, newStore)
	require.NoError(t, p.Choose(CopyKeys))

	_, err := Rehearse(t.Context(), &Plan{}, Move{}, RehearseOptions{})
	require.ErrorContains(t, err, "MakePlan makes one")
	for name, m := range map[string]Move{
		"the real target":  {From: all(standIn), To: all(newStore)},
		"the real source":  {From: all(production), To: all(restored)},
		"source as target": {From: all(standIn), To: all(production)},
	} {
		r, err := Rehearse(t.Context(), p, m, RehearseOptions{})
		require.ErrorIs(t, err, ErrRefused, name)
		require.ErrorContains(t, err, "is a store of the plan", name)
		require.Equal(t, Unknown, r.Verdict, name)
	}
	require.Zero(t, newStore.Client.DBSize(t.Context()).Val())
	_, err = Rehearse(t.Context(), p, Move{From: all(standIn), To: all(restored), Keys: everything}, RehearseOptions{})
	require.ErrorContains(t, err, "leave them empty")

	// A target that has something else already is not what was planned.
	require.NoError(t, restored.Client.Set(t.Context(), "foreign", 1, 0).Err())
	r, err := Rehearse(t.Context(), p, Move{From: all(standIn), To: all(restored)}, RehearseOptions{})
	require.NoError(t, err)
	require.Equal(t, Mismatch, r.Verdict)
	require.Contains(t, r.String(), "it does not work")

	// The stand-in dies.
	require.NoError(t, restored.Kill())
	r, err = Rehearse(t.Context(), p, Move{From: all(standIn), To: all(restored)}, RehearseOptions{})
	require.Error(t, err)
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.String(), "not finished")
}

func TestForecastScalesByKeysAndBytes(t *testing.T) {
	work := func(keys, bytes int64) Work { return Work{exactly(keys), exactly(bytes)} }
	require.Equal(t, Forecast{time.Minute, time.Minute, time.Minute}, forecast(time.Minute, work(10, 100), work(10, 100), nil))
	require.Equal(t, Forecast{2 * time.Minute, 3 * time.Minute, 4 * time.Minute}, forecast(time.Minute, work(10, 100), work(20, 400), nil), "larger values")
	sampled := Work{Estimate{20, 10, 40}, Estimate{200, 200, 200}}
	require.Equal(t, Forecast{time.Minute, 2 * time.Minute, 4 * time.Minute}, forecast(time.Minute, work(10, 100), sampled, nil), "a sample's bounds")
	unsteady := forecast(time.Minute, work(10, 100), work(10, 100), []float64{50, 50, 100, 100, 100, 100, 100, 100, 150, 150})
	require.Equal(t, Forecast{40 * time.Second, time.Minute, 2 * time.Minute}, unsteady)

	m := newSpeedometer()
	for i := range 10_000 {
		m.note(int64(i))
	}
	require.Less(t, len(m.marks), 4096)
	require.Equal(t, int64(9_999), m.marks[len(m.marks)-1].done)
	require.Nil(t, speeds(m.marks[:10]))
	var even []speedMark
	for i := range 100 {
		even = append(even, speedMark{time.Duration(i) * time.Second, int64(1000 * i)})
	}
	for _, s := range speeds(even) {
		require.InDelta(t, 1000, s, 1)
	}
	var base int64
	note := noting(func(n int64) { base = n }, nil)
	for _, p := range []Progress{{DB: 0, Scanned: 5}, {DB: 0, Scanned: 9}, {DB: 2, Scanned: 3}} {
		note(p)
	}
	require.Equal(t, int64(12), base, "each db counts from zero")
}
