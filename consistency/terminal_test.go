package consistency

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/columns"
)

func tableSummary() Summary {
	return Summary{Results: []Result{
		{Check: Meta{Name: "stock-negative"}, Outcome: Consistent, Duration: 1234 * time.Microsecond},
		{Check: Meta{Name: "入金のない注文", Severity: SeverityMinor}, Outcome: Inconsistent, Total: 1000, AtLeast: true, Duration: 61 * time.Second, Reason: "there may be more: the first look found 20000 rows"},
		{Check: Meta{Name: "ﾊﾝｶｸ"}, Outcome: Unknown, Reason: "query: Error 1146: Table 'x' doesn't exist;\nsecond line"},
		{Check: Meta{Name: "orders-without-payment", Severity: SeverityCritical}, Outcome: Inconsistent, Total: 3, Duration: 30 * time.Second},
		{Check: Meta{Name: "e\u0301te\u0301 🛒"}, Outcome: Inconsistent, Total: 4, Duration: time.Millisecond},
		{Check: Meta{Name: "hostile \x1b[31mred\u202e\xff"}, Outcome: Unknown},
	}}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, tableSummary().Table(&b))
	want := `OUTCOME       COUNT  TOOK  CHECK                   REASON
inconsistent      3   30s  orders-without-payment
inconsistent      4   1ms  été 🛒
inconsistent  1000+  1m1s  入金のない注文          there may be more: the first look found 20000 rows
unknown           ?    0s  ﾊﾝｶｸ                    query: Error 1146: Table 'x' doesn't exist; second line
unknown           ?    0s  hostile �[31mred��
consistent        0   1ms  stock-negative
3 inconsistent, 2 unknown, 1 consistent (6 checks)
`
	require.Equal(t, want, strings.ReplaceAll(b.String(), "e\u0301", "é"))
	for _, line := range strings.Split(b.String(), "\n")[1:4] {
		before, _, _ := strings.Cut(line, "there may")
		require.LessOrEqual(t, columns.Width(before), 52)
	}

	at := time.Date(2026, 11, 18, 10, 30, 0, 0, time.FixedZone("JST", 9*3600))
	b.Reset()
	require.NoError(t, tableSummary().Table(&b,
		State{Check: "入金のない注文", Since: at, History: []Point{{New: 99}, {New: 2, Reappeared: 1, Resolved: 7}}},
		State{Check: "stock-negative", Since: at.Add(-48 * time.Hour), History: []Point{{Resolved: 4}}},
		State{Check: "another run's"}))
	want = `OUTCOME       COUNT  CHANGE  SINCE              TOOK  CHECK                   REASON
inconsistent      3                              30s  orders-without-payment
inconsistent      4                              1ms  été 🛒
inconsistent  1000+  +3 −7   2026-11-18 01:30Z  1m1s  入金のない注文          there may be more: the first look found 20000 rows
unknown           ?                               0s  ﾊﾝｶｸ                    query: Error 1146: Table 'x' doesn't exist; second line
unknown           ?                               0s  hostile �[31mred��
consistent        0  −4      2026-11-16 01:30Z   1ms  stock-negative
3 inconsistent, 2 unknown, 1 consistent (6 checks)
`
	require.Equal(t, want, strings.ReplaceAll(b.String(), "e\u0301", "é"))

	b.Reset()
	require.NoError(t, Summary{}.Table(&b))
	require.Equal(t, "OUTCOME  COUNT  TOOK  CHECK  REASON\n0 inconsistent, 0 unknown, 0 consistent (0 checks)\n", b.String())
	require.EqualError(t, tableSummary().Table(brokenPipe{}), "broken pipe")
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
