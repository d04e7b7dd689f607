-- Statements of all kinds, one a line: their plans show every key that MariaDB's JSON is known to have.
SELECT * FROM orders
SELECT 1
SELECT 1 FROM DUAL WHERE 1=0
SELECT COUNT(*) FROM orders
SELECT COUNT(*) FROM arch
SELECT MAX(id) FROM orders
SELECT MAX(total) FROM orders
SELECT MIN(id) FROM nothing
SELECT * FROM orders WHERE id=5
SELECT * FROM orders WHERE id=5000000
SELECT * FROM customers WHERE email='c5@example.com'
SELECT * FROM nothing WHERE id=3
SELECT * FROM one
SELECT * FROM one JOIN orders ON orders.id=one.v
SELECT * FROM nothing
SELECT * FROM orders WHERE 1=0
SELECT * FROM orders WHERE id IS NULL
SELECT * FROM orders LIMIT 0
SELECT * FROM orders WHERE id BETWEEN 1 AND 100
SELECT id FROM orders WHERE customer_id IN (1,2,3)
SELECT * FROM orders ORDER BY placed_on LIMIT 3
SELECT * FROM orders ORDER BY total LIMIT 3
SELECT DISTINCT status FROM orders
SELECT DISTINCT total FROM orders
SELECT status, COUNT(*) FROM orders GROUP BY status
SELECT total, COUNT(*) FROM orders GROUP BY total ORDER BY COUNT(*) LIMIT 5
SELECT a, MIN(b) FROM big GROUP BY a
SELECT DISTINCT a FROM big
SELECT a,b FROM big GROUP BY a,b
SELECT COUNT(DISTINCT a) FROM big
SELECT a, COUNT(DISTINCT b) FROM big GROUP BY a WITH ROLLUP
SELECT * FROM big WHERE a=3 AND b=5
SELECT * FROM big WHERE a=3 AND c=2
SELECT * FROM big WHERE b=3 AND c=2
SELECT * FROM big WHERE a=3 OR b=5
SELECT * FROM big WHERE a<3 OR b<5
SELECT * FROM big WHERE (a=3 AND c=2) OR b=7
SELECT * FROM big WHERE a=3 AND b BETWEEN 1 AND 5 AND c<3
SELECT id FROM big WHERE b=3 AND c=2
SELECT * FROM big WHERE b<40 AND c=3 AND a BETWEEN 10 AND 40
SELECT * FROM big x, big y WHERE x.a=y.b AND x.id<10
SELECT * FROM big x, big y WHERE x.a=3 AND y.b=x.b AND y.c=4 AND y.a<10
SELECT * FROM part WHERE id<100
SELECT * FROM part WHERE k=3
SELECT * FROM part WHERE id=150 AND k=3
SELECT * FROM ft WHERE MATCH(body) AGAINST('hello')
SELECT * FROM ft WHERE MATCH(body) AGAINST('+w5' IN BOOLEAN MODE)
SELECT * FROM geo WHERE MBRContains(ST_GeomFromText('POLYGON((0 0,0 1,1 1,1 0,0 0))'), g)
SELECT * FROM customers c JOIN orders o ON c.id=o.customer_id JOIN items i ON i.order_id=o.id WHERE c.tenant_id=3
SELECT * FROM customers c LEFT JOIN orders o ON c.id=o.customer_id AND o.total>450 WHERE o.id IS NULL
SELECT * FROM customers c LEFT JOIN (orders o JOIN items i ON i.order_id=o.id) ON c.id=o.customer_id WHERE c.tenant_id=3
SELECT * FROM customers c RIGHT JOIN orders o ON c.id=o.customer_id WHERE o.id<10
SELECT * FROM customers c NATURAL JOIN orders o
SELECT * FROM notes n CROSS JOIN products p
SELECT * FROM notes n STRAIGHT_JOIN products p ON n.body=p.sku
SELECT * FROM notes n LEFT JOIN products p ON n.body=p.sku LEFT JOIN customers c ON c.name=n.body
SELECT c.* FROM customers c LEFT JOIN orders o ON o.id=c.id
SELECT c.* FROM customers c LEFT JOIN orders o ON o.id=c.id WHERE c.tenant_id=3
SELECT * FROM customers a JOIN customers b ON a.email=b.email
SELECT * FROM customers c JOIN orders o ON o.customer_id=c.id AND c.id=7
SELECT * FROM orders o JOIN customers c ON c.id=o.customer_id ORDER BY o.placed_on LIMIT 10
SELECT * FROM orders o JOIN customers c ON c.id=o.customer_id ORDER BY c.name LIMIT 10
SELECT c.tenant_id, SUM(o.total) FROM orders o JOIN customers c ON c.id=o.customer_id GROUP BY c.tenant_id ORDER BY 2
SELECT DISTINCT c.name FROM customers c JOIN orders o ON o.customer_id=c.id
SELECT DISTINCT c.name FROM customers c JOIN orders o ON o.customer_id=c.id ORDER BY o.total
SELECT SQL_BUFFER_RESULT * FROM orders WHERE id<10
SELECT SQL_CALC_FOUND_ROWS * FROM orders LIMIT 3
SELECT o.id FROM products p JOIN orders o ON o.id<p.price OR o.customer_id=p.id
SELECT * FROM products p, big b WHERE b.a<p.price
SELECT * FROM products p JOIN big b ON b.id<p.price AND b.a<p.id
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT o.customer_id FROM orders o WHERE o.status='new')
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT o.customer_id FROM orders o WHERE o.status='new')
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT o.customer_id FROM orders o WHERE o.status='new')
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT o.customer_id FROM orders o WHERE o.status='new')
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT o.customer_id FROM orders o WHERE o.status='new')
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT o.customer_id FROM orders o WHERE o.status='new')
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT o.customer_id FROM orders o WHERE o.status='new'))
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.id, 1) IN (SELECT x.*, 1 FROM (SELECT o.customer_id FROM orders o WHERE o.status='new') x)
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT o.customer_id FROM orders o WHERE o.status='new')) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT o.customer_id FROM orders o WHERE o.customer_id=c.id AND o.total>450)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT o.customer_id FROM orders o WHERE o.customer_id=c.id AND o.total>450)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT o.customer_id FROM orders o WHERE o.customer_id=c.id AND o.total>450)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT o.customer_id FROM orders o WHERE o.customer_id=c.id AND o.total>450)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT o.customer_id FROM orders o WHERE o.customer_id=c.id AND o.total>450)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT o.customer_id FROM orders o WHERE o.customer_id=c.id AND o.total>450)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT o.customer_id FROM orders o WHERE o.customer_id=c.id AND o.total>450))
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT o.customer_id FROM orders o WHERE o.customer_id=c.id AND o.total>450)) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT MAX(o.customer_id) FROM orders o)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT MAX(o.customer_id) FROM orders o)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT MAX(o.customer_id) FROM orders o)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT MAX(o.customer_id) FROM orders o)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT MAX(o.customer_id) FROM orders o)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT MAX(o.customer_id) FROM orders o)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT MAX(o.customer_id) FROM orders o))
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.id, 1) IN (SELECT x.*, 1 FROM (SELECT MAX(o.customer_id) FROM orders o) x)
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT MAX(o.customer_id) FROM orders o)) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2))
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.id, 1) IN (SELECT x.*, 1 FROM (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2) x)
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT o.customer_id FROM orders o GROUP BY o.customer_id HAVING COUNT(*)>2)) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items))
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.id, 1) IN (SELECT x.*, 1 FROM (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items) x)
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT o.customer_id FROM orders o UNION SELECT order_id FROM items)) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT DISTINCT customer_id FROM orders WHERE total > 3)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT DISTINCT customer_id FROM orders WHERE total > 3)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT DISTINCT customer_id FROM orders WHERE total > 3)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT DISTINCT customer_id FROM orders WHERE total > 3)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT DISTINCT customer_id FROM orders WHERE total > 3)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT DISTINCT customer_id FROM orders WHERE total > 3)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT DISTINCT customer_id FROM orders WHERE total > 3))
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.id, 1) IN (SELECT x.*, 1 FROM (SELECT DISTINCT customer_id FROM orders WHERE total > 3) x)
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT DISTINCT customer_id FROM orders WHERE total > 3)) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2))
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.id, 1) IN (SELECT x.*, 1 FROM (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2) x)
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT o.customer_id FROM orders o JOIN items i ON i.order_id=o.id WHERE i.qty>2)) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT o.customer_id FROM orders o WHERE o.total > c.tenant_id)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT o.customer_id FROM orders o WHERE o.total > c.tenant_id)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT o.customer_id FROM orders o WHERE o.total > c.tenant_id)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT o.customer_id FROM orders o WHERE o.total > c.tenant_id)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT o.customer_id FROM orders o WHERE o.total > c.tenant_id)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT o.customer_id FROM orders o WHERE o.total > c.tenant_id)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT o.customer_id FROM orders o WHERE o.total > c.tenant_id))
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT o.customer_id FROM orders o WHERE o.total > c.tenant_id)) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT customer_id FROM vsum WHERE n>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT customer_id FROM vsum WHERE n>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT customer_id FROM vsum WHERE n>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT customer_id FROM vsum WHERE n>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT customer_id FROM vsum WHERE n>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT customer_id FROM vsum WHERE n>2)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT customer_id FROM vsum WHERE n>2))
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.id, 1) IN (SELECT x.*, 1 FROM (SELECT customer_id FROM vsum WHERE n>2) x)
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT customer_id FROM vsum WHERE n>2)) FROM customers c WHERE c.tenant_id=3
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id IN (SELECT o.customer_id FROM orders o ORDER BY total)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id NOT IN (SELECT o.customer_id FROM orders o ORDER BY total)
SELECT * FROM customers c WHERE c.tenant_id=3 AND EXISTS (SELECT o.customer_id FROM orders o ORDER BY total)
SELECT * FROM customers c WHERE c.tenant_id=3 AND NOT EXISTS (SELECT o.customer_id FROM orders o ORDER BY total)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id = ANY (SELECT o.customer_id FROM orders o ORDER BY total)
SELECT * FROM customers c WHERE c.tenant_id=3 AND c.id > ALL (SELECT o.customer_id FROM orders o ORDER BY total)
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.name='x' OR c.id IN (SELECT o.customer_id FROM orders o ORDER BY total))
SELECT * FROM customers c WHERE c.tenant_id=3 AND (c.id, 1) IN (SELECT x.*, 1 FROM (SELECT o.customer_id FROM orders o ORDER BY total) x)
SELECT c.id, (SELECT COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT o.customer_id FROM orders o ORDER BY total)) FROM customers c WHERE c.tenant_id=3
SELECT c.id,(SELECT MAX(total) FROM orders o WHERE o.customer_id=c.id) FROM customers c WHERE c.tenant_id=3
SELECT c.id FROM customers c WHERE c.tenant_id=3 ORDER BY (SELECT MAX(total) FROM orders o WHERE o.customer_id=c.id)
SELECT COUNT(*) FROM customers c GROUP BY (SELECT MAX(total) FROM orders o WHERE o.customer_id=c.id)
SELECT c.tenant_id FROM customers c GROUP BY c.tenant_id, c.id HAVING COUNT(*) > (SELECT MAX(total) FROM orders o WHERE o.customer_id=c.id)
SELECT c.id FROM customers c WHERE c.id < (SELECT MAX(total) FROM orders o WHERE o.customer_id=c.id)
SELECT c.id FROM customers c LEFT JOIN notes n ON n.id = (SELECT MAX(total) FROM orders o WHERE o.customer_id=c.id)
UPDATE customers c SET name=(SELECT MAX(total) FROM orders o WHERE o.customer_id=c.id) WHERE c.tenant_id=3
SELECT MAX((SELECT MAX(total) FROM orders o WHERE o.customer_id=c.id)) FROM customers c
SELECT c.id,(SELECT MAX(total) FROM orders o) FROM customers c WHERE c.tenant_id=3
SELECT c.id FROM customers c WHERE c.tenant_id=3 ORDER BY (SELECT MAX(total) FROM orders o)
SELECT COUNT(*) FROM customers c GROUP BY (SELECT MAX(total) FROM orders o)
SELECT c.tenant_id FROM customers c GROUP BY c.tenant_id, c.id HAVING COUNT(*) > (SELECT MAX(total) FROM orders o)
SELECT c.id FROM customers c WHERE c.id < (SELECT MAX(total) FROM orders o)
SELECT c.id FROM customers c LEFT JOIN notes n ON n.id = (SELECT MAX(total) FROM orders o)
UPDATE customers c SET name=(SELECT MAX(total) FROM orders o) WHERE c.tenant_id=3
SELECT MAX((SELECT MAX(total) FROM orders o)) FROM customers c
SELECT c.id,(SELECT total FROM orders o WHERE o.customer_id=c.id ORDER BY id LIMIT 1) FROM customers c WHERE c.tenant_id=3
SELECT c.id FROM customers c WHERE c.tenant_id=3 ORDER BY (SELECT total FROM orders o WHERE o.customer_id=c.id ORDER BY id LIMIT 1)
SELECT COUNT(*) FROM customers c GROUP BY (SELECT total FROM orders o WHERE o.customer_id=c.id ORDER BY id LIMIT 1)
SELECT c.tenant_id FROM customers c GROUP BY c.tenant_id, c.id HAVING COUNT(*) > (SELECT total FROM orders o WHERE o.customer_id=c.id ORDER BY id LIMIT 1)
SELECT c.id FROM customers c WHERE c.id < (SELECT total FROM orders o WHERE o.customer_id=c.id ORDER BY id LIMIT 1)
SELECT c.id FROM customers c LEFT JOIN notes n ON n.id = (SELECT total FROM orders o WHERE o.customer_id=c.id ORDER BY id LIMIT 1)
UPDATE customers c SET name=(SELECT total FROM orders o WHERE o.customer_id=c.id ORDER BY id LIMIT 1) WHERE c.tenant_id=3
SELECT MAX((SELECT total FROM orders o WHERE o.customer_id=c.id ORDER BY id LIMIT 1)) FROM customers c
SELECT c.id,(SELECT COUNT(*) FROM orders o, items i WHERE i.order_id=o.id AND o.customer_id=c.id) FROM customers c WHERE c.tenant_id=3
SELECT c.id FROM customers c WHERE c.tenant_id=3 ORDER BY (SELECT COUNT(*) FROM orders o, items i WHERE i.order_id=o.id AND o.customer_id=c.id)
SELECT COUNT(*) FROM customers c GROUP BY (SELECT COUNT(*) FROM orders o, items i WHERE i.order_id=o.id AND o.customer_id=c.id)
SELECT c.tenant_id FROM customers c GROUP BY c.tenant_id, c.id HAVING COUNT(*) > (SELECT COUNT(*) FROM orders o, items i WHERE i.order_id=o.id AND o.customer_id=c.id)
SELECT c.id FROM customers c WHERE c.id < (SELECT COUNT(*) FROM orders o, items i WHERE i.order_id=o.id AND o.customer_id=c.id)
SELECT c.id FROM customers c LEFT JOIN notes n ON n.id = (SELECT COUNT(*) FROM orders o, items i WHERE i.order_id=o.id AND o.customer_id=c.id)
UPDATE customers c SET name=(SELECT COUNT(*) FROM orders o, items i WHERE i.order_id=o.id AND o.customer_id=c.id) WHERE c.tenant_id=3
SELECT MAX((SELECT COUNT(*) FROM orders o, items i WHERE i.order_id=o.id AND o.customer_id=c.id)) FROM customers c
SELECT c.id,(SELECT RAND()*COUNT(*) FROM orders) FROM customers c WHERE c.tenant_id=3
SELECT c.id FROM customers c WHERE c.tenant_id=3 ORDER BY (SELECT RAND()*COUNT(*) FROM orders)
SELECT COUNT(*) FROM customers c GROUP BY (SELECT RAND()*COUNT(*) FROM orders)
SELECT c.tenant_id FROM customers c GROUP BY c.tenant_id, c.id HAVING COUNT(*) > (SELECT RAND()*COUNT(*) FROM orders)
SELECT c.id FROM customers c WHERE c.id < (SELECT RAND()*COUNT(*) FROM orders)
SELECT c.id FROM customers c LEFT JOIN notes n ON n.id = (SELECT RAND()*COUNT(*) FROM orders)
UPDATE customers c SET name=(SELECT RAND()*COUNT(*) FROM orders) WHERE c.tenant_id=3
SELECT MAX((SELECT RAND()*COUNT(*) FROM orders)) FROM customers c
SELECT * FROM customers c WHERE c.id = (SELECT customer_id FROM orders WHERE id=7)
SELECT * FROM customers c WHERE c.id = (SELECT 7)
SELECT (SELECT 1)
SELECT * FROM orders WHERE total > (SELECT AVG(total) FROM orders) AND customer_id IN (SELECT id FROM customers WHERE tenant_id = (SELECT MIN(tenant_id) FROM customers))
SELECT 5 IN (SELECT id FROM orders)
SELECT * FROM customers c WHERE (SELECT COUNT(*) FROM orders o WHERE o.customer_id=c.id AND o.id IN (SELECT i.order_id FROM items i WHERE i.qty=o.total)) > 1
SELECT * FROM vsum WHERE customer_id=7
SELECT * FROM vsum WHERE n=7
SELECT * FROM vmerge WHERE id=7
SELECT * FROM vtemp WHERE id=7
SELECT c.name,v.n FROM customers c JOIN vsum v ON v.customer_id=c.id WHERE c.tenant_id=3
SELECT c.name,v.id FROM customers c JOIN vtemp v ON v.customer_id=c.id WHERE c.tenant_id=3
SELECT c.name,v.n FROM customers c LEFT JOIN vsum v ON v.customer_id=c.id
SELECT * FROM (SELECT 1 a UNION SELECT 2) x
SELECT * FROM (SELECT * FROM orders LIMIT 10) x JOIN customers c ON c.id=x.customer_id
SELECT * FROM (SELECT DISTINCT customer_id FROM orders) x
SELECT * FROM (SELECT * FROM (SELECT customer_id, COUNT(*) n FROM orders GROUP BY 1) y WHERE n>2) x
SELECT * FROM (SELECT 1 a) x
SELECT * FROM (VALUES (1,2),(3,4)) v
VALUES (1,2),(3,4)
SELECT * FROM orders WHERE id IN (VALUES (1),(2))
SELECT * FROM (SELECT customer_id FROM orders UNION ALL SELECT order_id FROM items) u WHERE customer_id=3
SELECT * FROM (SELECT customer_id FROM orders EXCEPT SELECT order_id FROM items) u
WITH x AS (SELECT customer_id,COUNT(*) n FROM orders GROUP BY 1) SELECT * FROM x WHERE customer_id=3
WITH x AS (SELECT customer_id,COUNT(*) n FROM orders GROUP BY 1) SELECT * FROM x a, x b, x c WHERE a.n=b.n AND c.customer_id=a.customer_id
WITH x AS (SELECT customer_id c FROM orders WHERE id<10), y AS (SELECT c, COUNT(*) n FROM x GROUP BY c) SELECT * FROM y JOIN x ON x.c=y.c
WITH RECURSIVE t AS (SELECT id,parent_id FROM products WHERE id=1 UNION SELECT p.id,p.parent_id FROM t JOIN products p ON p.parent_id=t.id) SELECT * FROM t
WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n<10) SELECT * FROM s JOIN orders o ON o.id=s.n
WITH RECURSIVE a AS (SELECT 1 n UNION ALL SELECT n+1 FROM b WHERE n<5), b AS (SELECT n FROM a) SELECT * FROM a
SELECT id FROM orders UNION SELECT id FROM items
SELECT id FROM orders UNION ALL SELECT id FROM items
(SELECT id FROM orders ORDER BY total LIMIT 3) UNION ALL (SELECT id FROM items LIMIT 3) ORDER BY 1
SELECT id FROM orders EXCEPT SELECT id FROM items
SELECT id FROM orders EXCEPT ALL SELECT id FROM items
SELECT id FROM orders INTERSECT ALL SELECT id FROM items
SELECT id FROM orders UNION SELECT id FROM items WHERE 1=0
SELECT id FROM orders WHERE 1=0 UNION SELECT id FROM items WHERE 1=0
SELECT id FROM orders UNION (SELECT id FROM items INTERSECT SELECT id FROM notes)
SELECT 1 UNION SELECT 2
SELECT * FROM customers c JOIN (SELECT customer_id, COUNT(*) n FROM orders GROUP BY customer_id) s ON s.customer_id=c.id WHERE c.tenant_id=3 AND s.n>2
SELECT * FROM customers c JOIN (SELECT customer_id, total, RANK() OVER (PARTITION BY customer_id ORDER BY total) r FROM orders) s ON s.customer_id=c.id WHERE c.tenant_id=3 AND s.r=1
SELECT * FROM seq_1_to_100
SELECT * FROM seq_1_to_100 s JOIN orders o ON o.id=s.seq
SELECT * FROM JSON_TABLE('[1,2]', '$[*]' COLUMNS(a INT PATH '$')) j
SELECT * FROM orders o, JSON_TABLE(CONCAT('[',o.id,']'), '$[*]' COLUMNS(a INT PATH '$')) j WHERE o.id<5
SELECT RANK() OVER (ORDER BY total) FROM orders
SELECT SUM(total) OVER (PARTITION BY customer_id ORDER BY id), RANK() OVER (ORDER BY total) FROM orders
SELECT status, SUM(COUNT(*)) OVER () FROM orders GROUP BY status
SELECT ROW_NUMBER() OVER () FROM orders ORDER BY total LIMIT 3
SELECT DISTINCT RANK() OVER (ORDER BY total) FROM orders
SELECT * FROM (SELECT id, ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY id) r FROM orders) x WHERE r=1
SELECT GROUP_CONCAT(name ORDER BY id) FROM customers GROUP BY tenant_id
SELECT tenant_id, COUNT(*) FROM customers GROUP BY tenant_id WITH ROLLUP
SELECT COUNT(*) FROM orders HAVING COUNT(*)>5
SELECT 1 FROM orders HAVING 1=0
SELECT JSON_ARRAYAGG(id) FROM orders
SELECT total, (SELECT MAX(i.qty) FROM items i WHERE i.order_id=o.id) m FROM orders o WHERE customer_id<10 GROUP BY total ORDER BY m
DELETE FROM orders
DELETE FROM orders WHERE id=5
DELETE FROM orders WHERE customer_id=5 ORDER BY total LIMIT 3
DELETE FROM orders WHERE total=5
DELETE FROM orders WHERE 1=0
DELETE FROM orders WHERE id=5000000
DELETE FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE tenant_id=3)
DELETE o FROM orders o JOIN customers c ON c.id=o.customer_id WHERE c.tenant_id=3
DELETE o, i FROM orders o JOIN items i ON i.order_id=o.id WHERE o.customer_id=3
DELETE FROM orders WHERE id < 10 RETURNING id
UPDATE orders SET total=1
UPDATE orders SET total=1 WHERE id=5
UPDATE orders SET customer_id=customer_id+1 WHERE customer_id<50
UPDATE orders SET total=1 ORDER BY total LIMIT 5
UPDATE orders SET total=(SELECT MAX(qty) FROM items WHERE order_id=orders.id) WHERE customer_id=3
UPDATE orders o JOIN customers c ON c.id=o.customer_id SET o.total=1 WHERE c.tenant_id=3
UPDATE orders SET total=1 WHERE 1=0
UPDATE orders SET total=1 WHERE total > (SELECT AVG(price) FROM products)
UPDATE orders SET total=1 WHERE EXISTS (SELECT 1 FROM items WHERE order_id=orders.id)
UPDATE part SET v=1 WHERE id<100
INSERT INTO notes (body) VALUES ('x')
INSERT INTO notes (body) VALUES ('x'),('y')
INSERT INTO notes (body) SELECT name FROM customers WHERE tenant_id=3
INSERT INTO notes (body) VALUES ((SELECT MAX(name) FROM customers))
INSERT INTO notes (id, body) SELECT id,name FROM customers ON DUPLICATE KEY UPDATE body=(SELECT MAX(name) FROM customers)
REPLACE INTO notes (id, body) SELECT id,name FROM customers
REPLACE INTO notes VALUES (1,'x')
INSERT INTO notes (body) SELECT body FROM notes
INSERT INTO notes (body) SELECT a.name FROM customers a JOIN orders o ON o.customer_id=a.id GROUP BY a.name
INSERT INTO notes SET body='x'
INSERT INTO notes (body) VALUES ('x') RETURNING id
INSERT INTO notes (body) SELECT name FROM customers UNION SELECT status FROM orders
INSERT INTO notes (body) WITH x AS (SELECT name FROM customers) SELECT name FROM x
SELECT * FROM information_schema.tables WHERE table_schema='x'
SELECT * FROM information_schema.processlist
SELECT * FROM mysql.user
SELECT * FROM performance_schema.threads
SELECT * FROM orders FOR UPDATE
SELECT * FROM orders WHERE id=5 LOCK IN SHARE MODE
SELECT * FROM orders FORCE INDEX (ix_status) WHERE total=3
SELECT /*+ MAX_EXECUTION_TIME(5) */ * FROM orders
SELECT * FROM orders PROCEDURE ANALYSE()
