-- Story 2's schema: customers, pages and reservations of 5,000 tenants, tenant 1 with a tenth of all customers.

-- name: story
SELECT DISTINCT customers.* FROM customers
LEFT JOIN (SELECT c.id AS customer_id, COUNT(r.id) AS n, MAX(r.reserved_on) AS last_on FROM customers c LEFT JOIN pages p ON p.tenant_id = c.tenant_id
  LEFT JOIN reservations r ON r.customer_id = c.id AND r.page_id = p.id WHERE c.tenant_id = 1 AND p.id IN (1, 2) GROUP BY c.id) AS st ON st.customer_id = customers.id
WHERE customers.tenant_id = 1 AND st.last_on = '2024-01-05' AND customers.id IN (1, 2, 3, 4, 5);

-- name: story_fixed
SELECT DISTINCT customers.* FROM customers
LEFT JOIN (SELECT c.id AS customer_id, COUNT(r.id) AS n, MAX(r.reserved_on) AS last_on FROM customers c LEFT JOIN pages p ON p.tenant_id = c.tenant_id
  LEFT JOIN reservations r ON r.customer_id = c.id AND r.page_id = p.id WHERE c.tenant_id = 1 AND c.id IN (1, 2, 3, 4, 5) AND p.id IN (1, 2) GROUP BY c.id) AS st ON st.customer_id = customers.id
WHERE customers.tenant_id = 1 AND st.last_on = '2024-01-05' AND customers.id IN (1, 2, 3, 4, 5);

-- name: story_small_tenant
-- The same statement for a tenant of 36 customers reads little: the rule knows what it costs here and now.
SELECT DISTINCT customers.* FROM customers
LEFT JOIN (SELECT c.id AS customer_id, COUNT(r.id) AS n, MAX(r.reserved_on) AS last_on FROM customers c LEFT JOIN pages p ON p.tenant_id = c.tenant_id
  LEFT JOIN reservations r ON r.customer_id = c.id AND r.page_id = p.id WHERE c.tenant_id = 77 GROUP BY c.id) AS st ON st.customer_id = customers.id
WHERE customers.tenant_id = 77 AND st.n > 1 AND customers.id IN (20075, 25075, 30075);

-- name: story_one_customer
-- known: false alarm max-execution-time: the estimate, within 2× of reality, lies on the other side of the budget
SELECT customers.id, st.n FROM customers JOIN (SELECT r.customer_id, COUNT(*) AS n FROM reservations r JOIN customers c ON c.id = r.customer_id WHERE c.tenant_id = 1 GROUP BY r.customer_id) st ON st.customer_id = customers.id WHERE customers.id = 7;

-- name: count_per_customer_bad
SELECT c.id, x.n FROM customers c LEFT JOIN (SELECT customer_id, COUNT(*) AS n FROM reservations WHERE tenant_id = 1 GROUP BY customer_id) x ON x.customer_id = c.id WHERE c.id IN (10, 11, 12);

-- name: count_per_customer_pushed
SELECT x.n FROM (SELECT customer_id, COUNT(*) AS n FROM reservations WHERE tenant_id = 1 GROUP BY customer_id) x WHERE x.customer_id IN (10, 11, 12);

-- name: count_per_customer_correlated
SELECT c.id, (SELECT COUNT(*) FROM reservations r WHERE r.customer_id = c.id) AS n FROM customers c WHERE c.tenant_id = 77;

-- name: count_per_customer_correlated_big
-- known: false alarm max-execution-time: the estimate, within 2× of reality, lies on the other side of the budget
SELECT c.id, (SELECT COUNT(*) FROM reservations r WHERE r.customer_id = c.id) AS n FROM customers c WHERE c.tenant_id = 1;

-- name: customers_page
SELECT * FROM customers WHERE tenant_id = 1 ORDER BY id LIMIT 50;

-- name: customers_page_deep
SELECT * FROM customers WHERE tenant_id = 1 ORDER BY id LIMIT 50 OFFSET 15000;

-- name: customers_page_by_name
SELECT * FROM customers WHERE tenant_id = 1 ORDER BY name LIMIT 50;

-- name: customers_small_tenant
SELECT * FROM customers WHERE tenant_id = 4000 ORDER BY name;

-- name: customers_with_reservation
SELECT c.id FROM customers c WHERE c.tenant_id = 77 AND EXISTS (SELECT 1 FROM reservations r WHERE r.customer_id = c.id AND r.reserved_on > '2024-06-01');

-- name: customers_with_reservation_big
-- known: false alarm max-execution-time: the estimate, within 2× of reality, lies on the other side of the budget
SELECT c.id FROM customers c WHERE c.tenant_id = 1 AND EXISTS (SELECT 1 FROM reservations r WHERE r.customer_id = c.id AND r.reserved_on > '2024-06-01');

-- name: customers_without_reservation
SELECT c.id FROM customers c LEFT JOIN reservations r ON r.customer_id = c.id WHERE c.tenant_id = 77 AND r.id IS NULL;

-- name: reservations_of_page
SELECT r.* FROM reservations r WHERE r.page_id = 3 AND r.tenant_id = 1 ORDER BY r.id LIMIT 20;

-- name: reservations_of_small_page
SELECT r.* FROM reservations r WHERE r.page_id = 5003;

-- name: reservations_of_day
SELECT COUNT(*) FROM reservations WHERE tenant_id = 77 AND reserved_on = '2024-03-01';

-- name: reservations_of_day_everywhere
SELECT COUNT(*) FROM reservations WHERE reserved_on = '2024-03-01';

-- name: pages_and_counts
SELECT p.id, COUNT(r.id) FROM pages p LEFT JOIN reservations r ON r.page_id = p.id WHERE p.tenant_id = 77 GROUP BY p.id;

-- name: pages_and_counts_big
-- known: estimate: the average page has 20 reservations, those of the big tenant 4,000: averages hide skew, as in story 2
-- known: miss rows-budget: the average page has 20 reservations, those of the big tenant 4,000: averages hide skew, as in story 2
SELECT p.id, COUNT(r.id) FROM pages p LEFT JOIN reservations r ON r.page_id = p.id WHERE p.tenant_id = 1 GROUP BY p.id;

-- name: tenants_top
-- known: miss sort-temporary: documented: what is sorted or kept are groups, whose number the server does not tell; full-scan or rows-budget names the reading
SELECT tenant_id, COUNT(*) AS n FROM reservations GROUP BY tenant_id ORDER BY n DESC LIMIT 10;

-- name: join_three_small
SELECT c.name, p.name, r.reserved_on FROM customers c JOIN reservations r ON r.customer_id = c.id JOIN pages p ON p.id = r.page_id WHERE c.tenant_id = 123;

-- name: join_three_big
SELECT COUNT(*) FROM customers c JOIN reservations r ON r.customer_id = c.id JOIN pages p ON p.id = r.page_id WHERE c.tenant_id = 1 AND p.name LIKE 'p1%';

-- name: last_reservation_lateral
SELECT c.id, l.reserved_on FROM customers c JOIN LATERAL (SELECT r.reserved_on FROM reservations r WHERE r.customer_id = c.id ORDER BY r.id DESC LIMIT 1) l WHERE c.id IN (1, 2, 3, 4, 5);

-- name: write_rename
UPDATE customers SET name = 'x' WHERE tenant_id = 77;

-- name: write_cancel_join
DELETE r FROM reservations r JOIN customers c ON c.id = r.customer_id WHERE c.tenant_id = 78;

-- name: write_move_tenant_bad
UPDATE reservations SET tenant_id = 2 WHERE reserved_on = '2024-03-01' AND page_id IN (1, 2);
