-- A marketplace of services: bookings and payments write events to an outbox in their own transaction; a carrier
-- publishes them; consumers remember what they have consumed.
CREATE TABLE shops (id BIGINT PRIMARY KEY, name VARCHAR(40) NOT NULL, plan VARCHAR(10) NOT NULL);
CREATE TABLE bookings (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, shop_id BIGINT NOT NULL, customer_id BIGINT NOT NULL, status VARCHAR(12) NOT NULL, amount INT NOT NULL,
  starts_at DATETIME NOT NULL, created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL,
  KEY ix_shop_created (shop_id, created_at), KEY ix_customer (customer_id), KEY ix_status (status));
CREATE TABLE payments (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, booking_id BIGINT NOT NULL, state VARCHAR(12) NOT NULL, amount INT NOT NULL, provider VARCHAR(10) NOT NULL,
  captured_at DATETIME NULL, KEY ix_booking (booking_id), KEY ix_state_captured (state, captured_at));
CREATE TABLE outbox (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, event_id CHAR(20) NOT NULL, aggregate_type VARCHAR(20) NOT NULL, aggregate_id BIGINT NOT NULL,
  event_type VARCHAR(30) NOT NULL, payload JSON NOT NULL, created_at DATETIME NOT NULL, published_at DATETIME NULL,
  UNIQUE KEY ux_event (event_id), KEY ix_aggregate (aggregate_type, aggregate_id), KEY ix_published (published_at));
CREATE TABLE event_requests (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, event_id CHAR(20) NOT NULL, producer VARCHAR(20) NOT NULL, event_type VARCHAR(30) NOT NULL,
  state VARCHAR(12) NOT NULL, requested_at DATETIME NOT NULL,
  UNIQUE KEY ux_event (event_id), KEY ix_producer_time (producer, requested_at), KEY ix_type (event_type));
CREATE TABLE event_consumptions (
  event_id CHAR(20) NOT NULL, consumer VARCHAR(20) NOT NULL, attempt INT NOT NULL, result VARCHAR(10) NOT NULL, consumed_at DATETIME NOT NULL,
  PRIMARY KEY (event_id, consumer), KEY ix_consumer_time (consumer, consumed_at));
CREATE TABLE consumers (name VARCHAR(20) PRIMARY KEY, team VARCHAR(20) NOT NULL, active TINYINT NOT NULL);
CREATE TABLE subscriptions (event_type VARCHAR(30) NOT NULL, consumer VARCHAR(20) NOT NULL, PRIMARY KEY (event_type, consumer));
CREATE TABLE dead_letters (id BIGINT PRIMARY KEY AUTO_INCREMENT, event_id CHAR(20) NOT NULL, consumer VARCHAR(20) NOT NULL, error VARCHAR(80) NOT NULL, KEY ix_event (event_id));
