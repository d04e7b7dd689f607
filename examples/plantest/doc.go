// Package plantest is a small booking service, once on GORM and once on sqlx, whose tests are guarded: all that explainguard needs is
// the line that opens the pool.
//
//	db := guard.Open(t, dsn) // was: sql.Open("mysql", dsn)
package plantest

// Schema creates the tables.
var Schema = []string{
	`CREATE TABLE customers (id BIGINT PRIMARY KEY AUTO_INCREMENT, tenant_id BIGINT NOT NULL, name VARCHAR(80) NOT NULL, deleted_at DATETIME NULL,
		KEY ix_customers_tenant (tenant_id))`,
	`CREATE TABLE reservations (id BIGINT PRIMARY KEY AUTO_INCREMENT, customer_id BIGINT NOT NULL, status VARCHAR(20) NOT NULL, reserved_on DATE NOT NULL,
		KEY ix_reservations_customer (customer_id))`,
}
