package explainguard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnsweredByIndex(t *testing.T) {
	for condition, want := range map[string]bool{
		"(`d`.`t`.`a` = 1)":                              true,
		"((`d`.`t`.`a` = 1) and (`d`.`t`.`b` > 5))":      true,
		"(t.a = 1) and (t.b between 3 and 4)":            true,
		"(t.a in (1,2,3))":                               true,
		"(t.b >= TIMESTAMP'2024-01-01 00:00:00')":        true,
		"(t.a is null)":                                  true,
		"((`d`.`t`.`a` > 1) and (`d`.`t`.`b` > 5))":      false, // what is greater in a is not ordered by b
		"(t.a between 1 and 2) and (t.b = 4)":            false,
		"(t.a <> 1)":                                     false,
		"(t.c = 1)":                                      false,
		"(year(t.b) = 2024)":                             false,
		"(t.a like 'x%')":                                false,
		"(t.a = 1) and <if>(found_match(t), true, true)": false,
		"(`t`.`列` = '値')":                                false,
	} {
		require.Equal(t, want, answeredByIndex(condition, []string{"a", "b"}), condition)
	}
	require.True(t, answeredByIndex("(`d`.`顧客`.`部署` = 3)", []string{"部署"}))
	require.True(t, answeredByIndex("(`t`.`a``b` > 3)", []string{"a`b"}))
	require.False(t, answeredByIndex("(t.a = 1)", nil))
}
