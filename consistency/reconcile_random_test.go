package consistency

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

// randomKey has a part of every kind whose order servers do not agree about.
type randomKey struct {
	Name   string
	Number uint64
	Amount string // 2 digits after the point
	At     time.Time
}

func (k randomKey) compare(o randomKey) int {
	a, _ := strconv.ParseFloat(k.Amount, 64)
	b, _ := strconv.ParseFloat(o.Amount, 64)
	return cmp.Or(strings.Compare(k.Name, o.Name), cmp.Compare(k.Number, o.Number), cmp.Compare(a, b), k.At.Compare(o.At))
}

func randomKeyOf(r *rand.Rand) randomKey {
	names := []string{"", "a", "A", "b", "B", "é", "É", "注文", "注文 ", "🍣", "\uffee", "a,b", `"`, `\`, "0x41", "\n", "***"}
	numbers := []uint64{0, 1, 2, 10, 9, 1 << 53, 1<<53 + 1, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	amounts := []string{"0.00", "-1.50", "-0.01", "9.99", "10.00", "100.00"}
	return randomKey{
		names[r.IntN(len(names))], numbers[r.IntN(len(numbers))], amounts[r.IntN(len(amounts))],
		time.Date(2026, 1, 1+r.IntN(3), r.IntN(2)*23, 0, 0, r.IntN(2)*500_000_000, time.UTC),
	}
}

// randomSides makes two sides that differ in some rows. A row's value is a number, NULL (-1) among them.
func randomSides(r *rand.Rand, n int) (sides [2]map[randomKey]int) {
	sides = [2]map[randomKey]int{{}, {}}
	for range n {
		k, v := randomKeyOf(r), r.IntN(3)-1
		sides[0][k], sides[1][k] = v, v
	}
	for k := range sides[0] {
		switch r.IntN(12) {
		case 0:
			delete(sides[0], k)
		case 1:
			delete(sides[1], k)
		case 2:
			sides[1][k] = r.IntN(3) - 1
		}
	}
	return sides
}

// naive compares in memory and knows nothing of how it is done otherwise.
func naive(sides [2]map[randomKey]int) (faults map[randomKey]string, keys []randomKey) {
	faults = map[randomKey]string{}
	for k, v := range sides[0] {
		keys = append(keys, k)
		if w, ok := sides[1][k]; !ok {
			faults[k] = "missing in right"
		} else if w != v {
			faults[k] = "v"
		}
	}
	for k := range sides[1] {
		if _, ok := sides[0][k]; !ok {
			keys = append(keys, k)
			faults[k] = "missing in left"
		}
	}
	slices.SortFunc(keys, randomKey.compare)
	return faults, keys
}

func (k randomKey) violationKey() string {
	return keyText([]Kind{KindText, KindInteger, KindDecimal, KindTime}, k.neutral())
}

func (k randomKey) neutral() neutralKey {
	amount := strings.TrimSuffix(strings.TrimRight(k.Amount, "0"), ".")
	return neutralKey{k.Name, fmt.Sprint(k.Number), amount, strings.TrimSuffix(k.At.Format("2006-01-02 15:04:05.9"), ".")}
}

var randomColumns = []Column{{Name: "name", Kind: KindText}, {Name: "number", Kind: KindInteger}, {Name: "amount", Kind: KindDecimal}, {Name: "at", Kind: KindTime}}

// memory is a source, and a Lookup, over rows in memory.
type memorySide struct{ rows map[randomKey]int }

func (m memorySide) row(k randomKey) Row {
	row := Row{{"name", k.Name}, {"number", k.Number}, {"amount", k.Amount}, {"at", k.At}, {"v", nil}}
	if v := m.rows[k]; v >= 0 {
		row[4].Value = v
	}
	return row
}

func (m memorySide) Rows(_ context.Context, after []any) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		keys := slices.SortedFunc(func(yield func(randomKey) bool) {
			for k := range m.rows {
				if !yield(k) {
					return
				}
			}
		}, randomKey.compare)
		for _, k := range keys {
			if after != nil && k.compare(m.key(after)) <= 0 {
				continue
			}
			if !yield(m.row(k), nil) {
				return
			}
		}
	}
}

func (memorySide) key(values []any) randomKey {
	number, ok := values[1].(uint64)
	if !ok {
		number = uint64(values[1].(int64))
	}
	amount, _ := new(big.Rat).SetString(values[2].(string))
	return randomKey{values[0].(string), number, amount.FloatString(2), values[3].(time.Time)}
}

func (m memorySide) Lookup(_ context.Context, keys [][]any) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, values := range keys {
			k := m.key(values)
			if _, ok := m.rows[k]; ok && !yield(m.row(k), nil) {
				return
			}
		}
	}
}

func requireFaults(t *testing.T, want map[randomKey]string, got []Violation, seed uint64) {
	t.Helper()
	expected, found := map[string]string{}, map[string]string{}
	for k, fault := range want {
		expected[k.violationKey()] = fault
	}
	for _, v := range got {
		difference, _ := v.Row.Get("difference")
		found[v.Key] = difference.(string)
	}
	require.Equal(t, expected, found, "seed %d", seed)
}

func TestReconcileAgreesWithANaiveComparisonInMemory(t *testing.T) {
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 1))
		sides := randomSides(r, 1+r.IntN(1+int(seed)*12))
		check := Reconcile{Left: memorySide{sides[0]}, Right: memorySide{sides[1]}, Key: randomColumns, Compare: []Column{{Name: "v", Kind: KindInteger}}, MaxRows: 1 << 20}
		faults, keys := naive(sides)
		f, err := check.Run(t.Context())
		require.NoError(t, err)
		requireFaults(t, faults, f.Violations, seed)
		require.Equal(t, int64(len(sides[0])+len(sides[1])), f.Examined)
		require.Equal(t, int64(len(faults)), f.Total)
		still, err := check.Recheck(t.Context(), f.Violations)
		require.NoError(t, err)
		require.Equal(t, f.Violations, still)
		checkRanges(t, check, faults, keys, r, seed)
	}
}

// checkRanges compares a part of the keys only.
func checkRanges(t *testing.T, check Reconcile, faults map[randomKey]string, keys []randomKey, r *rand.Rand, seed uint64) {
	t.Helper()
	low, high := r.IntN(len(keys)), r.IntN(len(keys))
	inside := map[randomKey]string{}
	for i, k := range keys {
		if fault, wrong := faults[k]; wrong && i > low && i <= high {
			inside[k] = fault
		}
	}
	found := newDifferences(check)
	require.NoError(t, merge(withDeadline(t), [2]Source{check.Left, check.Right}, newMeeting(check.layout()), keys[low].neutral(), keys[high].neutral(), found))
	requireFaults(t, inside, found.kept, seed)
	again := newDifferences(check) // now that the kinds are settled
	require.NoError(t, check.mergeRange(withDeadline(t), found.p, keys[low].neutral(), keys[high].neutral(), again))
	require.Equal(t, found.kept, again.kept)
	require.Equal(t, found.examined, again.examined)
}

func TestReconcileAgreesWithANaiveComparisonOnServers(t *testing.T) {
	dbs := [2]*sql.DB{servers.MySQL(t).DB, servers.MariaDB(t).DB}
	definitions := [2]string{"name VARCHAR(20), number BIGINT UNSIGNED, amount DECIMAL(10,2), at DATETIME(3), v INT", "name VARCHAR(20) COLLATE utf8mb4_bin, number DECIMAL(20), amount DECIMAL(12,4), at TIMESTAMP(6), v INT"}
	for i, db := range dbs {
		exec(t, db, "CREATE TABLE t ("+definitions[i]+")")
	}
	const order = " ORDER BY CAST(name AS BINARY), number, amount, at"
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 2))
		sides := randomSides(r, 100+r.IntN(1200))
		for i, db := range dbs {
			exec(t, db, "TRUNCATE TABLE t")
			loadSide(t, db, sides[i])
		}
		columns := slices.Clone(randomColumns)
		for i := range columns {
			columns[i].Kind = KindAuto
		}
		check := Reconcile{
			Left: Query{DB: dbs[0], SQL: "SELECT * FROM t" + order}, Right: Query{DB: dbs[1], SQL: "SELECT v, at, amount, number, name FROM t" + order},
			Key: columns, Compare: []Column{{Name: "v"}}, MaxRows: 1 << 20,
		}
		faults, keys := naive(sides)
		f, err := check.Run(t.Context())
		require.NoError(t, err)
		requireFaults(t, faults, f.Violations, seed)
		still, err := check.Recheck(t.Context(), f.Violations)
		require.NoError(t, err)
		require.Equal(t, f.Violations, still)
		all, err := check.byReadingAll(withDeadline(t), f.Violations)
		require.NoError(t, err)
		require.Equal(t, f.Violations, all.kept)
		checkRanges(t, check, faults, keys, r, seed)
		// Keys whose order the server knows are read from where they are asked for, and nothing before.
		byNumber := check
		byNumber.Key = []Column{columns[1], columns[2], columns[3], columns[0]}
		byNumber.Left = Query{DB: dbs[0], SQL: "SELECT * FROM t ORDER BY number, amount, at, CAST(name AS BINARY)"}
		byNumber.Right = Query{DB: dbs[1], SQL: "SELECT * FROM t ORDER BY number, amount, at, CAST(name AS BINARY)"}
		g, err := byNumber.Run(t.Context())
		require.NoError(t, err)
		require.Equal(t, f.Total, g.Total)
	}
}

func withDeadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func loadSide(t *testing.T, db *sql.DB, rows map[randomKey]int) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "SET time_zone = '+00:00'")
	require.NoError(t, err)
	defer conn.ExecContext(t.Context(), "SET time_zone = DEFAULT")
	var places []string
	var args []any
	flush := func() {
		if len(places) > 0 {
			_, err := conn.ExecContext(t.Context(), "INSERT INTO t VALUES "+strings.Join(places, ", "), args...)
			require.NoError(t, err)
		}
		places, args = nil, nil
	}
	for k, v := range rows {
		var value any
		if v >= 0 {
			value = v
		}
		places, args = append(places, "(?, ?, ?, ?, ?)"), append(args, k.Name, k.Number, k.Amount, k.At.Format("2006-01-02 15:04:05.999"), value)
		if len(places) == 500 {
			flush()
		}
	}
	flush()
}

func TestRangesOfNumbersDatesAndBinaryAreReadByTheServer(t *testing.T) {
	dbs := [2]*sql.DB{servers.MySQL(t).DB, servers.MariaDB(t).DB}
	for _, db := range dbs {
		exec(t, db, "CREATE TABLE t (a BIGINT UNSIGNED, b DATE, c VARBINARY(10), d DATETIME(6), e DECIMAL(30,10), PRIMARY KEY (a, b, c, d, e))")
	}
	columns := []Column{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}}
	kinds := []Kind{KindInteger, KindDate, KindBinary, KindTime, KindDecimal}
	pools := [][]string{{"0", "9007199254740993", "18446744073709551615"}, {"2026-01-01", "2026-12-31"}, {"\x00", "a", "\xff"}, {"2026-01-01 00:00:00", "2026-01-01 00:00:00.000001"}, {"-0.0000000001", "0", "10000000000000000000.5"}}
	var keys []neutralKey
	r := rand.New(rand.NewPCG(1, 1))
	for range 60 {
		k := make(neutralKey, len(pools))
		for i, p := range pools {
			k[i] = p[r.IntN(len(p))]
		}
		if !slices.ContainsFunc(keys, func(o neutralKey) bool { return slices.Equal(o, k) }) {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b neutralKey) int { return compareKeys(kinds, a, b) })
	for _, db := range dbs {
		for _, k := range keys {
			_, err := db.Exec("INSERT INTO t VALUES (?, ?, ?, ?, ?)", k[0], k[1], []byte(k[2]), k[3], k[4])
			require.NoError(t, err)
		}
	}
	for side, db := range dbs {
		q := Query{DB: db, SQL: "SELECT * FROM t ORDER BY a, b, c, d, e"}
		want := Reconcile{Key: columns}.layout().request(side, nil, nil)
		for range 40 {
			low, high := r.IntN(len(keys)), r.IntN(len(keys))
			want.after, want.upTo = keys[low], keys[high]
			var got rowCounter
			require.NoError(t, q.scan(withDeadline(t), want, &got))
			require.Equal(t, max(high-low, 0), got.rows, "the server itself leaves out what lies outside")
			got.rows = 0
			want.after, want.upTo = nil, nil
			require.NoError(t, q.fetch(withDeadline(t), want, []neutralKey{keys[low], keys[high]}, &got))
			require.Equal(t, len(slices.Compact([]int{low, high})), got.rows)
		}
	}
}

type rowCounter struct{ rows int }

func (*rowCounter) begin([]resolvedColumn) error { return nil }
func (c *rowCounter) row([]sql.RawBytes) error   { c.rows++; return nil }
