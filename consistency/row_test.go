package consistency

import (
	"database/sql"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRowMarshalsInOrderWithoutLoss(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, `null`},
		{"", `""`},
		{true, `true`},
		{7, `7`},
		{int64(maxExactInt), `9007199254740991`},
		{int64(maxExactInt + 1), `"9007199254740992"`},
		{int64(math.MinInt64), `"-9223372036854775808"`},
		{uint64(math.MaxUint64), `"18446744073709551615"`},
		{uint64(1), `1`},
		{float32(0.1), `0.1`},
		{0.1, `0.1`},
		{1e300, `1e+300`},
		{math.NaN(), `"NaN"`},
		{"12.50", `"12.50"`},
		{"日本<b>&\n", `"日本<b>&\n"`},
		{"\xff\x00", `"0xff00"`},
		{[]byte{0xDE, 0xAD}, `"0xdead"`},
		{[]byte{}, `"0x"`},
		{json.RawMessage(`{"b": 1.10, "a": [1]}`), `{"b":1.10,"a":[1]}`},
		{json.RawMessage(`{torn`), `"{torn"`},
		{time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), `"2026-01-02T03:04:05.0000006Z"`},
		{sql.NullString{}, `null`},
		{sql.NullInt64{Int64: 5, Valid: true}, `5`},
		{func() {}, ``},
	} {
		out, err := Row{{Name: "z", Value: c.value}, {Name: "a", Value: 1}}.MarshalJSON()
		require.NoError(t, err)
		require.True(t, json.Valid(out), "%s", out)
		if c.want != "" {
			require.Equal(t, `{"z":`+c.want+`,"a":1}`, string(out))
		}
	}
	v, ok := Row{{Name: "a", Value: 1}}.Get("a")
	require.True(t, ok)
	require.Equal(t, 1, v)
	_, ok = Row{}.Get("a")
	require.False(t, ok)
}

func TestKey(t *testing.T) {
	for _, c := range []struct {
		values []any
		want   string
	}{
		{[]any{int64(42)}, "42"},
		{[]any{"注文-7"}, "注文-7"},
		{[]any{"a", 7}, "a,7"},
		{[]any{"a,7"}, `a\,7`},
		{[]any{`a\`, "b"}, `a\\,b`},
		{[]any{""}, `""`},
		{[]any{`""`}, `\"\"`},
		{[]any{[]byte{1, 0xff}}, "0x01ff"},
		{[]any{"0x01ff"}, `\0x01ff`},
		{[]any{"a\nb"}, `a\u000ab`},
		{[]any{uint64(math.MaxUint64)}, "18446744073709551615"},
		{[]any{sql.NullInt64{Int64: 3, Valid: true}}, "3"},
		{[]any{time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("JST", 9*3600))}, "2026-01-01T18:04:05Z"},
	} {
		got, err := Key(c.values...)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	for _, values := range [][]any{{}, {nil}, {1, nil}, {sql.NullString{}}, {[]int{1}}} {
		_, err := Key(values...)
		require.Error(t, err, "%v", values)
	}
	_, err := Key(1, nil)
	require.ErrorIs(t, err, errNullKey)
}

func FuzzKeyNeverCollides(f *testing.F) {
	f.Add("a,b", "c", "a", "b,c")
	f.Add(`a\`, ",b", `a\,`, "b")
	f.Add("", `""`, `""`, "")
	f.Add("0x61", "\x01", "a", `\u0001`)
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		for _, s := range []*string{&a, &b, &c, &d} { // SQL text is valid UTF-8; other bytes are binary
			*s = string([]rune(*s))
		}
		left, err := Key(a, b)
		require.NoError(t, err)
		right, err := Key(c, d)
		require.NoError(t, err)
		require.Equal(t, a == c && b == d, left == right, "%q %q and %q %q: %s", a, b, c, d, left)
		one, err := Key(a)
		require.NoError(t, err)
		require.NotEqual(t, one, left)
		require.Len(t, splitKey(left), 2)
	})
}

func TestMaskHidesValuesInRowsAndKeys(t *testing.T) {
	key := func(values ...any) string {
		k, err := Key(values...)
		require.NoError(t, err)
		return k
	}
	row := Row{{Name: "id", Value: int64(7)}, {Name: "Email", Value: "a,b@x.jp"}, {Name: "note", Value: nil}}
	for _, c := range []struct {
		name, key, want string
	}{
		{"not in the key", key(7), "7"},
		{"the key", key("a,b@x.jp"), "***"},
		{"a part of the key", key(7, "a,b@x.jp"), "7,***"},
		{"inside of a key of the caller's own make", "user:a,b@x.jp/7", "***"},
	} {
		got := maskViolations([]Violation{{Key: c.key, Row: row}}, []string{"email", "NOTE"})
		require.Equal(t, c.want, got[0].Key, c.name)
		out, err := json.Marshal(got[0].Row)
		require.NoError(t, err)
		require.JSONEq(t, `{"id":7,"Email":"***","note":"***"}`, string(out))
	}
	require.Equal(t, "a,b@x.jp", row[1].Value, "the original is untouched")
}

func TestRetryDefaultsAndWaits(t *testing.T) {
	r := Retry{}.withDefaults()
	require.Equal(t, Retry{Attempts: 3, Delay: 10 * time.Second, MaxDelay: time.Minute, Errors: 2, ErrorDelay: time.Second}, r)
	require.Equal(t, []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute},
		[]time.Duration{r.before(2), r.before(3), r.before(4), r.before(5), r.before(600)})
	require.Equal(t, []time.Duration{time.Second, 2 * time.Second, time.Minute}, []time.Duration{r.afterError(1), r.afterError(2), r.afterError(9)})
	long := Retry{Delay: time.Hour}.withDefaults()
	require.Equal(t, time.Hour, long.before(2), "a Delay beyond the default MaxDelay is kept")
	require.Equal(t, math.MaxInt64, int(Retry{Delay: math.MaxInt64}.withDefaults().before(9)), "no overflow")

	require.NoError(t, Retry{}.validate())
	err := Retry{Attempts: -1, Delay: -1, Errors: -3}.validate()
	require.ErrorContains(t, err, "Retry.Attempts is -1")
	require.ErrorContains(t, err, "Retry.Delay is -1ns")
	require.ErrorContains(t, err, "Retry.Errors is -3")
	require.ErrorContains(t, Retry{Delay: time.Hour, MaxDelay: time.Second}.validate(), "shorter than Retry.Delay (1h0m0s)")
}
