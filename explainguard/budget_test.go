package explainguard_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

func TestBudgetSetKnowsEveryFigure(t *testing.T) {
	fields := reflect.TypeFor[explainguard.Budget]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		for _, spelled := range []string{name, strings.ToLower(name)} {
			var b explainguard.Budget
			require.NoError(t, b.Set(spelled, 0.5))
			v := reflect.ValueOf(&b).Elem()
			require.InDelta(t, 0.5, v.Field(i).Float(), 0)
			v.Field(i).SetFloat(0)
			require.Zero(t, b, "nothing else is set by %s", name)
		}
		require.ErrorContains(t, (&explainguard.Budget{}).Set("Rows", 1), name, "the known names are listed")
	}
}

func TestBudgetSetRefusesWhatMakesNoSense(t *testing.T) {
	b := explainguard.Budget{RowsExamined: -7, IndexKept: 0.3} // what is wrong elsewhere is not this call's matter
	for _, c := range []struct {
		name string
		v    float64
		says string
	}{
		{"SortRows", -1, "the budget for SortRows is -1"},
		{"SortRows", math.NaN(), "SortRows is not a number"},
		{"IndexKept", 1.5, "a share of at most 1"},
		{"", 5, `no figure ""`},
	} {
		require.ErrorContains(t, b.Set(c.name, c.v), c.says)
		require.Equal(t, explainguard.Budget{RowsExamined: -7, IndexKept: 0.3}, b)
	}
	require.NoError(t, b.Set("SortRows", explainguard.Unlimited))
	require.NoError(t, b.Set("IndexKept", 0), "the default")
	require.Zero(t, b.IndexKept)
}
