package explainguard_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/tashikame-go/tashikame/explainguard"
	"github.com/tashikame-go/tashikame/internal/servers"
)

// openWrapped opens a pool as a program does, with rec in between.
func openWrapped(dsn string, rec *explainguard.Recorder) (*sql.DB, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(explainguard.Wrap(connector, rec)), nil
}

// smartListPage is a page as in the package's story: one query for the customers, one for those that match a saved condition. It would rather
// show the page without its badges than not at all.
func smartListPage(ctx context.Context, db *sql.DB) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var customers int
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM orders WHERE customer_id < ?", 50).Scan(&customers); err != nil {
		return "", err
	}
	brief, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var matching int
	err := db.QueryRowContext(brief, "SELECT COUNT(*) FROM orders WHERE total > ?", 900).Scan(&matching)
	if errors.Is(err, context.DeadlineExceeded) {
		return "page without badges", nil
	}
	if err != nil {
		return "no page", err
	}
	return "page with badges", nil
}

// The first query passes, the second hangs: the case that was never tested.
func ExampleRecorder_Inject() {
	_ = func(t *testing.T) {
		rec := &explainguard.Recorder{}
		db, err := openWrapped(servers.MySQL(t).DSN, rec)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()

		rec.Inject(t, explainguard.Fault{Contains: "FROM orders", Skip: 1, Delay: explainguard.Hang})
		page, err := smartListPage(t.Context(), db)
		if err != nil || page != "page without badges" {
			t.Errorf("%q, %v", page, err)
		}
	}
}

func ExampleRecorder_Arm() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	rec := &explainguard.Recorder{}
	db, err := openWrapped(s.DSN, rec)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	tooLong := &mysql.MySQLError{Number: 3024, Message: "maximum statement execution time exceeded"}
	for _, fault := range []explainguard.Fault{
		{Contains: "total > ?", Delay: time.Nanosecond},                                         // slow, but not too slow
		{Contains: "FROM orders", Skip: 1, Delay: explainguard.Hang},                            // the first passes, the second hangs
		{Contains: "total > ?", When: explainguard.InRows, Err: tooLong},                        // as the server ends it
		{Contains: "customer_id", Times: 1, Drop: true, Err: driver.ErrBadConn},                 // an idle connection had died: tried again
		{Contains: "FROM bookings", When: explainguard.AfterExecution, Err: errors.New("lost")}, // not in this program
	} {
		disarm, err := rec.Arm(fault)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(smartListPage(ctx, db))
		if err := disarm(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// page with badges <nil>
	// page without badges <nil>
	// no page Error 3024: maximum statement execution time exceeded
	// page with badges <nil>
	// page with badges <nil>
	// explainguard: fault "FROM bookings" never struck: no statement matched; is it run through the wrapped driver, with this Recorder?
}

func ExampleWrap() {
	ctx := context.Background()
	s, err := orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	config, err := mysql.ParseDSN(s.DSN)
	if err != nil {
		log.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		log.Fatal(err)
	}

	db := sql.OpenDB(explainguard.Wrap(connector, &explainguard.Recorder{}))
	defer db.Close()
	var n int
	fmt.Println(db.QueryRowContext(ctx, "SELECT COUNT(*) FROM orders").Scan(&n), n)
	// Output: <nil> 2000
}

// Libraries that want a driver's name get one; sqlx, for example, as sqlx.NewDb(db, "mysql"), so that it knows the dialect.
func ExampleRegister() {
	rec := &explainguard.Recorder{}
	if err := explainguard.Register("mysql-recorded", &mysql.MySQLDriver{}, rec); err != nil {
		log.Fatal(err)
	}
	s, err := servers.StartMySQL(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	db, err := sql.Open("mysql-recorded", s.DSN)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	fmt.Println(db.Ping(), explainguard.Register("mysql", &mysql.MySQLDriver{}, rec) != nil)
	// Output: <nil> true
}

// Tests that run in parallel on one pool each have a Recorder of their own.
func ExampleWithRecorder() {
	s, err := servers.StartMySQL(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	db, err := sql.Open(explainguard.DriverName, s.DSN)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	mine := &explainguard.Recorder{}
	disarm, err := mine.Arm(explainguard.Fault{Contains: "SELECT", Err: errors.New("not today")})
	if err != nil {
		log.Fatal(err)
	}
	var n int
	fmt.Println(db.QueryRowContext(context.Background(), "SELECT 1").Scan(&n))
	fmt.Println(db.QueryRowContext(explainguard.WithRecorder(context.Background(), mine), "SELECT 1").Scan(&n))
	fmt.Println(disarm())
	// Output:
	// <nil>
	// not today
	// <nil>
}

func ExampleUnwrap() {
	ctx := context.Background()
	s, err := servers.StartMySQL(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	db, err := sql.Open(explainguard.DriverName, s.DSN)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(driverConn any) error {
		fmt.Printf("%T\n", explainguard.Unwrap(driverConn))
		return nil
	})
	fmt.Println(err)
	// Output:
	// *mysql.mysqlConn
	// <nil>
}
