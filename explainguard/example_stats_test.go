package explainguard_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
	"github.com/tashikame-go/tashikame/internal/smartlist"
)

// A test database is empty, and the statistics of production are in a file that the team commits: the query that took
// production down fails the test all the same.
func ExampleGuard_stats() {
	ctx := context.Background()
	server, err := servers.StartMySQL(ctx) // in a test of yours: the test database, migrated
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	if err := smartlist.Create(ctx, server.DB); err != nil {
		log.Fatal(err)
	}

	file, err := os.Open("testdata/stats/smartlist.json")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	stats, err := explainguard.ReadStats(file)
	if err != nil {
		log.Fatal(err)
	}
	guard := &explainguard.Guard{DB: server.DB, Stats: stats}
	for _, query := range []string{smartlist.Bad, smartlist.Good} {
		report, err := guard.Check(ctx, query) // in a test: guard.Assert(t, query)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %.0f rows examined\n", report.Verdict, report.Work.Total)
	}
	// Output:
	// Fail: 100007 rows examined
	// Pass: 32 rows examined
}

// Dump the statistics on a replica of production, and commit the file.
func ExampleDumpStats() {
	ctx := context.Background()
	production, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer production.Close()
	stats, err := explainguard.DumpStats(ctx, production.DB, explainguard.DumpOptions{})
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	if err := stats.Write(&file); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Count(file.String(), `"name"`) > 0, len(stats.Unknown()))
	// Output: true 0
}

// Apply is what a Guard with Stats does by itself. Use it to look at plans with other tools.
func ExampleStats_Apply() {
	ctx := context.Background()
	server, err := servers.StartMySQL(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	if _, err := server.DB.ExecContext(ctx, "CREATE TABLE customers (id BIGINT PRIMARY KEY, tenant_id BIGINT NOT NULL, KEY ix_tenant (tenant_id))"); err != nil {
		log.Fatal(err)
	}
	stats := &explainguard.Stats{Tables: []explainguard.TableStats{{
		Name: "customers", Rows: 200_000, Pages: 609, OtherPages: 545,
		Indexes: []explainguard.IndexStats{
			{Name: "PRIMARY", Columns: []string{"id"}, Unique: true, Distinct: []int64{200_000}},
			{Name: "ix_tenant", Columns: []string{"tenant_id"}, Distinct: []int64{5000, 200_000}, Biggest: []int64{20_000}},
		},
	}}}
	// Ten times the rows of today, and every tenant as large as the largest.
	if err := stats.Scale(10).BiggestGroup().Apply(ctx, server.DB, explainguard.ApplyOptions{}); err != nil {
		log.Fatal(err)
	}
	var rows, tenants int64
	if err := server.DB.QueryRowContext(ctx, "SELECT n_rows, stat_value FROM mysql.innodb_table_stats t JOIN mysql.innodb_index_stats i USING (database_name, table_name) "+
		"WHERE database_name = ? AND index_name = 'ix_tenant' AND stat_name = 'n_diff_pfx01'", server.Database).Scan(&rows, &tenants); err != nil {
		log.Fatal(err)
	}
	fmt.Println(rows, "customers of", tenants, "tenants of the largest size")
	// Output: 2000000 customers of 10 tenants of the largest size
}

// BiggestGroup shows what an average hides: one tenant of 5,001 owns a tenth of the customers.
func ExampleStats_BiggestGroup() {
	file, err := os.Open("testdata/stats/smartlist.json")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	stats, err := explainguard.ReadStats(file)
	if err != nil {
		log.Fatal(err)
	}
	tenants := func(s *explainguard.Stats) int64 { return s.Tables[0].Rows / s.Tables[0].Indexes[1].Distinct[0] }
	fmt.Println("average tenant:", tenants(stats), "customers; biggest:", tenants(stats.BiggestGroup()))
	// Output: average tenant: 39 customers; biggest: 20000
}

// A statement that looks one row up by its key cannot be planned on an empty table: insert that row.
func ExampleSentinel() {
	ctx := context.Background()
	server, err := servers.StartMySQL(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	if err := smartlist.Create(ctx, server.DB); err != nil {
		log.Fatal(err)
	}
	remove, err := explainguard.Sentinel(ctx, server.DB, "customers", map[string]any{"id": 1, "tenant_id": 1})
	if err != nil {
		log.Fatal(err)
	}
	var name any
	fmt.Println(server.DB.QueryRowContext(ctx, "SELECT name FROM customers WHERE id = 1 AND tenant_id = 1").Scan(&name), name)
	fmt.Println(remove(ctx))
	// Output:
	// <nil> <nil>
	// <nil>
}

// The file says which production it was taken from, and what it could not tell.
func ExampleReadStats() {
	stats, err := explainguard.ReadStats(strings.NewReader(`{"tashikame_stats": 1, "server": "MySQL 8.4.3", "taken": "2026-11-01", "tables": [
		{"name": "orders", "rows": 7000000, "pages": 90000, "other_pages": 20000, "indexes": [
			{"name": "PRIMARY", "columns": ["id"], "unique": true, "distinct": [7000000]},
			{"name": "ix_shop", "columns": ["shop_id"], "distinct": [35000, 7000000], "biggest": [-1]}]}]}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Server, stats.Taken, stats.Tables[0].Rows)
	fmt.Println("not measured:", stats.Unknown())
	// Output:
	// MySQL 8.4.3 2026-11-01 7000000
	// not measured: [orders.ix_shop: the biggest group of shop_id]
}

// What if there are ten times as many rows? More rows for each tenant, not more tenants.
func ExampleStats_Scale() {
	stats := savedExample()
	grown := stats.Scale(10)
	fmt.Println(stats.Tables[0].Rows, stats.Tables[0].Indexes[1].Distinct[0], "tenants")
	fmt.Println(grown.Tables[0].Rows, grown.Tables[0].Indexes[1].Distinct[0], "tenants")
	// Output:
	// 200000 5001 tenants
	// 2000000 5001 tenants
}

// A Guard judges by the biggest tenant unless it is told to go by the average one.
func ExampleStats_Averages() {
	guard := &explainguard.Guard{Stats: savedExample().Averages()}
	fmt.Println(guard.Stats.Mode, guard.Validate())
	// Output: average <nil>
}

// The same statistics give the same bytes, so that a change shows in review as the lines it concerns.
func ExampleStats_Write() {
	var file strings.Builder
	if err := savedExample().Write(&file); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.SplitAfter(file.String(), "\n")[4])
	// Output:
	//  {"name":"ix_tenant","columns":["tenant_id"],"distinct":[5001,200000],"biggest":[20000],"pages":545,"leaf_pages":444}]},
}

func savedExample() *explainguard.Stats {
	file, err := os.Open("testdata/stats/smartlist.json")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	stats, err := explainguard.ReadStats(file)
	if err != nil {
		log.Fatal(err)
	}
	return stats
}
