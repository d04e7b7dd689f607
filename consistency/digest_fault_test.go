package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// someKeyed are two tables of n rows that differ as keyed says.
func someKeyed(t *testing.T, n int) (left, right *servers.MySQLServer) {
	left, right = servers.MySQL(t), servers.MariaDB(t)
	keyed(t, left.DB, right.DB, "INT", "INT", func(i int) string { return fmt.Sprint(i) }, n)
	return left, right
}

func TestDigestsOfFewRows(t *testing.T) {
	left, right := servers.MySQL(t).DB, servers.MariaDB(t).DB
	for _, db := range []*sql.DB{left, right} {
		exec(t, db, "CREATE TABLE k (k INT PRIMARY KEY, v VARCHAR(50), n INT)")
	}
	check := keyedCheck(left, right, DigestFast)
	_, err := runDigest(t, check, small)
	require.ErrorIs(t, err, errNothingExamined, "two empty tables are not consistent")
	require.Equal(t, Unknown, runOne(t.Context(), t, check).Outcome)

	exec(t, left, "INSERT INTO k VALUES (-2147483648, NULL, 1)")
	f, err := runDigest(t, check, small)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"-2147483648": "missing in right"}, summary(f))

	exec(t, right, "INSERT INTO k VALUES (-2147483648, '', 1)")
	f, err = runDigest(t, check, small)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"-2147483648": "v"}, summary(f))

	exec(t, right, "UPDATE k SET v = NULL")
	f, err = runDigest(t, check, small)
	require.NoError(t, err)
	require.Equal(t, Findings{Examined: 2}, f)

	// Only on one side, below, between and above what the other has; and one side empty.
	exec(t, left, "DELETE FROM k", "INSERT INTO k (k) VALUES (-5), (5), (2147483647)")
	exec(t, right, "DELETE FROM k")
	for i := range 100 {
		exec(t, right, fmt.Sprintf("INSERT INTO k (k) VALUES (%d)", i*1000))
	}
	for _, sizes := range []func(*digestPlan){small, nil, func(p *digestPlan) { small(p); p.bigger = 1 - p.bigger }} {
		f, err = runDigest(t, check, sizes)
		require.NoError(t, err)
		require.Equal(t, int64(103), f.Total)
		require.Equal(t, int64(103), f.Examined)
	}
	exec(t, left, "DELETE FROM k")
	f, err = runDigest(t, check, small)
	require.NoError(t, err)
	require.Equal(t, int64(100), f.Total)
}

// TestNoTwoRowsHaveTheSameText is about rows that were made to look the same once their values are put together.
func TestNoTwoRowsHaveTheSameText(t *testing.T) {
	rows := []string{
		"'a,1', 'b'", "'a', '1,b'", "'a,1,b', ''", "'', 'a,1,b'", "'a', 'b'", "'b', 'a'", "NULL, 'N'", "'N', NULL", "NULL, NULL", "'', NULL", "NULL, ''", "'', ''", "'1,', ''", "'0,', ''", "'N,', ''", "'N', 'N'",
		"'1', '1'", "'11', ''", "'', '11'", "' ', ''", "'', ' '", "'a ', 'b'", "'a', 'b '", "'A', 'b'", "x'00', ''", "'', x'00'", "'0', ''",
		"'a,2,b', 'c'", "'a', 'b,2,c'", // what a mark of no length would let pass
	}
	for name, server := range map[string]*servers.MySQLServer{"MySQL": servers.MySQL(t), "MariaDB": servers.MariaDB(t)} {
		exec(t, server.DB, "CREATE TABLE l (id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(20))", "CREATE TABLE r LIKE l")
		for i, values := range rows {
			exec(t, server.DB, fmt.Sprintf("INSERT INTO l VALUES (%d, %s)", i, values))
		}
		check := Reconcile{Meta: Meta{Name: "l"}, Left: Table{DB: server.DB, Name: "l"}, Right: Table{DB: server.DB, Name: "r"}, Key: []Column{{Name: "id"}}, Compare: []Column{{Name: "a"}, {Name: "b"}}}
		plan, err := check.planDigest(deadline(t))
		require.NoError(t, err)
		seen := map[string]int{}
		for i := range rows {
			var text string
			require.NoError(t, server.DB.QueryRow("SELECT HEX("+rowText(plan.sides[0].fields[1:])+") FROM l WHERE id = ?", i).Scan(&text))
			first, twice := seen[text]
			require.False(t, twice, "%s: %s and %s are both %s", name, rows[i], rows[min(first, len(rows)-1)], text)
			seen[text] = i
		}
	}
}

// TestDigestsSeeWhatXORDoesNot: CRC32 is linear, so that XOR of the rows' CRC32 stays the same when two rows swap values of the same length; and a pair of
// equal rows cancels out, whatever it is. Without a unique key there is no digest, so the second is asked of the SQL alone.
func TestDigestsSeeWhatXORDoesNot(t *testing.T) {
	for name, db := range map[string]*sql.DB{"MySQL": servers.MySQL(t).DB, "MariaDB": servers.MariaDB(t).DB} {
		exec(t, db, "CREATE TABLE x (h VARCHAR(20))")
		for mode, form := range digestForms {
			digestOf := func(rows ...string) *digest {
				exec(t, db, "DELETE FROM x", "INSERT INTO x VALUES ('"+strings.Join(rows, "'), ('")+"')")
				var got scanned
				require.NoError(t, db.QueryRow(digestQuery(form, "CAST(h AS BINARY)", " FROM x", "")).Scan(got.dest()...))
				d, err := got.digest()
				require.NoError(t, err)
				return d
			}
			for i := range 8 {
				a, b, c, d := fmt.Sprintf("%02d,aa", i), fmt.Sprintf("%02d,bb", i+1), fmt.Sprintf("%02d,bb", i), fmt.Sprintf("%02d,aa", i+1)
				require.False(t, digestOf(a, b).same(digestOf(c, d)), "%s %s: swapped values", name, mode)
			}
			swapped := swapThatSumsAlike(t)
			require.False(t, digestOf(swapped[0], swapped[1]).same(digestOf(swapped[2], swapped[3])), "%s %s: swapped values whose CRC32s have one sum", name, mode)
			require.False(t, digestOf("a", "a", "c").same(digestOf("b", "b", "c")), "%s %s: pairs", name, mode)
			require.False(t, digestOf("a", "a", "b").same(digestOf("a", "b", "b")), "%s %s: other pairs", name, mode)
			require.True(t, digestOf("a", "b", "c").same(digestOf("c", "a", "b")), "%s %s: the order of rows", name, mode)
		}
	}
}

// swapThatSumsAlike finds two rows, and the same two with their values swapped, whose CRC32s have the same sum: about one swap in 2¹⁶ is such.
func swapThatSumsAlike(t *testing.T) [4]string {
	sum := func(a, b string) uint64 {
		return uint64(crc32.ChecksumIEEE([]byte(a))) + uint64(crc32.ChecksumIEEE([]byte(b)))
	}
	for i := range 1_000_000 {
		j := i * 7919 % 999_983
		a, b, c, d := fmt.Sprintf("%06d,aa", i), fmt.Sprintf("%06d,bb", j), fmt.Sprintf("%06d,bb", i), fmt.Sprintf("%06d,aa", j)
		if i != j && sum(a, b) == sum(c, d) {
			return [4]string{a, b, c, d}
		}
	}
	t.Fatal("none found")
	return [4]string{}
}

func TestTablesWithoutDigestsAreMerged(t *testing.T) {
	left, right := someKeyed(t, 100)
	exec(t, left.DB, "CREATE TABLE twice (k INT NOT NULL, v VARCHAR(50), n INT, KEY (k))", "INSERT INTO twice SELECT k, v, n FROM k", "CREATE VIEW seen AS SELECT * FROM k", "CREATE TABLE nullable (k INT, v VARCHAR(50), n INT, UNIQUE (k))", "INSERT INTO nullable SELECT k, v, n FROM k")
	for name, change := range map[string]func(*Reconcile){
		"no unique key":       func(r *Reconcile) { r.Left = Table{DB: left.DB, Name: "twice"} },
		"a view":              func(r *Reconcile) { r.Left = Table{DB: left.DB, Name: "seen"} },
		"a nullable key":      func(r *Reconcile) { r.Left = Table{DB: left.DB, Name: "nullable"} },
		"a query on one side": func(r *Reconcile) { r.Left = Query{DB: left.DB, SQL: "SELECT * FROM k ORDER BY k"} },
		"off":                 func(r *Reconcile) { r.Digest = DigestOff },
		"few connections":     func(r *Reconcile) { r.Left = Table{DB: limited(t, left, 2), Name: "k"} },
	} {
		t.Run(name, func(t *testing.T) {
			check := keyedCheck(left.DB, right.DB, DigestFast)
			change(&check)
			plan, err := check.planDigest(deadline(t))
			require.NoError(t, err)
			require.Nil(t, plan)
			f, err := check.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(5), f.Total)
		})
	}
	exec(t, left.DB, "INSERT INTO twice VALUES (7, 'v7', 7)")
	check := keyedCheck(left.DB, right.DB, DigestFast)
	check.Left = Table{DB: left.DB, Name: "twice"}
	_, err := check.Run(t.Context())
	require.ErrorContains(t, err, "two rows have the key 7")

	check.Left = Table{DB: limited(t, left, 3), Name: "k"}
	f, err := runDigest(t, check, small)
	require.NoError(t, err, "three connections are enough")
	require.Equal(t, int64(5), f.Total)
}

func limited(t *testing.T, server *servers.MySQLServer, connections int) *sql.DB {
	db := open(t, server, func(*mysql.Config) {})
	db.SetMaxOpenConns(connections)
	return db
}

func TestDigestsThatContradictTheRowsAreUnknown(t *testing.T) {
	left, right := someKeyed(t, 100)
	check := keyedCheck(left.DB, right.DB, DigestFast)
	check.Left = check.Right
	f, err := runDigest(t, check, small)
	require.NoError(t, err)
	require.Zero(t, f.Total)
	_, err = runDigest(t, check, func(p *digestPlan) { small(p); p.sides[1].fields = append(p.sides[1].fields, "'x'") })
	require.ErrorIs(t, err, errContradiction)
	require.True(t, isPermanent(err))
	// A text that cannot be written is not taken for one that is the same: the rows are read.
	f, err = runDigest(t, check, func(p *digestPlan) {
		small(p)
		for _, s := range p.sides {
			s.fields = append(s.fields, "IF(k = 8, NULL, '')")
		}
	})
	require.NoError(t, err)
	require.Zero(t, f.Total)
	require.Equal(t, int64(198), f.Examined)
	f, err = runDigest(t, keyedCheck(left.DB, right.DB, DigestFast), func(p *digestPlan) {
		small(p)
		for _, s := range p.sides {
			s.fields = append(s.fields, "IF(k = 50, NULL, '')")
		}
	})
	require.NoError(t, err)
	require.Equal(t, int64(5), f.Total, "50 is one of them")
}

func TestDigestsWhileOthersWrite(t *testing.T) {
	left, right := someKeyed(t, 400)
	check := keyedCheck(left.DB, right.DB, DigestFast)
	end, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 100; ; i = 100 + (i-99)%300 {
			select {
			case <-end:
				done <- nil
				return
			default:
			}
			value := fmt.Sprint(time.Now().UnixNano())
			for _, db := range []*sql.DB{left.DB, right.DB} { // the right follows a moment later
				if _, err := db.Exec("UPDATE k SET v = ? WHERE k = ?", value, i); err != nil {
					done <- err
					return
				}
			}
		}
	}()
	for range 5 {
		f, err := runDigest(t, check, small)
		require.NoError(t, err, "what changes meanwhile is no contradiction")
		require.GreaterOrEqual(t, f.Total, int64(5))
	}
	close(end)
	require.NoError(t, <-done)
	r := runOne(t.Context(), t, check)
	require.Equal(t, Inconsistent, r.Outcome, r.Reason)
	require.Equal(t, int64(5), r.Total)
}

func TestDigestsNeedTheTableAndItsPrivilege(t *testing.T) {
	left, right := someKeyed(t, 20)
	check := keyedCheck(left.DB, right.DB, DigestFast)
	check.Right = Table{DB: right.DB, Name: "missing"}
	_, err := check.Run(t.Context())
	require.ErrorContains(t, err, "right: read the columns of")
	require.ErrorContains(t, err, "Error 1146")
	require.True(t, isPermanent(err))

	user := fmt.Sprintf("d%d", time.Now().UnixNano()%1e9)
	exec(t, left.DB, "CREATE USER "+user+" IDENTIFIED BY 'pw'", "GRANT SELECT (k, v) ON k TO "+user)
	t.Cleanup(func() { _, _ = left.DB.Exec("DROP USER " + user) })
	check = keyedCheck(open(t, left, func(c *mysql.Config) { c.User, c.Passwd = user, "pw" }), right.DB, DigestFast)
	_, err = check.Run(t.Context())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "pw")
	require.True(t, isPermanent(err), "%v", err)

	check = keyedCheck(left.DB, right.DB, DigestFast)
	check.Compare = append(check.Compare, Column{Name: "nix"})
	_, err = check.Run(t.Context())
	require.ErrorContains(t, err, `has no column "nix", only k, v, n`)
}

// faulty calls fault when ranges are on their way.
func faulty(t *testing.T, check Reconcile, fault func()) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	plan, err := check.planDigest(ctx)
	require.NoError(t, err)
	require.NotNil(t, plan)
	plan.rangeRows, plan.leafRows = 2, 1
	var once sync.WaitGroup
	once.Go(func() {
		time.Sleep(300 * time.Millisecond)
		fault()
	})
	done, err := plan.compare(ctx, newDifferences(check))
	once.Wait()
	require.True(t, done || err != nil)
	return err
}

func TestMidwayFaultsOfDigestsAreErrors(t *testing.T) {
	left, right := someKeyed(t, 3000)
	check := keyedCheck(left.DB, right.DB, DigestFast)
	t.Run("killed connections", func(t *testing.T) {
		err := faulty(t, check, func() {
			var ids []int64
			rows, err := right.DB.Query("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
			require.NoError(t, err)
			for rows.Next() {
				var id int64
				require.NoError(t, rows.Scan(&id))
				ids = append(ids, id)
			}
			require.NoError(t, rows.Close())
			for _, id := range ids {
				_, _ = right.DB.Exec(fmt.Sprintf("KILL %d", id))
			}
		})
		require.Error(t, err)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := check.Run(ctx)
		require.Error(t, err)
		// The context, or the server's time limit that was made from it: which comes first is chance.
		require.True(t, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errTimeLimit) || mysqlErrorNumber(err) == 3024, "%v", err)
	})
	t.Run("dropped", func(t *testing.T) {
		err := faulty(t, check, func() { exec(t, left.DB, "DROP TABLE k") })
		require.ErrorContains(t, err, "Error 1146")
		require.False(t, errors.Is(err, errNothingExamined))
	})
}

func TestServerKilledMidwayThroughDigests(t *testing.T) {
	t.Parallel()
	left, right := servers.MariaDB(t), servers.OwnMySQL(t)
	keyed(t, right.DB, left.DB, "INT", "INT", func(i int) string { return fmt.Sprint(i) }, 3000)
	err := faulty(t, keyedCheck(left.DB, right.DB, DigestFast), func() { require.NoError(t, right.Kill()) })
	require.Error(t, err)
}
