package redismigrate

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestSavedPrunePlans(t *testing.T) {
	onOnePair(t, map[string]func(t *testing.T, source, target *servers.RedisServer){
		"anotherProcessAppliesIt": anotherProcessAppliesIt,
		"aChangedPlanIsRefused":   aChangedPlanIsRefused,
		"aFunctionIsGivenAgain":   aFunctionIsGivenAgain,
	})
}

func saved(t *testing.T, p *PrunePlan) []byte {
	t.Helper()
	var file bytes.Buffer
	require.NoError(t, p.Save(&file))
	return file.Bytes()
}

func loadPlan(file []byte, source, target *servers.RedisServer, keep Selector) (*PrunePlan, error) {
	return LoadPrunePlan(bytes.NewReader(file), all(source), all(target), keep, besideTests)
}

func anotherProcessAppliesIt(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 1200)
	copied(t, source, target)
	bytesToo := Selector{Include: []string{"session:*", "log\x00\xff*"}, Exclude: []string{"session:1", "カート*"}}
	p, err := PlanPrune(t.Context(), all(source), all(target), bytesToo, besideTests)
	require.NoError(t, err)
	file := saved(t, p)
	loaded, err := loadPlan(file, source, target, Selector{})
	require.NoError(t, err)
	p.clients = foreignClients{} // are looked for anew
	require.Equal(t, p.String(), loaded.String())
	require.Equal(t, p.Confirmation(), loaded.Confirmation())
	require.Equal(t, p.witnesses, loaded.witnesses)
	_, err = loadPlan(file, source, target, bytesToo)
	require.NoError(t, err, "the same selector may be given again")

	// The endpoints are mixed up, or others; and dbs.
	for _, wrong := range [][2]*servers.RedisServer{{target, source}, {source, source}, {target, target}} {
		mixed, err := loadPlan(file, wrong[0], wrong[1], Selector{})
		require.NoError(t, err)
		r, err := mixed.Apply(t.Context(), mixed.Confirmation())
		require.ErrorIs(t, err, ErrRefused)
		require.ErrorContains(t, err, "another server process answers now")
		require.Zero(t, r.Deleted)
	}
	_, err = LoadPrunePlan(bytes.NewReader(file), all(source), &Endpoint{URL: target.URL}, Selector{}, besideTests)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "the plan is for all dbs of the target, but the endpoint names db 0")
	_, err = loadPlan(file, source, target, everything)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "the plan was made for the selector")
	_, err = LoadPrunePlan(bytes.NewReader(file), nil, all(target), Selector{}, besideTests)
	require.ErrorContains(t, err, "give the endpoints")

	r, err := loaded.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.Equal(t, p.Total().Delete, r.Deleted)
	require.Error(t, loaded.Save(new(bytes.Buffer)), "applied to its end")
	_, err = p.Apply(t.Context(), p.Confirmation())
	require.ErrorIs(t, err, ErrRefused, "the other process has removed the canaries")
	require.Error(t, new(PrunePlan).Save(new(bytes.Buffer)))
	verified(t, Move{From: all(source), To: all(target), Keys: bytesToo})
}

func aChangedPlanIsRefused(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 120)
	copied(t, source, target)
	unchanged(t, source)
	p, err := PlanPrune(t.Context(), all(source), all(target), sessions, besideTests)
	require.NoError(t, err)
	file := saved(t, p)
	require.NotContains(t, string(file), target.URL, "no address to connect to but the name that is shown")
	for n := 0; n < len(file)-1; n += 97 {
		_, err := loadPlan(file[:n], source, target, Selector{})
		require.ErrorContains(t, err, "cut short")
	}
	_, err = loadPlan([]byte(strings.Replace(string(file), "session:*", "session:[0-4]*", 1)), source, target, Selector{})
	require.ErrorContains(t, err, "changed after it was written")
	_, err = loadPlan([]byte(strings.Replace(string(file), `_plan":1`, `_plan":2`, 1)), source, target, Selector{})
	require.ErrorContains(t, err, "a newer version")

	// Somebody computes the sum anew: then the canaries do not fit; and where theirs is changed too, those on the server do not.
	edit := func(change func(b *savedBody)) []byte {
		var f savedPlan
		var b savedBody
		require.NoError(t, json.Unmarshal(file, &f))
		require.NoError(t, json.Unmarshal(f.Plan, &b))
		change(&b)
		plan, err := json.Marshal(b)
		require.NoError(t, err)
		f.Plan, f.Sum = plan, planSum(plan)
		out, err := json.Marshal(f)
		require.NoError(t, err)
		return out
	}
	for name, change := range map[string]func(b *savedBody){
		"selector":    func(b *savedBody) { b.Include = []string{`"session:1*"`} },
		"counts":      func(b *savedBody) { b.DBs[0].Delete++ },
		"target":      func(b *savedBody) { b.TargetRuns = b.SourceRuns },
		"source":      func(b *savedBody) { b.SourceRuns = b.TargetRuns },
		"no canaries": func(b *savedBody) { b.Canaries = nil },
		"canary key":  func(b *savedBody) { b.Canaries[0].Key = "session:1" },
		"command":     func(b *savedBody) { b.Command = "FLUSHALL" },
		"keep none":   func(b *savedBody) { b.DBs = []DBCount{{0, 0, 10}} },
	} {
		out := edit(change)
		_, err := loadPlan(out, source, target, Selector{})
		require.ErrorIs(t, err, ErrRefused, name)
	}
	out := edit(func(b *savedBody) {
		b.Include = []string{`"session:1*"`}
		forged := &PrunePlan{keep: &selection{text: Selector{ID: b.ID, Include: []string{"session:1*"}}.String()}, target: *all(target), addr: b.Target, targetRuns: b.TargetRuns, sourceRuns: b.SourceRuns, dbs: b.DBs}
		for i := range b.Canaries {
			b.Canaries[i].Value = strings.Replace(b.Canaries[i].Value, p.fingerprint(), forged.fingerprint(), 1)
		}
	})
	forged, err := loadPlan(out, source, target, Selector{})
	require.NoError(t, err)
	r, err := forged.Apply(t.Context(), forged.Confirmation())
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "does not hold what the plan wrote")
	require.Zero(t, r.Deleted)
	require.NoError(t, p.Discard(t.Context()))
}

func aFunctionIsGivenAgain(t *testing.T, source, target *servers.RedisServer) {
	fillMixed(t, source, 120)
	copied(t, source, target)
	keep := Selector{ID: "short", Match: func(key string) bool { return len(key) < 10 }}
	p, err := PlanPrune(t.Context(), all(source), all(target), keep, besideTests)
	require.NoError(t, err)
	file := saved(t, p)
	_, err = loadPlan(file, source, target, Selector{})
	require.ErrorContains(t, err, "give the selector")
	_, err = loadPlan(file, source, target, Selector{ID: "other", Match: keep.Match})
	require.ErrorIs(t, err, ErrRefused)
	again, err := loadPlan(file, source, target, keep)
	require.NoError(t, err)
	r, err := again.Apply(t.Context(), p.Confirmation())
	require.NoError(t, err)
	require.Equal(t, p.Total().Keep, r.Kept)
}
