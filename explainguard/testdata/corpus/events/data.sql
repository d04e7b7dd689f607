-- Shop 1 takes a third of all bookings, 400 shops share the rest. A few events got lost on every hop.
SET SESSION cte_max_recursion_depth = 1000000;
INSERT INTO shops WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 401) SELECT n, CONCAT('shop', n), IF(n = 1 OR n % 20 = 0, 'large', 'small') FROM s;
INSERT INTO consumers VALUES ('billing','money',1),('mail','growth',1),('search','growth',1),('ledger','money',1),('legacy','none',0);
INSERT INTO subscriptions VALUES ('booking.created','mail'),('booking.created','search'),('booking.paid','billing'),('booking.paid','ledger'),('booking.cancelled','billing'),('booking.cancelled','mail');
INSERT INTO bookings WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 20000)
  SELECT n, IF(n % 3 = 0, 1, 2 + CRC32(CONCAT('bs', n)) % 400), 1 + CRC32(CONCAT('bc', n)) % 5000, IF(n % 100 = 0, 'failed', IF(n % 10 = 1, 'cancelled', IF(n > 19700, 'requested', 'confirmed'))),
    1000 + CRC32(CONCAT('ba', n)) % 50000, TIMESTAMP '2024-01-01 10:00:00' + INTERVAL n DIV 70 DAY + INTERVAL CRC32(CONCAT('bt', n)) % 40 DAY,
    TIMESTAMP '2024-01-01 00:00:00' + INTERVAL n * 21 MINUTE, TIMESTAMP '2024-01-01 00:00:00' + INTERVAL n * 21 + CRC32(CONCAT('bu', n)) % 5000 MINUTE FROM s;
INSERT INTO payments SELECT id, id, IF(status = 'failed', 'failed', IF(status = 'cancelled', 'refunded', IF(id % 997 = 0, 'authorized', 'captured'))), amount + (id % 1999 = 0), ELT(1 + id % 3, 'card', 'bank', 'wallet'),
  IF(status = 'failed', NULL, created_at + INTERVAL 3 MINUTE) FROM bookings WHERE status <> 'requested' AND id % 1501 <> 0 ORDER BY id;
INSERT INTO outbox (event_id, aggregate_type, aggregate_id, event_type, payload, created_at, published_at)
  SELECT CONCAT('e', LPAD(b.id * 2 + k.k, 10, '0')), 'booking', b.id, IF(k.k = 0, 'booking.created', IF(b.status = 'cancelled', 'booking.cancelled', 'booking.paid')), JSON_OBJECT('booking', b.id, 'amount', b.amount),
    b.created_at + INTERVAL k.k HOUR, IF((b.id * 2 + k.k) % 3001 = 0 OR b.id > 19930, NULL, b.created_at + INTERVAL k.k HOUR + INTERVAL 1 MINUTE)
  FROM bookings b JOIN (SELECT 0 k UNION ALL SELECT 1) k ORDER BY b.id, k.k;
INSERT INTO event_requests (event_id, producer, event_type, state, requested_at)
  SELECT event_id, IF(event_type = 'booking.paid', 'payments', 'bookings'), event_type, IF(published_at IS NULL, 'pending', 'published'), created_at FROM outbox ORDER BY id;
INSERT INTO event_consumptions
  SELECT o.event_id, s.consumer, 1 + CRC32(CONCAT('ca', o.event_id)) % 3 DIV 2, IF(CRC32(CONCAT('cr', o.event_id, s.consumer)) % 500 = 0, 'error', 'ok'), o.published_at + INTERVAL 1 + CRC32(CONCAT('ct', o.event_id, s.consumer)) % 600 SECOND
  FROM outbox o JOIN subscriptions s ON s.event_type = o.event_type WHERE o.published_at IS NOT NULL AND CRC32(CONCAT('cm', o.event_id, s.consumer)) % 2000 <> 0 ORDER BY 1, 2;
INSERT INTO dead_letters (event_id, consumer, error) SELECT event_id, consumer, 'gave up after 10 attempts' FROM event_consumptions WHERE result = 'error' ORDER BY 1, 2;
