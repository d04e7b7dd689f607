-- db: shop
-- key: id
-- owner: payments
-- severity: critical
-- runbook: https://wiki.example/repair-payments
-- population: SELECT COUNT(*) FROM orders
-- mask: email
-- retry: 3 every 10s
-- remind: 24h
-- An order that is paid has a payment; the payment service writes it a moment later.
SELECT o.id, o.email, o.amount, o.paid_at
FROM orders o
LEFT JOIN payments p ON p.order_id = o.id
WHERE o.paid_at IS NOT NULL AND p.order_id IS NULL
ORDER BY o.id
