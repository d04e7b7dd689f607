-- A small shop. Row counts are chosen so that the optimizer's choices do not hang on a knife's edge.
CREATE TABLE customers (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, tenant_id BIGINT NOT NULL, name VARCHAR(64) NOT NULL, email VARCHAR(64),
  KEY ix_tenant (tenant_id), UNIQUE KEY ux_email (email));
CREATE TABLE orders (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, customer_id BIGINT NOT NULL, status VARCHAR(16) NOT NULL, total INT NOT NULL, placed_on DATE NOT NULL,
  KEY ix_customer (customer_id), KEY ix_placed (placed_on), KEY ix_status (status));
CREATE TABLE items (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, order_id BIGINT NOT NULL, product_id BIGINT NOT NULL, qty INT NOT NULL,
  KEY ix_order (order_id), KEY ix_product (product_id));
CREATE TABLE products (id BIGINT PRIMARY KEY AUTO_INCREMENT, parent_id BIGINT, sku VARCHAR(32) NOT NULL, price INT NOT NULL, KEY ix_parent (parent_id), KEY ix_price (price));
CREATE TABLE notes (id BIGINT PRIMARY KEY AUTO_INCREMENT, body VARCHAR(100) NOT NULL);
CREATE TABLE nothing (id BIGINT PRIMARY KEY, v INT NOT NULL);
CREATE TABLE `顧客` (id BIGINT PRIMARY KEY AUTO_INCREMENT, `名前` VARCHAR(64) NOT NULL, `部署` INT NOT NULL, KEY `索引_部署` (`部署`));
CREATE TABLE visits (
  id BIGINT AUTO_INCREMENT, customer_id BIGINT NOT NULL, day INT NOT NULL, page INT NOT NULL, PRIMARY KEY (id, day), KEY ix_day_page (day, page), KEY ix_page (page))
  PARTITION BY RANGE (day) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (200), PARTITION p2 VALUES LESS THAN MAXVALUE);
CREATE TABLE docs (id BIGINT PRIMARY KEY AUTO_INCREMENT, body VARCHAR(200) NOT NULL, kind INT NOT NULL, a INT NOT NULL, b INT, FULLTEXT KEY ft_body (body), KEY ix_kind_a (kind, a), KEY ix_b (b));
/*!80000 SET SESSION cte_max_recursion_depth = 100000 *//*M! SET SESSION max_recursive_iterations = 100000 */;
INSERT INTO customers (tenant_id, name, email) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 2000) SELECT 1 + n % 20, CONCAT('c', n), CONCAT('c', n, '@example.com') FROM s;
INSERT INTO orders (customer_id, status, total, placed_on) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 6000) SELECT 1 + n % 2000, ELT(1 + n % 4, 'new', 'paid', 'sent', 'done'), n % 500, DATE '2024-01-01' + INTERVAL (n % 300) DAY FROM s;
INSERT INTO items (order_id, product_id, qty) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 18000) SELECT 1 + n % 6000, 1 + n % 200, 1 + n % 3 FROM s;
INSERT INTO products (parent_id, sku, price) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 200) SELECT IF(n = 1, NULL, n DIV 2), CONCAT('sku', n), n FROM s;
INSERT INTO notes (body) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 500) SELECT CONCAT('n', n) FROM s;
INSERT INTO `顧客` (`名前`, `部署`) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 1000) SELECT CONCAT('山田', n), n % 10 FROM s;
INSERT INTO visits (customer_id, day, page) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 6000) SELECT 1 + n % 2000, n % 300, n % 7 FROM s;
INSERT INTO docs (body, kind, a, b) WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 3000) SELECT CONCAT('word', n % 50, ' common'), n % 5, n % 1000, IF(n % 10 = 0, NULL, n % 100) FROM s;
ANALYZE TABLE visits, docs, customers, orders, items, products, notes, nothing, `顧客`;
