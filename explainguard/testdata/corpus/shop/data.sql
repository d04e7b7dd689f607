-- User 1 is a reseller with every twentieth order; product 1 is in a tenth of the orders; most orders are done.
SET SESSION cte_max_recursion_depth = 1000000;
INSERT INTO users WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 15000)
  SELECT n, CONCAT('u', n, '@example.com'), CONCAT('user', n), IF(n % 10 < 7, 'JP', IF(n % 10 < 9, 'US', ELT(1 + n % 7, 'DE', 'FR', 'IT', 'ES', 'SE', 'NO', 'FI'))), IF(n % 30 = 0, 'locked', 'active'),
    TIMESTAMP '2020-01-01 00:00:00' + INTERVAL n * 2 HOUR, IF(n % 4 = 0, NULL, TIMESTAMP '2024-01-01 00:00:00' + INTERVAL CRC32(CONCAT('l', n)) % 300 DAY) FROM s;
INSERT INTO categories WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 120) SELECT n, IF(n <= 8, NULL, 1 + (n - 9) DIV 6), CONCAT('category', n) FROM s;
INSERT INTO products WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 6000)
  SELECT n, 1 + CRC32(CONCAT('pc', n)) % 120, CONCAT('SKU', LPAD(n, 8, '0')), CONCAT(ELT(1 + n % 6, 'red', 'green', 'blue', 'large', 'small', 'used'), ' ', ELT(1 + n % 9, 'lamp', 'table', 'chair', 'phone', 'bag', 'shoe', 'hat', 'mug', 'book'), ' ', n),
    100 + CRC32(CONCAT('pp', n)) % 9900, n % 20 <> 0, TIMESTAMP '2021-01-01 00:00:00' + INTERVAL n HOUR FROM s;
INSERT INTO stock SELECT p.id, w.n, CRC32(CONCAT('s', p.id, '/', w.n)) % 50 FROM products p JOIN (SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3) w ORDER BY 1, 2;
INSERT INTO orders WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 30000)
  SELECT n, IF(n % 20 = 0, 1, 2 + CRC32(CONCAT('ou', n)) % 9000), IF(n > 29700, 'open', IF(n % 15 = 0, 'returned', IF(n % 50 = 1, 'cancelled', 'done'))), 500 + CRC32(CONCAT('ot', n)) % 50000,
    IF(n % 25 = 0, CONCAT('C', n % 100), NULL), TIMESTAMP '2022-01-01 00:00:00' + INTERVAL n * 50 MINUTE FROM s;
INSERT INTO order_items (order_id, product_id, qty, price)
  SELECT o.id, IF(l.n = 1 AND o.id % 10 = 0, 1, 1 + CRC32(CONCAT('ip', o.id, '/', l.n)) % 6000), 1 + (o.id + l.n) % 3, 100 + (o.id * 7 + l.n) % 5000 FROM orders o JOIN (SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3) l ON l.n <= 1 + o.id % 3 ORDER BY 1, l.n;
INSERT INTO reviews (product_id, user_id, stars, body, created_at) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 20000)
  SELECT IF(n % 8 = 0, 1, 1 + CRC32(CONCAT('rp', n)) % 6000), 1 + CRC32(CONCAT('ru', n)) % 9000, 1 + (n % 11) DIV 2 - (n % 11 = 10), CONCAT('review ', n), TIMESTAMP '2022-06-01 00:00:00' + INTERVAL n HOUR FROM s;
INSERT INTO carts (user_id, token, updated_at) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 8000)
  SELECT IF(n % 3 = 0, NULL, 1 + CRC32(CONCAT('cu', n)) % 9000), CONCAT('t', LPAD(n, 15, '0')), TIMESTAMP '2024-01-01 00:00:00' + INTERVAL n * 30 MINUTE FROM s;
INSERT INTO cart_items SELECT c.id, 1 + CRC32(CONCAT('ci', c.id, '/', l.n)) % 6000, 1 + c.id % 2 FROM carts c JOIN (SELECT 1 n UNION ALL SELECT 2) l ON l.n <= 1 + c.id % 2 ORDER BY 1, 2;
INSERT INTO coupons WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n+1 FROM s WHERE n < 99) SELECT CONCAT('C', n), 5 + n % 20, DATE '2025-01-01' + INTERVAL n DAY FROM s;
