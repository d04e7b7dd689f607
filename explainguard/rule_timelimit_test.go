package explainguard_test

import (
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
)

const hint = "/*+ MAX_EXECUTION_TIME(700) */"

// TestMaxExecutionTime: which limits the server heeds, in both formats. orders has 6,000 rows.
func TestMaxExecutionTime(t *testing.T) {
	db := shop.open(t, nil)
	limited := shop.open(t, func(c *mysql.Config) { c.Params = map[string]string{"max_execution_time": "5000"} })
	const none, ineffective = "and nothing limits how long it may run", "hint has no effect: "
	for name, c := range map[string]struct {
		query   string
		says    string        // by a session without a limit
		session string        // the same by a session of 5 s
		limit   time.Duration // by a session without one
	}{
		"none":                                 {"SELECT SUM(total) FROM orders", none, "", 0},
		"hint":                                 {"SELECT " + hint + " SUM(total) FROM orders", "", "", 700 * time.Millisecond},
		"hint in small type":                   {"select /*+ max_execution_time( 700 ) */ sum(total) from orders", "", "", 700 * time.Millisecond},
		"among other hints":                    {"SELECT /*+ BKA(orders) MAX_EXECUTION_TIME(700) NO_ICP(orders) */ SUM(total) FROM orders", "", "", 700 * time.Millisecond},
		"two hints, of which the first counts": {"SELECT /*+ MAX_EXECUTION_TIME(700) MAX_EXECUTION_TIME(900) */ SUM(total) FROM orders", "", "", 700 * time.Millisecond},
		"SET_VAR":                              {"SELECT /*+ SET_VAR(max_execution_time = 700) */ SUM(total) FROM orders", "", "", 700 * time.Millisecond},
		"SET_VAR in a subquery":                {"SELECT SUM(d.v) FROM (SELECT /*+ SET_VAR(max_execution_time=700) */ total, SUM(total) v FROM orders GROUP BY total) d", "", "", 700 * time.Millisecond},
		"SET_VAR of 0":                         {"SELECT /*+ SET_VAR(max_execution_time=0) */ SUM(total) FROM orders", none, none, 0},
		"SET_VAR of 0 and hint":                {"SELECT /*+ SET_VAR(max_execution_time=0) MAX_EXECUTION_TIME(700) */ SUM(total) FROM orders", "", "", 700 * time.Millisecond},
		"hint of 0":                            {"SELECT /*+ MAX_EXECUTION_TIME(0) */ SUM(total) FROM orders", none, "", 0},
		"WITH":                                 {"WITH x AS (SELECT 1 AS one) SELECT " + hint + " SUM(total) FROM orders, x", "", "", 700 * time.Millisecond},
		"union":                                {"SELECT " + hint + " total FROM orders UNION SELECT qty FROM items", "", "", 700 * time.Millisecond},
		"union in parentheses":                 {"(SELECT " + hint + " total FROM orders) UNION (SELECT qty FROM items)", "", "", 700 * time.Millisecond},
		"FOR UPDATE":                           {"SELECT " + hint + " total FROM orders FOR UPDATE", "", "", 700 * time.Millisecond},
		"FOR UPDATE without":                   {"SELECT total FROM orders FOR UPDATE", none, "", 0},
		"TABLE":                                {"TABLE orders", none, "", 0},
		"small":                                {"SELECT total FROM orders WHERE customer_id = 7", "", "", 0},
		"small, misplaced":                     {"SELECT d.n FROM (SELECT " + hint + " total, COUNT(*) n FROM orders WHERE customer_id = 7 GROUP BY total) d", "stands inside a subquery", "5s holds instead", 0},
		"in a CTE":                             {"WITH x AS (SELECT " + hint + " total, COUNT(*) n FROM orders GROUP BY total) SELECT n FROM x", "stands inside a subquery", "5s holds instead", 0},
		"in a later arm":                       {"SELECT qty FROM items UNION SELECT " + hint + " total FROM orders", "a later arm of a union; nothing limits", "5s holds instead", 0},
		"in a subquery":                        {"SELECT id FROM orders WHERE total > (SELECT " + hint + " AVG(qty) FROM items)", "stands inside a subquery", "5s holds instead", 0},
		"after the select list":                {"SELECT SUM(total) " + hint + " FROM orders", "the server reads it as a comment", "5s holds instead", 0},
		"before SELECT":                        {hint + " SELECT SUM(total) FROM orders", "the server reads it as a comment", "5s holds instead", 0},
		"not a number":                         {"SELECT /*+ MAX_EXECUTION_TIME(1s) */ SUM(total) FROM orders", "could not read it (Optimizer hint syntax error near '1s)", "5s holds instead", 0},
		"too large a number":                   {"SELECT /*+ MAX_EXECUTION_TIME(99999999999) */ SUM(total) FROM orders", "could not read it (Unsupported MAX_EXECUTION_TIME", "5s holds instead", 0},
		"SET_VAR of a text":                    {"SELECT /*+ SET_VAR(max_execution_time='700') */ SUM(total) FROM orders", "or as a value that it does not take", "5s holds instead", 0},
		"in a plain comment":                   {"SELECT /* MAX_EXECUTION_TIME(700) */ SUM(total) FROM orders", none, "", 0},
		"in a comment to the end of the line":  {"SELECT -- " + hint + "\n SUM(total) # " + hint + "\n FROM orders", none, "", 0},
		"in a string":                          {"SELECT SUM(total), '" + hint + "' FROM orders WHERE status <> '" + hint + "' OR status <> \"" + hint + "\"", none, "", 0},
		"in a name":                            {"SELECT SUM(total) AS `" + hint + "` FROM orders", none, "", 0},
		"in a string and for real, misplaced":  {"SELECT '" + hint + "', d.n FROM (SELECT " + hint + " total, COUNT(*) n FROM orders GROUP BY total) d", ineffective, "5s holds instead", 0},
		"UPDATE":                               {"UPDATE orders SET total = total WHERE total > 0", "", "", 0},
		"UPDATE with hint":                     {"UPDATE " + hint + " orders SET total = 1 WHERE customer_id = 7", "limits SELECT alone, and this statement writes; nothing limits", "nothing limits", 0},
		"DELETE with hint":                     {"DELETE " + hint + " FROM orders WHERE customer_id = 7", "this statement writes", "nothing limits", 0},
		"INSERT … SELECT":                      {"INSERT INTO notes (body) SELECT status FROM orders", "", "", 0},
		"INSERT … SELECT with hint":            {"INSERT INTO notes (body) SELECT " + hint + " status FROM orders", "this statement writes", "nothing limits", 0},
		"INSERT with SET_VAR: no effect":       {"INSERT /*+ SET_VAR(max_execution_time=700) */ INTO notes (body) SELECT status FROM orders", "this statement writes", "nothing limits", 0},
		"UPDATE whose subquery has it":         {"UPDATE orders o JOIN customers c ON c.id = o.customer_id SET o.total = 1 WHERE c.id IN (SELECT " + hint + " order_id FROM items)", "this statement writes", "nothing limits", 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
				g := &explainguard.Guard{DB: db, Format: format, Rules: []*explainguard.Rule{explainguard.MaxExecutionTime}}
				g.Budget.UntimedRows = 5000
				for _, says := range []string{c.says, c.session} {
					r, err := g.Check(t.Context(), c.query)
					require.NoError(t, err)
					limit := explainguard.TimeLimit{}
					switch {
					case c.limit > 0:
						limit = explainguard.TimeLimit{Limit: c.limit, Source: explainguard.LimitByHint}
					case g.DB == limited && c.session != none && says != "nothing limits" && name != "UPDATE" && name != "INSERT … SELECT":
						limit = explainguard.TimeLimit{Limit: 5 * time.Second, Source: explainguard.LimitBySession}
					}
					require.Equal(t, limit, *r.Plan.TimeLimit, r.Plan.Rewritten)
					if says == "" {
						require.Empty(t, r.Findings, "%s\n%s", r, r.Plan.Rewritten)
					} else {
						require.Equal(t, explainguard.Fail, r.Verdict, "%s\n%s", r, r.Plan.Rewritten)
						require.Len(t, r.Findings, 1)
						require.Contains(t, r.Findings[0].What, says)
					}
					g.DB = limited
				}
			}
		})
	}
}

// The limit that Explain itself sets for its planning is not the statement's, and the session is left as it was.
func TestMaxExecutionTimeIsTheSessions(t *testing.T) {
	db := shop.open(t, func(c *mysql.Config) { c.Params = map[string]string{"max_execution_time": "60000"} })
	p := explain(t, explainguard.Explainer{DB: db}, "SELECT SUM(total) FROM orders")
	require.Equal(t, &explainguard.TimeLimit{Limit: time.Minute, Source: explainguard.LimitBySession}, p.TimeLimit)
	var ms int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT @@max_execution_time").Scan(&ms))
	require.Equal(t, 60000, ms)
}

// What the server does, so that the rule's word for it stays true: it ends a SELECT … FOR UPDATE too, and no write.
func TestTheServerHeedsTheHintWhereTheRuleSaysSo(t *testing.T) {
	s := ownShop(t)
	for query, ended := range map[string]bool{
		"SELECT /*+ MAX_EXECUTION_TIME(50) */ SLEEP(0.5) FROM notes WHERE id = 1 FOR UPDATE": true,
		"UPDATE /*+ MAX_EXECUTION_TIME(50) */ notes SET body = SLEEP(0.5) WHERE id = 1":      false,
	} {
		start := time.Now()
		_, err := s.ExecContext(t.Context(), query)
		require.NoError(t, err) // SLEEP answers 1 when it is interrupted
		require.Equal(t, ended, time.Since(start) < 400*time.Millisecond, query)
	}
}

func TestMaxExecutionTimeThreshold(t *testing.T) {
	db := shop.open(t, nil)
	g := &explainguard.Guard{DB: db, Rules: []*explainguard.Rule{explainguard.MaxExecutionTime}}
	check := func(query string) *explainguard.Report {
		r, err := g.Check(t.Context(), query)
		require.NoError(t, err)
		return r
	}
	require.True(t, check("SELECT SUM(total) FROM orders").Passed(), "6,000 rows are under the default")
	g.Budget.UntimedRows = explainguard.Unlimited
	require.True(t, check("SELECT SUM(a.total) FROM orders a JOIN orders b ON b.total = a.total").Passed())
	require.Contains(t, check("SELECT SUM(total) " + hint + " FROM orders").Findings[0].What, "has no effect", "whatever the size")
	g.Budget.UntimedRows = 0
	r := check("SELECT SUM(i.qty) FROM customers a STRAIGHT_JOIN customers b ON b.tenant_id = a.tenant_id STRAIGHT_JOIN items i ON i.order_id = b.id")
	require.Equal(t, explainguard.Fail, r.Verdict, r)
	require.Greater(t, r.Findings[0].Figure, r.Findings[0].Limit)
	require.Equal(t, 100_000.0, r.Findings[0].Limit)
}

// A hint does not travel: where the package's other statement has one, much less is enough.
func TestMaxExecutionTimeOfASibling(t *testing.T) {
	db := shop.open(t, nil)
	rules := []*explainguard.Rule{explainguard.MaxExecutionTime}
	judge := func(query string, budget explainguard.Budget) *explainguard.Report {
		p := explain(t, explainguard.Explainer{DB: db}, query)
		return explainguard.JudgeWithSibling(p, budget, rules, "orders/ids.go:12")
	}
	r := judge("SELECT SUM(total) FROM orders", explainguard.Budget{})
	require.Equal(t, explainguard.Fail, r.Verdict)
	require.Contains(t, r.Findings[0].What, "; a statement of the same package, at orders/ids.go:12, has a limit, and a hint does not travel")
	require.Equal(t, 1000.0, r.Findings[0].Limit)
	require.True(t, judge("SELECT total FROM orders WHERE customer_id IN (1, 2, 3)", explainguard.Budget{}).Passed(), "9 rows")
	require.True(t, judge("SELECT "+hint+" SUM(total) FROM orders", explainguard.Budget{}).Passed())
	require.True(t, judge("UPDATE orders SET total = total", explainguard.Budget{}).Passed())
	require.True(t, judge("SELECT SUM(total) FROM orders", explainguard.Budget{UntimedRows: explainguard.Unlimited}).Passed())
}

// A plan that was parsed from bytes does not tell the session's limit.
func TestMaxExecutionTimeOfAPlanAlone(t *testing.T) {
	g := &explainguard.Guard{Rules: []*explainguard.Rule{explainguard.MaxExecutionTime}}
	p, err := explainguard.Parse(plans(t)["bad.v2"])
	require.NoError(t, err)
	require.Nil(t, p.TimeLimit)
	r := g.Judge(p)
	require.Equal(t, explainguard.Unanalysable, r.Verdict)
	require.Contains(t, r.Reasons[0].What, "a plan alone does not tell the session's limit")

	p.Rewritten = "/* select#1 */ select /*+ MAX_EXECUTION_TIME(700) */ 1"
	require.True(t, g.Judge(p).Passed())
	p.Rewritten = "/* select#1 */ select '/*+ MAX_EXECUTION_TIME(700) */'"
	require.False(t, g.Judge(p).Passed())
	p.TimeLimit = &explainguard.TimeLimit{}
	require.Equal(t, explainguard.Fail, g.Judge(p).Verdict)
}

// MariaDB has a limit of its own, in seconds and for every statement, and does not know the hint.
func TestMaxExecutionTimeOnMariaDB(t *testing.T) {
	for variables, want := range map[[2]string]time.Duration{
		{"0.000000", ""}: 0, {"1.500000", ""}: 1500 * time.Millisecond, {"", "700"}: 700 * time.Millisecond, {"", "0"}: 0, {"", ""}: 0,
	} {
		for _, readOnly := range []bool{true, false} {
			got := explainguard.SessionLimit(map[string]string{"max_statement_time": variables[0], "max_execution_time": variables[1]}, readOnly)
			if variables[1] != "" && !readOnly {
				want = 0
			}
			require.Equal(t, want, got.Limit, variables)
			require.Equal(t, want > 0, got.Source == explainguard.LimitBySession)
		}
	}
	p, err := explainguard.Parse(plans(t)["single.v2"])
	require.NoError(t, err)
	p.ServerVersion, p.Query, p.TimeLimit = "11.8.2-MariaDB", "SELECT "+hint+" 1 FROM t", &explainguard.TimeLimit{}
	r := (&explainguard.Guard{Rules: []*explainguard.Rule{explainguard.MaxExecutionTime}}).Judge(p)
	require.Equal(t, explainguard.Fail, r.Verdict)
	require.Contains(t, r.Findings[0].What, "MariaDB does not know it")
	require.Contains(t, r.Findings[0].WayOut, "max_statement_time")
}
