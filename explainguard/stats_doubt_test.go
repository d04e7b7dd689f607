package explainguard_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

const eventsSchema = `CREATE TABLE events (
	id BIGINT PRIMARY KEY, tenant_id BIGINT NOT NULL, created_on DATE NOT NULL, code VARCHAR(40), deleted_at DATETIME, parent_id BIGINT, body TEXT, g POINT NOT NULL SRID 0,
	KEY ix_tenant_day (tenant_id, created_on), UNIQUE KEY uq_code (code), KEY ix_deleted (deleted_at), KEY ix_parent (parent_id), FULLTEXT KEY ft_body (body), SPATIAL KEY sp_g (g))`

// eventsStats: a million events of 1,000 tenants, nine out of ten not deleted.
func eventsStats() *explainguard.Stats {
	return &explainguard.Stats{Tables: []explainguard.TableStats{{
		Name: "events", Rows: 1_000_000, Pages: 20_000, OtherPages: 9_000, Indexes: []explainguard.IndexStats{
			{Name: "PRIMARY", Columns: []string{"id"}, Unique: true, Distinct: []int64{1_000_000}, Pages: 20_000, LeafPages: 19_000},
			{Name: "ix_tenant_day", Columns: []string{"tenant_id", "created_on"}, Distinct: []int64{1000, 500_000, 1_000_000}, Biggest: []int64{50_000, 90}, Pages: 3000, LeafPages: 2900},
			{Name: "uq_code", Columns: []string{"code"}, Unique: true, Distinct: []int64{1_000_000}, Nulls: 0, Pages: 3000, LeafPages: 2900},
			{Name: "ix_deleted", Columns: []string{"deleted_at"}, Distinct: []int64{100_000, 1_000_000}, Biggest: []int64{3}, Nulls: 900_000, Pages: 3000, LeafPages: 2900},
			{Name: "ix_parent", Columns: []string{"parent_id"}, Distinct: []int64{1000, 1_000_000}, Biggest: []int64{2000}, Nulls: 500, Pages: 3000, LeafPages: 2900},
		},
	}}}
}

func emptyEvents(tb testing.TB) *sql.DB {
	tb.Helper()
	db := servers.MySQL(tb).DB
	_, err := db.Exec(eventsSchema)
	require.NoError(tb, err)
	return db
}

// TestStatsTellARangeFromAnEquality: an estimate that was counted in the empty index is never judged, whether it was chosen or only weighed.
func TestStatsTellARangeFromAnEquality(t *testing.T) {
	db := emptyEvents(t)
	const pass, fail, unknown = explainguard.Pass, explainguard.Fail, explainguard.Unanalysable
	stats := eventsStats()
	for name, c := range map[string]struct {
		where   string
		verdict explainguard.Verdict
		rows    float64 // -1: whatever
		says    string
	}{
		"= on a non-unique index":            {"tenant_id = 1", fail, 50_000, ""},
		"= on the whole of a compound index": {"tenant_id = 1 AND created_on = '2024-01-01'", pass, 90, ""},
		"IN on a primary key":                {"id IN (1, 2, 3)", pass, 3, ""},
		"IN on a compound index":             {"tenant_id = 1 AND created_on IN ('2024-01-01', '2024-01-02', '2024-01-03')", pass, 270, ""},
		"row constructors":                   {"(tenant_id, created_on) IN ((1, '2024-01-01'), (2, '2024-01-01'))", pass, 180, ""},
		"IN on a unique index":               {"code IN ('a', 'b < c AND d')", pass, 2, ""},
		"odd values":                         {`code IN ('a = 1 AND 2 < b', 'it''s', '\\', '"', 'x <= y', '予約 = NULL')`, pass, 6, ""},
		"OR of two indexes":                  {"tenant_id = 1 AND created_on = '2024-01-01' OR id = 5", pass, 91, ""},
		"no index":                           {"body = 'x'", fail, 1_000_000, ""},
		"BETWEEN":                            {"id BETWEEN 1 AND 9", unknown, -1, "1 <= id <= 9"},
		">":                                  {"id > 5", unknown, -1, "5 < id"},
		"< or >":                             {"id <> 5", unknown, -1, "id < 5"},
		"LIKE 'x%'":                          {"code LIKE 'x%'", unknown, -1, "uq_code"},
		"LIKE without wildcard":              {"code LIKE 'x'", pass, 1, ""},
		"LIKE '%x'":                          {"code LIKE '%x'", fail, 1_000_000, ""},
		"equality, then a range":             {"tenant_id = 1 AND created_on > '2024-01-01'", unknown, -1, "ix_tenant_day"},
		"equality, and a range elsewhere":    {"tenant_id = 1 AND id > 5", unknown, -1, "5 < id"},
		"a range that is weighed only":       {"tenant_id = 1 AND created_on = '2024-01-01' AND id > 5", unknown, -1, "5 < id"},
		"IN, then a range":                   {"tenant_id IN (1, 2) AND created_on < '2024-01-01'", unknown, -1, "ix_tenant_day"},
		"equality OR range":                  {"tenant_id = 1 OR tenant_id > 7", fail, 50_001, "at least 50,001 rows"},
		"IS NULL of many":                    {"deleted_at IS NULL", unknown, -1, "have NULL (deleted_at = NULL"},
		"IS NULL of few":                     {"parent_id IS NULL", pass, 1000, ""},
		"= or NULL of many":                  {"deleted_at = '2024-01-01' OR deleted_at IS NULL", unknown, -1, "have NULL"},
		"<=> NULL":                           {"deleted_at <=> NULL", unknown, -1, "have NULL"},
		"IS NOT NULL":                        {"deleted_at IS NOT NULL", unknown, -1, "ix_deleted"},
		"NULL, in a unique index":            {"code IS NULL", pass, 1, ""},
		"spatial":                            {"MBRContains(ST_GeomFromText('POLYGON((0 0,0 1,1 1,1 0,0 0))'), g)", unknown, -1, "index sp_g of table events is a spatial one"},
		"in a subquery":                      {"id IN (SELECT parent_id FROM events e WHERE e.created_on > '2024-01-01' AND e.tenant_id = 3)", unknown, -1, "rows of e lie in a range"},
		"in a derived table":                 {"id IN (1, 2) AND EXISTS (SELECT 1 FROM (SELECT COUNT(*) n FROM events x WHERE x.id < 7) y WHERE y.n > 0)", unknown, -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []explainguard.Format{explainguard.FormatJSONv1, explainguard.FormatJSONv2} {
				r, err := (&explainguard.Guard{DB: db, Format: format, Stats: stats}).Check(t.Context(), "SELECT * FROM events WHERE "+c.where)
				require.NoError(t, err)
				require.Equal(t, c.verdict, r.Verdict, "%s: %s", format, r)
				require.Contains(t, r.String(), c.says)
				if c.rows >= 0 {
					require.InEpsilon(t, c.rows, r.Work.Total, 0.02, "%s: %s", format, r)
				}
			}
		})
	}
	for name, c := range map[string]struct {
		query   string
		verdict explainguard.Verdict
	}{
		"UPDATE by equality":   {"UPDATE events SET body = 'x' WHERE tenant_id = 1 AND created_on = '2024-01-01'", pass},
		"UPDATE by a range":    {"UPDATE events SET body = 'x' WHERE id > 7", unknown},
		"DELETE by a range":    {"DELETE FROM events WHERE id < 7 LIMIT 3", unknown},
		"DELETE of all":        {"DELETE FROM events", fail},
		"INSERT … SELECT":      {"INSERT INTO events (id, tenant_id, created_on, g) SELECT id, tenant_id, created_on, g FROM events e WHERE e.id BETWEEN 3 AND 4", unknown},
		"MIN":                  {"SELECT MIN(id) FROM events", unknown},
		"COUNT":                {"SELECT COUNT(*) FROM events", fail},
		"skip scan":            {"SELECT DISTINCT tenant_id FROM events", pass},
		"group by a range":     {"SELECT tenant_id, MIN(created_on) FROM events WHERE tenant_id > 3 GROUP BY tenant_id", unknown},
		"LIMIT in index order": {"SELECT * FROM events WHERE tenant_id = 1 ORDER BY created_on LIMIT 5", pass},
		"re-planned":           {"SELECT * FROM events a JOIN events b ON b.id > a.parent_id WHERE a.tenant_id = 1 AND a.created_on = '2024-01-01'", fail},
		"const look-up":        {"SELECT * FROM events WHERE id = 1", unknown},
		"spatial, forced":      {"SELECT * FROM events FORCE INDEX (sp_g) WHERE MBRContains(ST_GeomFromText('POLYGON((0 0,0 1,1 1,1 0,0 0))'), g)", unknown},
		"union":                {"SELECT id FROM events WHERE id IN (1, 2) UNION SELECT id FROM events WHERE created_on > '2024-01-01' AND tenant_id = 1", unknown},
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []explainguard.Format{explainguard.FormatUnknown, explainguard.FormatJSONv1} {
				r, err := (&explainguard.Guard{DB: db, Format: format, Stats: stats}).Check(t.Context(), c.query)
				require.NoError(t, err)
				require.Equal(t, c.verdict, r.Verdict, "%s: %s", format, r)
			}
		})
	}
}
