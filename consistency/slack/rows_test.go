package slack_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/consistency"
	"github.com/tashikame-go/tashikame/internal/fakeslack"
)

// inFence returns the rows in a message's code block, as a reader of Slack sees them.
func inFence(t *testing.T, text string) []map[string]any {
	t.Helper()
	_, block, ok := strings.Cut(text, "```\n")
	require.True(t, ok, text)
	block, after, ok := strings.Cut(block, "```")
	require.True(t, ok, text)
	require.NotContains(t, after, "{", "the block ends where it should")
	var rows []map[string]any
	for l := range strings.Lines(strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(block)) {
		var row map[string]any
		require.NoError(t, json.Unmarshal([]byte(l), &row), l)
		rows = append(rows, row)
	}
	return rows
}

func (r *room) files() (files []*fakeslack.File) {
	for _, m := range r.fake.Messages(channel) {
		files = append(files, m.Files...)
	}
	return files
}

func fileRows(t *testing.T, f *fakeslack.File) (rows []map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(f.Content, &rows))
	return rows
}

func TestNumberOfRows(t *testing.T) {
	for n, want := range map[int]struct{ messages, files int }{0: {1, 0}, 1: {2, 0}, 20: {2, 0}, 1000: {3, 1}} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inRoom(t, func(t *testing.T, r *room) {
				r.tell(opened(n))
				require.Len(t, r.fake.Messages(channel), want.messages)
				require.Len(t, r.files(), want.files)
				if n == 0 {
					return
				}
				shown := inFence(t, r.thread()[0].Text)
				require.Equal(t, "1", shown[0]["key"])
				if n < 1000 {
					require.Len(t, shown, n)
					return
				}
				require.Greater(t, len(shown), 20)
				require.Contains(t, r.thread()[0].Text, fmt.Sprintf("and %d rows more like these.", n-len(shown)))
				require.Len(t, fileRows(t, r.files()[0]), n)
				require.Equal(t, "1000 rows of orders-without-payment", r.files()[0].Title)
				require.Equal(t, r.top().TS, r.thread()[1].ThreadTS, "the file is in the thread")
			})
		})
	}
}

// In an open incident only what is new is shown; the rest is counted.
func TestOnlyWhatIsNewIsShown(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		receipt := r.tell(opened(900))
		e := bad(consistency.EventWorse, consistency.RowContinuing, 903)
		e.Rows[10].Phase, e.Rows[500].Phase, e.Rows[902].Phase = consistency.RowNew, consistency.RowReappeared, consistency.RowNew
		e.New, e.Reappeared, e.Total = 2, 1, 2000
		e.AtLeast = true
		r.tell(follow(e, receipt))
		text := r.thread()[2].Text
		require.Regexp(t, `^🔴 \*2000\+ \(\+3, 1 reappeared, oldest 2d\): `, text)
		var keys []any
		for _, row := range inFence(t, text) {
			keys = append(keys, row["key"])
		}
		require.Equal(t, []any{"501", "11", "903"}, keys, "the reappeared one first")
		require.Contains(t, text, "1 row reappeared: a repair did not hold.")
		require.Contains(t, text, "and 900 rows that you were told of before.")
		require.Contains(t, text, "1097 rows are beyond the check's limit")
	})
}

// What comes out of the data, or an error, mentions nobody, links nothing and stays inside its code block.
func TestHostileData(t *testing.T) {
	const evil = "<!channel> <@U012AB3CD> <https://evil.example|ok> & ``` *b* @here \u2028 \x00\n```\n<!here>"
	inRoom(t, func(t *testing.T, r *room) {
		e := opened(1)
		e.Check.Name, e.Check.Owner, e.Check.Runbook, e.Reason = "check <!channel>", evil, evil, evil
		e.AtLeast = true
		e.ColumnsAdded = []string{evil}
		e.Incident.AckedBy, e.Incident.AckedUntil = evil, time.Now().Add(time.Hour)
		e.Rows[0].Key, e.Rows[0].MutedBy = evil, evil
		e.Rows[0].Row = consistency.Row{
			{Name: evil, Value: evil}, {Name: "json", Value: json.RawMessage(`{"a":"` + "``````" + `<!channel>"}`)}, {Name: "bytes", Value: []byte(evil)},
		}
		receipt := r.tell(e)
		could := unknown(consistency.EventUnknown)
		could.Incident, could.Reason = e.Incident, evil
		r.tell(follow(could, receipt))
		require.NoError(t, r.Digest(t.Context(), consistency.Digest{At: time.Now(), Checks: []consistency.Standing{{Check: consistency.Meta{Name: evil, Owner: evil}, Reason: evil, AckedBy: evil}}}))
		dates := 0
		for _, m := range r.fake.Messages(channel) {
			for _, mention := range fakeslack.Mentions(m.Text) {
				require.Regexp(t, `^<!date\^\d+$|^<!date`, mention)
				dates++
			}
			require.NotContains(t, m.Text, "<http")
			require.NotContains(t, m.Text, "<@")
			require.NotContains(t, m.Text, "\x00")
		}
		row := inFence(t, r.fake.Messages(channel)[1].Text)[0]
		require.Equal(t, evil, row["key"])
		require.Equal(t, evil, row["row"].(map[string]any)[evil], "nothing is lost")
		require.Equal(t, "``````<!channel>", row["row"].(map[string]any)["json"].(map[string]any)["a"])
	})
}

func TestJapaneseAndLongNames(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		e := opened(30)
		e.Check.Name, e.Check.Owner = "入金のない注文", strings.Repeat("決済", 500)
		for i := range e.Rows {
			e.Rows[i].Row = consistency.Row{{Name: "お名前", Value: strings.Repeat("髙𠮷<", 40)}}
		}
		r.tell(e)
		require.Regexp(t, `^🔴 \*30 \(\+30\): 入金のない注文\*`, r.top().Text)
		require.Regexp(t, "owner (決済)+決?…", r.top().Text)
		require.NotContains(t, r.top().Text, "\ufffd")
		require.Len(t, fileRows(t, r.files()[0]), 30)

		e = opened(1)
		e.Check.Name = strings.Repeat("長い名前の検査&", 400)
		receipt := r.tell(e)
		require.Len(t, r.fake.Top(channel), 2)
		_ = receipt
		e.Kind = consistency.EventReminder // the receipt is lost
		r.tell(e)
		require.Len(t, r.fake.Top(channel), 2, "found again by its name")
		e.Check.Name += "2"
		e.Kind = consistency.EventOpened
		r.tell(e)
		require.Len(t, r.fake.Top(channel), 3, "another check, although it begins like the other")
	})
}

// A huge value is shortened before it is written: memory does not follow it.
func TestHugeValues(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		e := opened(3)
		huge := "x" + strings.Repeat("値", 200<<20/3) // so that no limit falls between two characters
		e.Rows[0].Row = consistency.Row{{Name: "body", Value: huge}, {Name: "id", Value: 1}}
		e.Rows[1].Row = consistency.Row{{Name: "body", Value: []byte(huge[:50<<20])}}
		e.Rows[2].Row = consistency.Row{{Name: "body", Value: json.RawMessage(`"` + huge[:50<<20] + `"`)}}
		e.Reason = huge
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r.tell(e)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(40<<20), "all that was allocated, ever")
		t.Logf("%d MB allocated for 300 MB of values", (after.TotalAlloc-before.TotalAlloc)>>20)

		rows := inFence(t, r.thread()[0].Text)
		require.Len(t, rows, 3)
		require.Regexp(t, `^x(値)+… \(209715199 bytes\)$`, rows[0]["row"].(map[string]any)["body"])
		require.Regexp(t, `^0x78(e580a4)+.*… \(52428800 bytes\)$`, rows[1]["row"].(map[string]any)["body"])
		require.InDelta(t, 1, rows[0]["row"].(map[string]any)["id"], 0)
		require.Less(t, len(r.files()[0].Content), 1<<20)
		require.Len(t, fileRows(t, r.files()[0]), 3)
	})
}

// Rows past the size of the file are left out whole, and counted.
func TestFileIsBounded(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		e := opened(200)
		for i := range e.Rows {
			e.Rows[i].Row = consistency.Row{{Name: "body", Value: strings.Repeat("x", 60<<10)}}
		}
		r.tell(e)
		f := r.files()[0]
		require.LessOrEqual(t, len(f.Content), 4<<20)
		held := len(fileRows(t, f))
		require.Greater(t, held, 60)
		require.Equal(t, fmt.Sprintf("%d of 200 rows of orders-without-payment (the others are too large)", held), f.Title)
	})
}

func TestManyColumns(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		e := opened(2)
		e.Rows[0].Row = nil
		for i := range 40 {
			e.Rows[0].Row = append(e.Rows[0].Row, consistency.Field{Name: fmt.Sprintf("column%d", i), Value: strings.Repeat("y", 500)})
		}
		for i := range 2000 { // too many for any message
			e.Rows[1].Row = append(e.Rows[1].Row, consistency.Field{Name: fmt.Sprintf("column%d", i), Value: i})
		}
		r.tell(e)
		require.Len(t, inFence(t, r.thread()[0].Text), 1)
		require.Len(t, fileRows(t, r.files()[0]), 2)
	})
}

// Rows of a Runner without a memory.
func TestViolationsWithoutRows(t *testing.T) {
	inRoom(t, func(t *testing.T, r *room) {
		e := opened(2)
		for _, row := range e.Rows {
			e.Violations = append(e.Violations, row.Violation)
		}
		e.Rows, e.New = nil, 0
		r.tell(e)
		require.Len(t, inFence(t, r.thread()[0].Text), 2)
	})
}
