package consistency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/stretchr/testify/require"

	"github.com/tashikame-go/tashikame/internal/servers"
)

func TestReconcileSaysAllThatIsWrongWithItsDeclaration(t *testing.T) {
	db := &sql.DB{}
	good := Query{DB: db, SQL: "SELECT 1"}
	var nilFunc FuncSource
	for want, r := range map[string]Reconcile{
		"Reconcile.Left is nil":                          {},
		"Reconcile.Right is nil":                         {},
		"Reconcile.Key is empty":                         {Left: good, Right: good},
		"Reconcile.Left: Query.DB is nil":                {Left: Query{SQL: "SELECT 1"}, Right: good},
		"Reconcile.ConfirmLeft: Query.SQL is":            {Left: good, Right: good, ConfirmLeft: Query{DB: db}},
		"Reconcile.Right is a nil":                       {Left: good, Right: nilFunc},
		`are both "a"`:                                   {Left: good, Right: good, LeftName: "a", RightName: "a"},
		"MaxRows is -1":                                  {Left: good, Right: good, MaxRows: -1},
		"Key[0].Name is empty":                           {Left: good, Right: good, Key: []Column{{}}},
		`Compare[0] names the column "ID"`:               {Left: good, Right: good, Key: []Column{{Name: "id"}}, Compare: []Column{{Name: "ID"}}},
		`names the column "x"`:                           {Left: good, Right: good, Key: []Column{{Name: "id", Right: "x"}}, Compare: []Column{{Name: "x"}}},
		"there is no Kind(77)":                           {Left: good, Right: good, Key: []Column{{Name: "id", Kind: 77}}},
		"(id): set Kind: Reconcile.Right cannot say how": {Left: good, Right: oneRow(1), Key: []Column{{Name: "id"}}},
		"Column.Fold is for text only":                   {Left: good, Right: good, Key: []Column{{Name: "id", Kind: KindInteger, Fold: true}}},
		"Column.HasScale is for decimal and time only":   {Left: good, Right: good, Compare: []Column{{Name: "v", Kind: KindText, HasScale: true}}},
		"Scale is 2":                                     {Left: good, Right: good, Compare: []Column{{Name: "v", Kind: KindDecimal, Scale: 2}}},
		"Scale is -1":                                    {Left: good, Right: good, Compare: []Column{{Name: "v", Kind: KindDecimal, Scale: -1, HasScale: true}}},
		"Tolerance is NaN":                               {Left: good, Right: good, Compare: []Column{{Name: "v", Kind: KindFloat, Tolerance: math.NaN()}}},
		"Tolerance is +Inf":                              {Left: good, Right: good, Compare: []Column{{Name: "v", Kind: KindFloat, Tolerance: math.Inf(1)}}},
		"(id) is float, which has no":                    {Left: good, Right: good, Key: []Column{{Name: "id", Kind: KindFloat}}},
		"a key is exact":                                 {Left: good, Right: good, Key: []Column{{Name: "id", Kind: KindText, EmptyIsNull: true}}},
		"AsOf is set but ChangedAt":                      {Left: good, Right: good, AsOf: time.Now()},
		"but neither ConfirmLeft nor":                    {Left: good, Right: good, AsOf: time.Now()},
		"ChangedAt is set but AsOf":                      {Left: good, Right: good, ChangedAt: Column{Name: "at"}},
		"it must be a time":                              {Left: good, Right: good, AsOf: time.Now(), ChangedAt: Column{Name: "at", Kind: KindDate}},
		`Meta.Mask names "email"`:                        {Left: good, Right: good, Meta: Meta{Mask: []string{"email"}}, Key: []Column{{Name: "id"}}},
		"Checkpoints would keep":                         {Left: good, Right: good, Meta: Meta{Mask: []string{"ID"}}, Key: []Column{{Name: "id"}}, Checkpoints: FileCheckpoints{}},
		"must not be negative":                           {Left: good, Right: good, CheckpointEvery: -1},
	} {
		require.ErrorContains(t, r.Validate(), want)
		_, err := r.Run(t.Context())
		require.ErrorContains(t, err, want)
		require.True(t, isPermanent(err))
	}
	require.NoError(t, Reconcile{Left: good, Right: good, Key: []Column{{Name: "id"}}}.Validate())
}

func oneRow(id any, more ...Field) FuncSource {
	return func(context.Context, []any) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) { yield(append(Row{{"id", id}}, more...), nil) }
	}
}

func TestSourcesThatCannotBeComparedAreUnknown(t *testing.T) {
	left, right := servers.MySQL(t).DB, servers.MariaDB(t).DB
	exec(t, left, "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), n INT, f DOUBLE, j JSON, at DATETIME)",
		"INSERT INTO t VALUES (1, 'a', 1, 1, '1', '2026-01-01'), (2, 'B', 2, 2, '2', '2026-01-01 10:00:00'), (10, 'c', 10, 10, '{}', NULL)")
	exec(t, right, "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), n VARCHAR(10), f DOUBLE, j JSON, at DATETIME)",
		"INSERT INTO t VALUES (1, 'a', '1', 1, '1', '2026-01-01'), (2, 'B', '2x', 2, '2', '2026-01-01 10:00:00'), (10, 'c', '10', 10, '{}', NULL)")
	id := []Column{{Name: "id"}}
	for _, c := range []struct {
		left, right  string
		key, compare []Column
		want         string
	}{
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id DESC", id, nil, "right is out of order: the key 10 came before 2; ORDER BY the key columns (id as numbers)"},
		{"SELECT * FROM t ORDER BY name", "SELECT * FROM t ORDER BY CAST(name AS BINARY)", []Column{{Name: "name"}}, nil, "left is out of order: the key a came before B; name is ordered by the bytes of its text, not by a collation: ORDER BY CAST(name AS BINARY)"},
		{"SELECT * FROM t ORDER BY CAST(id AS CHAR)", "SELECT * FROM t ORDER BY CAST(id AS CHAR)", id, nil, "is out of order: the key 10 came before 2"},
		{"SELECT 1 AS id UNION ALL SELECT 1", "SELECT * FROM t ORDER BY id", id, nil, "left: two rows have the key 1: choose columns that identify a row"},
		{"SELECT * FROM t ORDER BY id", "SELECT NULLIF(id, 2) AS id FROM t WHERE id > 1 ORDER BY t.id", id, nil, `right: column "id": a key column is NULL`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", id, []Column{{Name: "n", Kind: KindInteger}}, `right: column "n" of the row with the key 2 is "2x", which is no whole number: correct the data, or Column.Kind (integer)`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", id, []Column{{Name: "n"}}, `column "n" is integer (INT) in left but text (VARCHAR) in right: set Column.Kind`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", id, []Column{{Name: "j"}}, `column "j" is JSON (JSON) in left but text`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", id, []Column{{Name: "at", Kind: KindDate}}, `column "at" of the row with the key 2 is "2026-01-01`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", []Column{{Name: "f"}}, nil, `key column "f" is float, which has no exact order`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", id, []Column{{Name: "at", Fold: true}}, `column "at" is time, and Column.Fold is for text only`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", id, []Column{{Name: "id2"}}, `there is no column "id2", only id, name`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", id, []Column{{Name: "name", Right: "nom"}}, `right: there is no column "nom", only id, name`},
		{"SELECT id, n, n FROM t ORDER BY id", "SELECT * FROM t ORDER BY id", id, nil, `left: the result has two columns named "n"`},
		{"SELECT * FROM t ORDER BY id", "SELECT * FROM missing", id, nil, "right: query: Error 1146"},
		{"SELECT * FROM t ORDER BY id", "DELETE FROM t", id, nil, "right: "},
		{"SELECT * FROM t WHERE id < 0 ORDER BY id", "SELECT * FROM t WHERE id < 0 ORDER BY id", id, nil, "looked at nothing"},
		{"SELECT * FROM t ORDER BY id; DELETE FROM t", "SELECT * FROM t", id, nil, "second statement"},
	} {
		r := Reconcile{Meta: Meta{Name: "x", Timeout: 10 * time.Second}, Left: Query{DB: left, SQL: c.left}, Right: Query{DB: right, SQL: c.right}, Key: c.key, Compare: c.compare}
		f, err := r.Run(t.Context())
		require.ErrorContains(t, err, c.want, "%s | %s", c.left, c.right)
		require.Zero(t, f)
	}
	// One side empty is no reason to be quiet, nor to be unsure.
	r := Reconcile{Left: Query{DB: left, SQL: "SELECT * FROM t ORDER BY id"}, Right: Query{DB: right, SQL: "SELECT * FROM t WHERE id < 0"}, Key: id}
	f, err := r.Run(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(3), f.Total)
	require.Equal(t, []Count{{"missing in left", 0}, {"missing in right", 3}, {"different", 0}}, f.Breakdown)

	// The table is emptied on both sides between the looks: healed by vanishing is not healed.
	exec(t, left, "DELETE FROM t")
	_, err = r.Recheck(t.Context(), f.Violations)
	require.ErrorIs(t, err, errNothingExamined)
}

func TestFuncSourcesThatCannotBeComparedAreUnknown(t *testing.T) {
	for want, c := range map[string]struct {
		kind  Kind
		value any
	}{
		"which is no whole number":               {KindInteger, 1.5},
		"is no exact integer":                    {KindInteger, 1e300},
		`is "x", which is no decimal number`:     {KindDecimal, "x"},
		`is "1e401", which is no decimal number`: {KindDecimal, "1e401"},
		"which is no floating-point number":      {KindFloat, "0x10"},
		"which is no date and time":              {KindTime, "2026-02-30 00:00:00"},
		"which is no date (":                     {KindDate, "2026-01-01 00:00:01"},
		"which is neither true nor false":        {KindBool, 2},
		"which is not JSON":                      {KindJSON, "{"},
		"cannot be compared as text":             {KindText, struct{}{}},
		"unsupported type: chan int":             {KindJSON, make(chan int)},
	} {
		r := Reconcile{Left: oneRow(1, Field{"v", c.value}), Right: oneRow(1, Field{"v", nil}), Key: []Column{{Name: "id", Kind: KindInteger}}, Compare: []Column{{Name: "v", Kind: c.kind}}}
		_, err := r.Run(t.Context())
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, `left: column "v"`)
		require.True(t, isPermanent(err), want)
		r.Mask = []string{"V"}
		_, err = r.Run(t.Context())
		require.NotContains(t, err.Error(), `"x"`)
	}
	r := Reconcile{Left: oneRow(1), Right: oneRow(1), Key: []Column{{Name: "nr", Kind: KindInteger}}}
	_, err := r.Run(t.Context())
	require.ErrorContains(t, err, `a row has no column "nr", only id`)
	r.Key[0].Name = "id"
	r.Left = FuncSource(func(context.Context, []any) iter.Seq2[Row, error] { return nil })
	_, err = r.Run(t.Context())
	require.ErrorContains(t, err, "left: the source returned no sequence (nil)")
	r.Left = FuncSource(func(context.Context, []any) iter.Seq2[Row, error] { panic("oh") })
	_, err = r.Run(t.Context())
	require.ErrorContains(t, err, "left: it panicked: oh")
}

func TestFuncSourceThatFailsInTheMiddleIsUnknown(t *testing.T) {
	broken := errors.New("the API is down")
	numbers := func(n int, err error) FuncSource {
		return func(ctx context.Context, _ []any) iter.Seq2[Row, error] {
			return func(yield func(Row, error) bool) {
				for i := range n {
					if !yield(Row{{"id", i}}, nil) {
						return
					}
				}
				if err != nil {
					yield(nil, err)
				}
			}
		}
	}
	r := Reconcile{Left: numbers(5000, nil), Right: numbers(3000, broken), Key: []Column{{Name: "id", Kind: KindInteger}}}
	for _, n := range []int{0, 1, batchRows - 1, batchRows, batchRows + 1, 3000, 5000} {
		r.Right = numbers(n, broken)
		_, err := r.Run(t.Context())
		require.ErrorIs(t, err, broken)
		require.ErrorContains(t, err, "right: the API is down")
		r.Left, r.Right = r.Right, numbers(5000, nil)
		_, err = r.Run(t.Context())
		require.ErrorIs(t, err, broken)
		r.Left = numbers(5000, nil)
	}
	// A source that just stops when its context ends has not said that it has no more rows.
	for _, n := range []int{0, 1, batchRows} {
		stops := FuncSource(func(ctx context.Context, _ []any) iter.Seq2[Row, error] {
			return func(yield func(Row, error) bool) {
				for i := range n {
					yield(Row{{"id", i}}, nil)
				}
				<-ctx.Done()
			}
		})
		r.Left, r.Right, r.Timeout = numbers(2*batchRows, nil), stops, 50*time.Millisecond
		_, err := r.Run(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded, n)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	r.Timeout = time.Minute
	time.AfterFunc(20*time.Millisecond, func() { cancel(broken) })
	_, err := r.Run(ctx)
	require.ErrorIs(t, err, broken)
}

func TestQueryOnAnotherDatabase(t *testing.T) {
	// go-sqlmock stands for a driver that is not MySQL's: the probe fails, read-only transactions work, types are told.
	reading := func(rows func() *sqlmock.Rows) Query {
		db, mock, err := sqlmock.New()
		require.NoError(t, err)
		mock.MatchExpectationsInOrder(true)
		for range 2 {
			mock.ExpectQuery("version_comment").WillReturnError(errors.New(`pq: column "version_comment" does not exist`))
			mock.ExpectBegin()
			mock.ExpectQuery("SELECT id").WillReturnRows(rows())
			mock.ExpectRollback()
		}
		t.Cleanup(func() { _ = db.Close() })
		return Query{DB: db, SQL: "SELECT id, at, v FROM t ORDER BY id"}
	}
	columns := func() *sqlmock.Rows {
		return sqlmock.NewRowsWithColumnDefinition(sqlmock.NewColumn("id").OfType("INT8", int64(0)), sqlmock.NewColumn("at").OfType("TIMESTAMPTZ", time.Time{}), sqlmock.NewColumn("v").OfType("BOOL", true))
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := Reconcile{
		Left: reading(func() *sqlmock.Rows { return columns().AddRow(int64(1), at, true).AddRow(int64(2), at, true) }),
		Right: reading(func() *sqlmock.Rows {
			return columns().AddRow(int64(1), at.In(time.FixedZone("", 3600)), true).AddRow(int64(2), at.Add(1), false)
		}),
		Key: []Column{{Name: "id"}}, Compare: []Column{{Name: "at"}, {Name: "v"}},
	}
	f, err := r.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, f.Violations, 1)
	require.Equal(t, Row{{"id", int64(2)}, {"difference", "at, v"}, {"left.at", at}, {"right.at", at.Add(1)}, {"left.v", true}, {"right.v", false}}, f.Violations[0].Row)
	still, err := r.Recheck(t.Context(), f.Violations) // reads everything again
	require.NoError(t, err)
	require.Equal(t, f.Violations, still)
}

func TestAnUnknownTypeHasToBeDeclared(t *testing.T) {
	left, right := resolvedColumn{name: "v", typ: "HLLSKETCH"}, resolvedColumn{name: "v", typ: "VARCHAR", kind: KindText}
	_, err := agreeKind(Column{Name: "v"}, [2]resolvedColumn{left, right}, [2]string{"a", "b"})
	require.ErrorContains(t, err, `column "v": the kind of its values is not declared and a says HLLSKETCH, which could be several kinds: set Column.Kind`)
	require.Equal(t, fmt.Sprint(KindAuto, KindJSON, Kind(-1), Kind(10)), "auto JSON Kind(-1) Kind(10)")
}
