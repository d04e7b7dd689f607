package plantest

import (
	"context"
	"time"

	"gorm.io/gorm"
)

// Customer is a row of customers.
type Customer struct {
	ID           int64
	TenantID     int64
	Name         string
	DeletedAt    gorm.DeletedAt
	Reservations []Reservation
}

// Reservation is a row of reservations.
type Reservation struct {
	ID         int64     `db:"id"`
	CustomerID int64     `db:"customer_id"`
	Status     string    `db:"status"`
	ReservedOn time.Time `db:"reserved_on"`
}

// GORM is the service on GORM.
type GORM struct{ DB *gorm.DB }

// Page returns a tenant's customers with their reservations, one query for each customer.
func (s GORM) Page(ctx context.Context, tenant int64) ([]Customer, error) {
	var customers []Customer
	if err := s.DB.WithContext(ctx).Where("tenant_id = ?", tenant).Order("id").Limit(50).Find(&customers).Error; err != nil {
		return nil, err
	}
	for i := range customers {
		c := &customers[i]
		if err := s.DB.WithContext(ctx).Where("customer_id = ?", c.ID).Find(&c.Reservations).Error; err != nil { // N+1
			return nil, err
		}
	}
	return customers, nil
}

// PagePreloaded returns the same with two queries.
func (s GORM) PagePreloaded(ctx context.Context, tenant int64) ([]Customer, error) {
	var customers []Customer
	err := s.DB.WithContext(ctx).Preload("Reservations").Where("tenant_id = ?", tenant).Order("id").Limit(50).Find(&customers).Error
	return customers, err
}

// Pending counts the reservations that wait for confirmation.
func (s GORM) Pending(ctx context.Context) (n int64, err error) {
	err = s.DB.WithContext(ctx).Model(&Reservation{}).Where("status = ?", "pending").Count(&n).Error // no index on status
	return n, err
}

// Register adds a customer with a first reservation and returns it as it was stored.
func (s GORM) Register(ctx context.Context, tenant int64, name string, on time.Time) (Customer, error) {
	var stored Customer
	err := s.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		c := Customer{TenantID: tenant, Name: name, Reservations: []Reservation{{Status: "pending", ReservedOn: on}}}
		if err := tx.Create(&c).Error; err != nil {
			return err
		}
		// Nobody else sees the row yet.
		return tx.Joins("JOIN reservations r ON r.customer_id = customers.id").First(&stored, "customers.id = ?", c.ID).Error
	})
	return stored, err
}
