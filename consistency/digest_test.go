package consistency

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// small makes ranges, leaves and chunks so small that a table of some hundred rows is divided several times.
func small(plan *digestPlan) {
	plan.rangeRows, plan.leafRows, plan.chunkRows, plan.bucketRows = 40, 5, 60, 4
}

// runDigest compares by digests, which must be possible, with sizes as change makes them.
func runDigest(t *testing.T, r Reconcile, change func(*digestPlan)) (Findings, error) {
	t.Helper()
	require.NoError(t, r.Validate())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	plan, err := r.planDigest(ctx)
	require.NoError(t, err)
	require.NotNil(t, plan, "these tables have no digest")
	if change != nil {
		change(plan)
	}
	found := newDifferences(r)
	done, err := plan.compare(ctx, found)
	if err != nil {
		return Findings{}, err
	}
	require.True(t, done, "it fell back to merging")
	return found.findings()
}

func TestDigestsSayWhatTheRulesSay(t *testing.T) {
	left, right := servers.MySQL(t), servers.MariaDB(t)
	write := func(c *mysql.Config) {
		c.Params = map[string]string{"sql_mode": "'ALLOW_INVALID_DATES'", "time_zone": "'+00:00'"}
	}
	writeLeft, writeRight := open(t, left, write), open(t, right, write)
	// The session must not depend on the DSN.
	odd := func(c *mysql.Config) {
		c.ParseTime, c.Loc = true, mustLoad("Asia/Tokyo")
		c.Params = map[string]string{"time_zone": "'-05:00'", "sql_mode": "'STRICT_TRANS_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ANSI_QUOTES,PIPES_AS_CONCAT'", "character_set_results": "latin1"}
	}
	l, r := open(t, left, odd), open(t, right, odd)
	digests := 0
	for i, c := range kindCases() {
		exec(t, writeLeft, fmt.Sprintf("CREATE TABLE d%d (id INT PRIMARY KEY, v %s)", i, c.left))
		exec(t, writeRight, fmt.Sprintf("CREATE TABLE d%d (id INT PRIMARY KEY, v %s)", i, c.right))
		for j, row := range c.rows {
			exec(t, writeLeft, fmt.Sprintf("INSERT INTO d%d VALUES (%d, %s)", i, j, row.left))
			exec(t, writeRight, fmt.Sprintf("INSERT INTO d%d VALUES (%d, %s)", i, j, row.right))
		}
		t.Run(c.name, func(t *testing.T) {
			rule := c.rule
			rule.Name = "v"
			for j, row := range c.rows {
				// Each row alone, so that its digest decides.
				table := Table{Name: fmt.Sprintf("d%d", i), Where: "id = ?", Args: []any{j}}
				check := Reconcile{Meta: Meta{Name: "kinds"}, Key: []Column{{Name: "id"}}, Compare: []Column{rule}}
				check.Left, check.Right = table.on(l), table.on(r)
				for _, mode := range []DigestMode{DigestFast, DigestStrong} {
					check.Digest = mode
					plan, err := check.planDigest(deadline(t))
					require.NoError(t, err)
					if plan == nil {
						break
					}
					digests++
					found := newDifferences(check)
					_, err = plan.compare(deadline(t), found)
					require.NoError(t, err, "%s: %s | %s", mode, row.left, row.right)
					require.Equal(t, row.want == differs, found.counts.total() == 1, "%s: %s | %s", mode, row.left, row.right)
				}
			}
			table := Table{Name: fmt.Sprintf("d%d", i)}
			check := Reconcile{Meta: Meta{Name: "kinds"}, Left: table.on(l), Right: table.on(r), Key: []Column{{Name: "id"}}, Compare: []Column{rule}, Digest: DigestOff}
			f, err := check.Run(t.Context())
			require.NoError(t, err)
			for j, row := range c.rows {
				_, wrong := summary(f)[fmt.Sprint(j)]
				require.Equal(t, row.want == differs, wrong, "%s | %s", row.left, row.right)
			}
		})
	}
	require.Greater(t, digests, 150)
}

func (t Table) on(db *sql.DB) Table {
	t.DB = db
	return t
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// keyed is a pair of tables with many rows and some faults: 3 is missing on the right, 777 on the left, 50 differs, two rows have swapped values.
func keyed(t *testing.T, left, right *sql.DB, keyLeft, keyRight string, key func(i int) string, rows int) {
	exec(t, left, "CREATE TABLE k (k "+keyLeft+" PRIMARY KEY, v VARCHAR(50), n INT NOT NULL)")
	exec(t, right, "CREATE TABLE k (n INT NOT NULL, v VARCHAR(50) COLLATE utf8mb4_general_ci, k "+keyRight+" PRIMARY KEY)")
	var l, r []string
	for i := range rows {
		row := func(v string, n int) string { return fmt.Sprintf("(%s, '%s', %d)", key(i), v, n) }
		if i != 77 {
			l = append(l, row(fmt.Sprint("v", i), i))
		}
		v, n := fmt.Sprint("v", i), i
		switch i {
		case 3:
			continue
		case 50:
			v = "V50"
		case 60: // 60 and 61 have swapped their values, which are of the same length
			n = 61
		case 61:
			n = 60
		}
		r = append(r, row(v, n))
	}
	exec(t, left, "INSERT INTO k (k, v, n) VALUES "+strings.Join(l, ", "))
	exec(t, right, "INSERT INTO k (k, v, n) VALUES "+strings.Join(r, ", "))
}

func keyedCheck(left, right *sql.DB, mode DigestMode) Reconcile {
	return Reconcile{Meta: Meta{Name: "k", Retry: fast, Timeout: time.Minute}, Left: Table{DB: left, Name: "k"}, Right: Table{DB: right, Name: "k"},
		Key: []Column{{Name: "k"}}, Compare: []Column{{Name: "v"}, {Name: "n"}}, Digest: mode}
}

func summary(f Findings) map[string]string {
	out := map[string]string{}
	for _, v := range f.Violations {
		d, _ := v.Row.Get("difference")
		out[v.Key] = d.(string)
	}
	return out
}

func TestDigestsFindWhatAMergeFinds(t *testing.T) {
	for name, c := range map[string]struct {
		left, right string
		key         func(i int) string
		ranges      bool
	}{
		"integer":           {"BIGINT UNSIGNED", "INT", func(i int) string { return fmt.Sprint(i * 7) }, true},
		"negative":          {"INT", "DECIMAL(10,2)", func(i int) string { return fmt.Sprint((i - 150) * 3) }, true},
		"decimal":           {"DECIMAL(10,2)", "DECIMAL(12,3)", func(i int) string { return fmt.Sprintf("%d.%d", i-100, i%9) }, true},
		"binary":            {"VARBINARY(20)", "BINARY(2)", func(i int) string { return fmt.Sprintf("0x%02x%02x", i/256, i%256) }, true},
		"text in bytes":     {"VARCHAR(20) COLLATE utf8mb4_bin", "VARCHAR(30) COLLATE utf8mb4_bin", func(i int) string { return fmt.Sprintf("'鍵%d'", i) }, true},
		"ascii":             {"CHAR(8) CHARACTER SET ascii COLLATE ascii_bin", "CHAR(8) CHARACTER SET ascii COLLATE ascii_bin", func(i int) string { return fmt.Sprintf("'%x'", i*977) }, true},
		"text":              {"VARCHAR(20) COLLATE utf8mb4_0900_ai_ci", "VARCHAR(20) COLLATE utf8mb4_uca1400_ai_ci", func(i int) string { return fmt.Sprintf("'%c鍵_%d'", 'A'+(i%2)*32+i%26, i) }, false},
		"text, two charset": {"VARCHAR(20) CHARACTER SET latin1", "VARCHAR(20) COLLATE utf8mb4_bin", func(i int) string { return fmt.Sprintf("'é%d'", i) }, false},
		"pad and no pad":    {"VARCHAR(20) COLLATE utf8mb4_0900_bin", "VARCHAR(20) COLLATE utf8mb4_bin", func(i int) string { return fmt.Sprintf("'%d\\t'", i) }, false},
		"control":           {"VARCHAR(20) COLLATE utf8mb4_bin", "VARCHAR(20) COLLATE utf8mb4_bin", func(i int) string { return fmt.Sprintf("'%d%s'", i/3, []string{"", "\\t", "!"}[i%3]) }, true},
		"date":              {"DATE", "DATE", func(i int) string { return fmt.Sprintf("'2026-01-01' + INTERVAL %d DAY", i) }, true},
		"time":              {"DATETIME(3)", "DATETIME(6)", func(i int) string { return fmt.Sprintf("'2026-01-01 00:00:00.5' + INTERVAL %d MINUTE", i) }, true},
		"instant":           {"TIMESTAMP(3)", "TIMESTAMP", func(i int) string { return fmt.Sprintf("'2026-01-01 00:00:00' + INTERVAL %d HOUR", i) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			left, right := servers.MySQL(t).DB, servers.MariaDB(t).DB
			keyed(t, left, right, c.left, c.right, c.key, 300)
			check := keyedCheck(left, right, DigestFast)
			plan, err := check.planDigest(deadline(t))
			require.NoError(t, err)
			require.NotNil(t, plan)
			require.Equal(t, c.ranges, plan.ranges)
			var want map[string]string
			for _, mode := range []DigestMode{DigestFast, DigestStrong} {
				check.Digest = mode
				for size, change := range map[string]func(*digestPlan){"small": small, "usual": nil} {
					f, err := runDigest(t, check, change)
					require.NoError(t, err, size)
					require.Equal(t, int64(5), f.Total, size)
					require.Equal(t, int64(598), f.Examined, "each row is examined once")
					require.Equal(t, []Count{{"missing in left", 1}, {"missing in right", 1}, {"different", 3}}, f.Breakdown)
					if want == nil {
						want = summary(f)
						require.Len(t, want, 5)
					}
					require.Equal(t, want, summary(f))
					still, err := check.Recheck(t.Context(), f.Violations)
					require.NoError(t, err)
					require.ElementsMatch(t, f.Violations, still)
				}
			}
			check.Digest = DigestOff
			f, err := check.Run(t.Context())
			if name == "control" || name == "pad and no pad" {
				require.ErrorContains(t, err, "control character")
				return
			}
			require.NoError(t, err)
			require.Equal(t, want, summary(f))
		})
	}
}
