-- What the varied statements need beside the shop: partitions, a fulltext and a spatial index, MyISAM, views.
CREATE TABLE part (id INT, k INT, v INT, KEY(k)) PARTITION BY RANGE(id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (1000), PARTITION p2 VALUES LESS THAN MAXVALUE);
INSERT INTO part SELECT seq, seq%10, seq FROM seq_1_to_2000;
CREATE TABLE ft (id INT PRIMARY KEY, body TEXT, FULLTEXT KEY f(body)) ENGINE=InnoDB;
INSERT INTO ft SELECT seq, CONCAT('hello w', seq) FROM seq_1_to_500;
CREATE TABLE big (id INT PRIMARY KEY, a INT, b INT, c INT, d VARCHAR(50), KEY ka(a), KEY kb(b), KEY kab(a,b), KEY kc(c));
INSERT INTO big SELECT seq, seq%100, seq%333, seq%7, CONCAT('d',seq) FROM seq_1_to_20000;
CREATE TABLE geo (id INT PRIMARY KEY, g POINT NOT NULL, SPATIAL KEY(g));
CREATE TABLE arch (id INT PRIMARY KEY, v INT) ENGINE=MyISAM;
INSERT INTO arch SELECT seq, seq FROM seq_1_to_10;
CREATE TABLE one (id INT PRIMARY KEY, v INT) ENGINE=MyISAM;
INSERT INTO one VALUES (1,1);
CREATE VIEW vsum AS SELECT customer_id, COUNT(*) n, SUM(total) t FROM orders GROUP BY customer_id;
CREATE VIEW vmerge AS SELECT id, customer_id, total FROM orders WHERE total > 10;
CREATE ALGORITHM=TEMPTABLE VIEW vtemp AS SELECT id, customer_id FROM orders WHERE total > 10;
ANALYZE TABLE part, ft, big, geo, arch, one PERSISTENT FOR ALL;
