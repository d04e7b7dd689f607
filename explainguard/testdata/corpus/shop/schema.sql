-- A web shop as frameworks make it: surrogate keys, created_at everywhere, an index where somebody once needed one.
CREATE TABLE users (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, email VARCHAR(80) NOT NULL, name VARCHAR(60) NOT NULL, country CHAR(2) NOT NULL, status VARCHAR(10) NOT NULL,
  created_at DATETIME NOT NULL, last_login_at DATETIME NULL, UNIQUE KEY ux_email (email), KEY ix_country_status (country, status), KEY ix_last_login (last_login_at));
CREATE TABLE categories (id INT PRIMARY KEY, parent_id INT NULL, name VARCHAR(40) NOT NULL, KEY ix_parent (parent_id));
CREATE TABLE products (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, category_id INT NOT NULL, sku VARCHAR(20) NOT NULL, title VARCHAR(80) NOT NULL, price INT NOT NULL, active TINYINT NOT NULL,
  created_at DATETIME NOT NULL, UNIQUE KEY ux_sku (sku), KEY ix_category (category_id), KEY ix_price (price), FULLTEXT KEY ft_title (title));
CREATE TABLE stock (product_id BIGINT NOT NULL, warehouse_id INT NOT NULL, qty INT NOT NULL, PRIMARY KEY (product_id, warehouse_id), KEY ix_warehouse (warehouse_id));
CREATE TABLE orders (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, user_id BIGINT NOT NULL, status VARCHAR(12) NOT NULL, total INT NOT NULL, coupon_code VARCHAR(12) NULL, created_at DATETIME NOT NULL,
  KEY ix_user (user_id), KEY ix_status_created (status, created_at), KEY ix_created (created_at), KEY ix_coupon (coupon_code));
CREATE TABLE order_items (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, order_id BIGINT NOT NULL, product_id BIGINT NOT NULL, qty INT NOT NULL, price INT NOT NULL, KEY ix_order (order_id), KEY ix_product (product_id));
CREATE TABLE reviews (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, product_id BIGINT NOT NULL, user_id BIGINT NOT NULL, stars TINYINT NOT NULL, body VARCHAR(200) NOT NULL, created_at DATETIME NOT NULL,
  KEY ix_product_stars (product_id, stars), KEY ix_user (user_id));
CREATE TABLE carts (id BIGINT PRIMARY KEY AUTO_INCREMENT, user_id BIGINT NULL, token CHAR(16) NOT NULL, updated_at DATETIME NOT NULL, UNIQUE KEY ux_token (token), KEY ix_updated (updated_at));
CREATE TABLE cart_items (cart_id BIGINT NOT NULL, product_id BIGINT NOT NULL, qty INT NOT NULL, PRIMARY KEY (cart_id, product_id));
CREATE TABLE coupons (code VARCHAR(12) PRIMARY KEY, percent INT NOT NULL, valid_until DATE NOT NULL);
CREATE VIEW product_sales AS SELECT product_id, SUM(qty) AS sold, SUM(qty * price) AS revenue FROM order_items GROUP BY product_id;
CREATE VIEW open_orders AS SELECT o.id, o.user_id, u.email, o.total FROM orders o JOIN users u ON u.id = o.user_id WHERE o.status = 'open';
CREATE VIEW shop_totals AS SELECT COUNT(*) AS n, SUM(total) AS total FROM orders;
