-- db: shop
-- key: id
-- owner: platform
-- population: SELECT COUNT(*) FROM outbox
-- retry: 3 every 10s
-- remind: 24h
-- The relay publishes what is in the outbox within a minute.
SELECT id, aggregate_id, type, created_at
FROM outbox
WHERE published_at IS NULL AND created_at < UTC_TIMESTAMP() - INTERVAL 1 MINUTE
ORDER BY id
