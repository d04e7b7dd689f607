package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tashikame-go/tashikame/consistency"
)

// inconsistency plants two orders without a payment: one that is only late, and one that lost it. Only the second may be
// convicted.
func inconsistency(ctx context.Context, say sayer, db *sql.DB) error {
	say.title("1  consistency: do our services agree?")
	for _, statement := range []string{
		`CREATE TABLE orders (id BIGINT PRIMARY KEY, customer VARCHAR(64), amount DECIMAL(10,2), paid_at DATETIME)`,
		`CREATE TABLE payments (order_id BIGINT PRIMARY KEY, amount DECIMAL(10,2))`,
		`INSERT INTO orders WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
			SELECT i, CONCAT('お客様 ', i), i * 1.10, '2026-11-01 09:00:00' FROM n`,
		`INSERT INTO payments SELECT id, amount FROM orders WHERE id NOT IN (417, 733)`,
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	say("1,000 orders are paid. The payment of order 417 was lost; that of order 733 is only on its way.")

	// A check is a SQL that finds rows which must not be there.
	check := consistency.SQL{
		Meta: consistency.Meta{
			Name:    "orders-without-payment",
			Owner:   "payments",
			Runbook: "https://wiki.example/repair-payments",
			Retry:   &consistency.Retry{Attempts: 3, Delay: 300 * time.Millisecond}, // short, for the demo; leave it out: three looks within 30 s
		},
		DB: db, // an account that may only SELECT, best on a replica
		Query: `SELECT o.id, o.customer, o.amount FROM orders o LEFT JOIN payments p ON p.order_id = o.id
			WHERE o.paid_at IS NOT NULL AND p.order_id IS NULL`,
		Key:        []string{"id"},
		Population: `SELECT COUNT(*) FROM orders`,
	}
	run := func(check consistency.Check) (consistency.Result, error) {
		out := arrow{say}
		runner := consistency.Runner{
			Checks:    []consistency.Check{check},
			Notifiers: []consistency.Notifier{consistency.JSONNotifier{Writer: out}},
		}
		summary, err := runner.Run(ctx)
		if err != nil {
			return consistency.Result{}, err
		}
		return summary.Results[0], nil
	}

	late := &onceLooked{SQL: check, then: func() error {
		_, err := db.ExecContext(ctx, `INSERT INTO payments SELECT id, amount FROM orders WHERE id = 733`)
		return err
	}}
	result, err := run(late)
	if err != nil {
		return err
	}
	if result.Outcome != consistency.Inconsistent || result.Total != 1 || result.Violations[0].Key != "417" || result.Healed.Rows != 1 {
		return fmt.Errorf("order 417 alone should have been convicted, and 733 have healed: %+v", result)
	}
	say("Order 733 healed by itself before the second look, and nobody was woken up for it. Order 417 stayed wrong in all %d looks.", result.Attempts)

	say("\nSomebody repairs order 417, and the check stays, to prove it:")
	if _, err := db.ExecContext(ctx, `INSERT INTO payments SELECT id, amount FROM orders WHERE id = 417`); err != nil {
		return err
	}
	if result, err = run(check); err != nil {
		return err
	}
	if result.Outcome != consistency.Consistent {
		return fmt.Errorf("the repaired data should be consistent: %+v", result)
	}

	say("\nA migration renames the table. The check cannot tell any more, so it does not say that all is well:")
	if _, err := db.ExecContext(ctx, `RENAME TABLE payments TO payments_v2`); err != nil {
		return err
	}
	if result, err = run(check); err != nil {
		return err
	}
	if result.Outcome != consistency.Unknown {
		return fmt.Errorf("a check whose table is gone should be unknown: %+v", result)
	}
	return nil
}

// arrow prints what the library writes.
type arrow struct{ say sayer }

func (a arrow) Write(line []byte) (int, error) {
	a.say("→ %s", strings.TrimSpace(string(line)))
	return len(line), nil
}

// onceLooked lets something happen right after the first look.
type onceLooked struct {
	consistency.SQL
	then func() error
	once sync.Once
}

func (c *onceLooked) Run(ctx context.Context) (consistency.Findings, error) {
	findings, err := c.SQL.Run(ctx)
	c.once.Do(func() { err = errors.Join(err, c.then()) })
	return findings, err
}
