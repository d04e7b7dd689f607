package explainguard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsEquality(t *testing.T) {
	for text, want := range map[string]bool{
		"id = 5": true, "tenant_id = 1 AND id = 5": true, "列 a = 1": true, "lower(`u`) = 'x'": true, "c = 'a < b AND d'": true, `c = 'it\'s <'`: true,
		"c = '\\\\' AND d = 1": true, "d = NULL": true, "f = -0.5": true, "id = 0x3c3c": true, "t = unprintable_blob_value": true,
		"5 < id": false, "1 <= id <= 5": false, "tenant_id = 1 AND 5 < id": false, "id < 5": false, "'x' <= c <= 'x???'": false, "NULL < id": false,
		"tenant_id = 1 AND id": false, "": false, "id": false, "c = 'x": false, "3 MEMBER OF (json_extract(j,_latin1'$.x'))": false, "c = 'a' AND 'b' < d": false,
		"a = 1 AND 'x AND b = 2": false,
	} {
		require.Equal(t, want, isEquality(text), text)
	}
}

func TestTraceNamesTheAlias(t *testing.T) {
	require.Equal(t, "c", traceAlias("`customers` `c`"))
	require.Equal(t, "x`y", traceAlias("`x``y`"))
	require.Equal(t, "予約 表", traceAlias("`db`.`t` `予約 表`"))
}
