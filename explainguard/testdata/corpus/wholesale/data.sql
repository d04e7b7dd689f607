-- CRC32 stands in for chance: the same rows on every server. Buyer 1 places a tenth of all purchases.
SET SESSION cte_max_recursion_depth = 1000000;
INSERT INTO regions VALUES (1,'AFRICA'),(2,'AMERICA'),(3,'ASIA'),(4,'EUROPE'),(5,'MIDDLE EAST');
INSERT INTO countries WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 25) SELECT n, 1 + n % 5, CONCAT('country', n) FROM s;
INSERT INTO suppliers WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 200)
  SELECT n, 1 + CRC32(CONCAT('sc', n)) % 25, CONCAT('supplier', n), CRC32(CONCAT('sb', n)) % 1000000 / 100, IF(n % 50 = 0, 'many customer complaints', 'reliable') FROM s;
INSERT INTO buyers WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 3000)
  SELECT n, 1 + CRC32(CONCAT('bc', n)) % 25, CONCAT('buyer', n), CONCAT(10 + CRC32(CONCAT('bc', n)) % 25, '-', 100000 + n),
    ELT(1 + CRC32(CONCAT('bs', n)) % 5, 'AUTOMOBILE', 'BUILDING', 'FURNITURE', 'MACHINERY', 'HOUSEHOLD'), CRC32(CONCAT('bb', n)) % 1000000 / 100 - 1000 FROM s;
INSERT INTO parts WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 4000)
  SELECT n, CONCAT(ELT(1 + n % 7, 'green', 'red', 'blue', 'white', 'dark', 'pale', 'forest'), ' ', ELT(1 + n % 5, 'bolt', 'nut', 'gear', 'pipe', 'valve'), ' ', n),
    CONCAT('Brand', 1 + n % 25), CONCAT(ELT(1 + n % 3, 'ECONOMY', 'STANDARD', 'PROMO'), ' ', ELT(1 + n % 4, 'TIN', 'BRASS', 'STEEL', 'COPPER')),
    1 + CRC32(CONCAT('ps', n)) % 50, ELT(1 + n % 4, 'SM BOX', 'MED BAG', 'LG CASE', 'JUMBO PKG'), 900 + n % 1000 FROM s;
INSERT INTO offers WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n+1 FROM s WHERE n < 15999)
  SELECT 1 + n DIV 4, 1 + (n DIV 4 + (n % 4) * 50) % 200, CRC32(CONCAT('os', n)) % 10000, CRC32(CONCAT('oc', n)) % 100000 / 100 FROM s;
INSERT INTO purchases WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 20000)
  SELECT n, IF(n % 10 = 0, 1, 2 + CRC32(CONCAT('pb', n)) % 2000), IF(n > 19000, 'O', IF(n % 40 = 0, 'P', 'F')), CRC32(CONCAT('pt', n)) % 50000000 / 100,
    DATE '2019-01-01' + INTERVAL (CRC32(CONCAT('po', n)) % 2400) DAY, ELT(1 + n % 5, '1-URGENT', '2-HIGH', '3-MEDIUM', '4-NONE', '5-LOW'), CONCAT('clerk', n % 100) FROM s;
INSERT INTO purchase_lines
  SELECT p.id, l.n, 1 + CRC32(CONCAT('lp', p.id, '/', l.n)) % 4000, 1 + (CRC32(CONCAT('lp', p.id, '/', l.n)) % 4000 + (l.n % 4) * 50) % 200,
    1 + CRC32(CONCAT('lq', p.id, '/', l.n)) % 50, 900 + CRC32(CONCAT('lp', p.id, '/', l.n)) % 4000, (l.n + p.id) % 11 / 100, p.id % 9 / 100,
    IF(p.status = 'F', ELT(1 + (p.id + l.n) % 4, 'R', 'A', 'N', 'N'), 'N'), IF(p.status = 'F', 'F', 'O'),
    p.ordered_on + INTERVAL (1 + CRC32(CONCAT('ls', p.id, '/', l.n)) % 120) DAY, p.ordered_on + INTERVAL (30 + CRC32(CONCAT('ld', p.id, '/', l.n)) % 60) DAY,
    p.ordered_on + INTERVAL (2 + CRC32(CONCAT('ls', p.id, '/', l.n)) % 120 + (p.id + l.n) % 30) DAY, ELT(1 + (p.id + l.n) % 7, 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB', 'REG AIR')
  FROM purchases p JOIN (SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5) l ON l.n <= 1 + p.id % 5 ORDER BY 1, 2;
