package plantest

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// SQLX is the service on sqlx.
type SQLX struct{ DB *sqlx.DB }

// Names returns the names of customers.
func (s SQLX) Names(ctx context.Context, ids []int64) (names []string, err error) {
	query, args, err := sqlx.In("SELECT name FROM customers WHERE id IN (?) ORDER BY id", ids)
	if err != nil {
		return nil, err
	}
	err = s.DB.SelectContext(ctx, &names, s.DB.Rebind(query), args...)
	return names, err
}

// Latest returns the latest reservation of a customer.
func (s SQLX) Latest(ctx context.Context, customer int64) (r Reservation, err error) {
	err = s.DB.GetContext(ctx, &r, "SELECT id, customer_id, status, reserved_on FROM reservations WHERE customer_id = ? ORDER BY reserved_on DESC LIMIT 1", customer)
	return r, err
}

// Cancel cancels the reservations of a customer.
func (s SQLX) Cancel(ctx context.Context, customer int64) error {
	_, err := s.DB.NamedExecContext(ctx, "UPDATE reservations SET status = :status WHERE customer_id = :customer",
		map[string]any{"status": "cancelled", "customer": customer})
	return err
}

// Search finds customers by a part of their name.
func (s SQLX) Search(ctx context.Context, part string) (names []string, err error) {
	err = s.DB.SelectContext(ctx, &names, "SELECT name FROM customers WHERE name LIKE CONCAT('%', ?, '%')", part) // reads every customer
	return names, err
}
