-- Every paid order has an invoice of the same amount in the billing service, and no invoice is without an order.
-- key: id integer
-- compare: amount decimal scale=2
-- owner: billing
-- retry: 3 every 10s
-- remind: 24h

-- left: shop
SELECT id, amount FROM orders WHERE paid_at IS NOT NULL ORDER BY id;

-- right: billing
SELECT order_id AS id, total AS amount FROM invoices ORDER BY order_id;
