package consistency

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunSaysAllThatIsWrongWithTheConfiguration(t *testing.T) {
	good, at := script("good", Retry{}, "")
	var nilSQL *SQL
	s, err := (&Runner{Parallel: -1, Notifiers: []Notifier{nil}, Checks: []Check{
		good, good, nil, nilSQL,
		SQL{Meta: Meta{Name: "half", Timeout: -time.Second, Mask: []string{""}, Retry: &Retry{Attempts: -2}}},
		&SQL{Meta: Meta{Name: "writes"}, DB: new(sql.DB), Query: "DELETE FROM t", Key: []string{"id", "ID", ""}, Population: "SELECT 1; SELECT 2", MaxRows: -1},
		CheckFunc{Meta: Meta{Name: " "}},
		CheckFunc{Meta: Meta{Name: "new\nline"}, Func: good.Func},
	}}).Run(t.Context())
	require.Empty(t, s.Results)
	require.Equal(t, Unknown, s.Outcome())
	require.Empty(t, *at, "no check was run")
	for _, want := range []string{
		"Parallel is -1", "Notifiers[0] is nil",
		"Checks[1] (\"good\"): Checks[0] has the same name",
		"Checks[2]: the check is nil",
		"Checks[3]: Describe panicked", "is the check a nil *consistency.SQL?",
		"Checks[4] (\"half\"): Meta.Timeout is -1s", "Checks[4] (\"half\"): Meta.Mask[0] is empty", "Checks[4] (\"half\"): Retry.Attempts is -2",
		"Checks[4] (\"half\"): SQL.DB is nil", "Checks[4] (\"half\"): SQL.Query is empty", "Checks[4] (\"half\"): SQL.Key is empty",
		"Checks[5] (\"writes\"): SQL.Query: the query was not sent: line 1 begins with DELETE", `SQL.Key names "ID" twice`, "SQL.Key[2] is empty",
		"SQL.Population: the query was not sent: line 1 begins a second statement", "SQL.MaxRows is -1",
		"Checks[6]: Meta.Name is empty", "CheckFunc.Func is nil",
		`Checks[7] ("new\nline")`, "control character",
	} {
		require.ErrorContains(t, err, want)
	}
	_, err = (&Runner{}).Run(t.Context())
	require.EqualError(t, err, "consistency: the Runner cannot start: Checks is empty: without a check nothing can be found")
}

// notify is a Notifier made of a function.
type notify func(context.Context, Event) error

func (n notify) Notify(ctx context.Context, e Event) (Receipt, error) { return "", n(ctx, e) }

func TestANotifierThatFailsPanicsOrHangsStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		defer close(end)
		var told []string
		var hung atomic.Int64
		runner := &Runner{Logger: quiet(), Parallel: 1, Notifiers: []Notifier{
			notify(func(context.Context, Event) error { return errors.New("no such channel") }),
			notify(func(context.Context, Event) error { panic("boom") }),
			notify(func(context.Context, Event) error { hung.Add(1); <-end; return nil }),
			notify(func(_ context.Context, e Event) error { told = append(told, e.Headline()); return nil }),
		}}
		for i := range 3 {
			c, _ := script(fmt.Sprint("c", i), Retry{}, "")
			runner.Checks = append(runner.Checks, c)
		}
		s, err := runner.Run(t.Context())
		require.Equal(t, 3, s.Count(Consistent))
		require.Len(t, told, 3)
		require.Equal(t, int64(1), hung.Load(), "a notifier that hangs is not called again")
		require.ErrorContains(t, err, "no such channel (3 events in all were not delivered by it)")
		require.ErrorContains(t, err, "it panicked: boom")
		require.ErrorContains(t, err, "did not return within 10s")
	})
}

func TestResultsAreToldEvenWhenTheRunIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var told []string
		check, _ := script("x", Retry{}, "a", "a", "a")
		start := time.Now()
		_, err := (&Runner{Logger: quiet(), Checks: []Check{check}, Notifiers: []Notifier{
			notify(func(ctx context.Context, e Event) error { told = append(told, e.Headline()); return ctx.Err() }),
			notify(func(ctx context.Context, _ Event) error { <-ctx.Done(); return ctx.Err() }),
		}}).Run(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, []string{"could not tell: x: context deadline exceeded: the run ended before the check did; until then 1 row looked wrong in 1 of 3 looks"}, told)
		require.Equal(t, 15*time.Second, time.Since(start), "ten more seconds for the notifiers, not more")
	})
}

func result(outcome Outcome, rows int) Result {
	r := Result{Check: Meta{Name: "orders-without-payment", Owner: "payments", Runbook: "https://wiki/7"}, Outcome: outcome, Total: int64(rows), Examined: -1, Attempts: 3}
	for i := range rows {
		r.Violations = append(r.Violations, Violation{Key: fmt.Sprint(i), Row: Row{{Name: "z", Value: i}, {Name: "a", Value: nil}}})
	}
	return r
}

func TestNotifiersPutTheCountFirst(t *testing.T) {
	var lines, log bytes.Buffer
	out := []Notifier{JSONNotifier{Writer: &lines}, SlogNotifier{Logger: slog.New(slog.NewJSONHandler(&log, nil))}}
	tell := func(r Result) (map[string]any, map[string]any, string) {
		lines.Reset()
		log.Reset()
		for _, n := range out {
			_, err := n.Notify(t.Context(), Event{Result: r})
			require.NoError(t, err)
		}
		var line, record map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		require.NoError(t, json.Unmarshal(log.Bytes(), &record))
		require.Equal(t, 1, strings.Count(lines.String(), "\n"))
		require.Equal(t, line["headline"], record["msg"])
		return line, record, lines.String()
	}

	line, record, text := tell(result(Inconsistent, 128))
	require.True(t, strings.HasPrefix(text, `{"headline":"128: orders-without-payment","event":"quiet","outcome":"inconsistent","total":128,`), text)
	require.Contains(t, text, `"left_out":108,"rows":[{"key":"0","row":{"z":0,"a":null}},`)
	require.Len(t, line["rows"], 20)
	require.Nil(t, line["examined"])
	require.Equal(t, "ERROR", record["level"])
	require.EqualValues(t, 108, record["left_out"])
	require.Equal(t, "payments", record["owner"])
	require.Equal(t, "https://wiki/7", record["runbook"])
	require.Equal(t, map[string]any{"key": "0", "row": map[string]any{"z": 0.0, "a": nil}}, record["rows"].([]any)[0], "JSON, not a quoted text")

	capped := result(Inconsistent, 3)
	capped.AtLeast, capped.Reason = true, "there may be more"
	line, record, _ = tell(capped)
	require.Equal(t, "3+: orders-without-payment", line["headline"])
	require.Equal(t, "there may be more", record["reason"])

	unknown := result(Unknown, 0)
	unknown.Reason = "query: no such table"
	_, record, text = tell(unknown)
	require.Equal(t, "ERROR", record["level"], "as loud as inconsistent")
	require.Contains(t, text, "could not tell: orders-without-payment: query: no such table")
	unknown.Check.Severity = SeverityMinor
	_, record, _ = tell(unknown)
	require.Equal(t, "WARN", record["level"])

	fine := result(Consistent, 0)
	fine.Examined, fine.Healed = 5000, Healed{Rows: 3, Longest: 12 * time.Second}
	line, record, _ = tell(fine)
	require.Equal(t, "INFO", record["level"], "silence is not health")
	require.Equal(t, "0: orders-without-payment", record["msg"])
	require.EqualValues(t, 5000, line["examined"])
	require.EqualValues(t, 3, record["healed"])
	require.Equal(t, "12s", record["healed_within"])

	huge := result(Inconsistent, 2)
	huge.Violations[1].Row[0].Value = strings.Repeat("x", DefaultReportBytes)
	line, _, _ = tell(huge)
	require.Len(t, line["rows"], 1)
	require.EqualValues(t, 1, line["left_out"], "a row too big to show is counted")

	_, err := JSONNotifier{}.Notify(t.Context(), Event{})
	require.ErrorContains(t, err, "JSONNotifier.Writer is nil")
}

func TestMaskedValuesReachNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines, log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, nil))
		row := Violation{Key: "secret@x.jp", Row: Row{{Name: "email", Value: "secret@x.jp"}}}
		meta := Meta{Mask: []string{"EMAIL"}}
		one, twice := meta, meta
		one.Name, twice.Name = "one", "twice"
		s, err := (&Runner{Logger: logger, Notifiers: []Notifier{SlogNotifier{Logger: logger}, JSONNotifier{Writer: &lines}}, Checks: []Check{
			CheckFunc{Meta: one, Func: func(context.Context) (Findings, error) { return Findings{Violations: []Violation{row}}, nil }},
			CheckFunc{Meta: twice, Func: func(context.Context) (Findings, error) { return Findings{Violations: []Violation{row, row}}, nil }},
		}}).Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, Inconsistent, s.Results[0].Outcome)
		require.Equal(t, Unknown, s.Results[1].Outcome)
		require.Contains(t, lines.String(), `{"key":"***","phase":"new","row":{"email":"***"}}`)
		require.NotContains(t, lines.String()+log.String()+fmt.Sprint(s), "secret")
	})
}
