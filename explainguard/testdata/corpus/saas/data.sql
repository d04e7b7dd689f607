-- 会社 1 is by far the biggest of 150.
SET SESSION cte_max_recursion_depth = 1000000;
INSERT INTO `会社` WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 150) SELECT n, CONCAT('株式会社', n), IF(n = 1, '大', IF(n % 10 = 0, '中', '小')) FROM s;
INSERT INTO `部署` SELECT k.`会社ID`, d.n, IF(d.n = 1, NULL, d.n DIV 2), CONCAT('部署', d.n) FROM `会社` k JOIN (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 60) SELECT n FROM s) d ON d.n <= IF(k.`会社ID` = 1, 60, 5) ORDER BY 1, 2;
INSERT INTO `社員` SELECT k.`会社ID`, d.n, CONCAT(ELT(1 + (k.`会社ID` + d.n) % 5, '山田', '佐藤', '鈴木', '高橋', '田中'), d.n), 1 + d.n % IF(k.`会社ID` = 1, 60, 5), DATE '2015-01-01' + INTERVAL (d.n * 3) DAY, IF(d.n % 9 = 0, TIMESTAMP '2024-01-15 00:00:00', NULL)
  FROM `会社` k JOIN (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 1500) SELECT n FROM s) d ON d.n <= IF(k.`会社ID` = 1, 1500, 12) ORDER BY 1, 2;
INSERT INTO `勤怠` SELECT e.`会社ID`, e.`社員番号`, DATE '2024-01-08' + INTERVAL d.n * 3 DAY, 420 + CRC32(CONCAT(e.`会社ID`, '/', e.`社員番号`, '/', d.n)) % 180, IF((e.`社員番号` + d.n) % 17 = 0, '休暇', '出勤')
  FROM `社員` e JOIN (WITH RECURSIVE s (n) AS (SELECT 0 UNION ALL SELECT n+1 FROM s WHERE n < 29) SELECT n FROM s) d ORDER BY 1, 2, 3;
INSERT INTO `申請` (`会社ID`, `社員番号`, `状態`, `内容`, `作成日時`, deleted_at)
  SELECT e.`会社ID`, e.`社員番号`, IF((e.`社員番号` + d.n) % 20 = 0, '申請中', IF((e.`社員番号` + d.n) % 33 = 0, '差戻', '承認済')), JSON_OBJECT('amount', CRC32(CONCAT('m', e.`会社ID`, '/', e.`社員番号`, '/', d.n)) % 100000, 'kind', ELT(1 + d.n % 3, '交通費', '出張', '備品')),
    TIMESTAMP '2024-01-01 00:00:00' + INTERVAL e.`社員番号` * 11 + d.n * 97 HOUR, IF((e.`社員番号` + d.n) % 25 = 0, TIMESTAMP '2024-05-01 00:00:00', NULL)
  FROM `社員` e JOIN (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n+1 FROM s WHERE n < 8) SELECT n FROM s) d ORDER BY 1, 2, d.n;
INSERT INTO `承認` SELECT a.id, s.n, a.`会社ID`, 1 + (a.id + s.n) % 10, IF(a.`状態` = '承認済' OR s.n = 1, '可', '否') FROM `申請` a JOIN (SELECT 1 n UNION ALL SELECT 2) s ON s.n = 1 OR a.`状態` <> '申請中' ORDER BY 1, 2;
INSERT INTO `タグ` SELECT `会社ID`, d.n, CONCAT('タグ', d.n) FROM `会社` JOIN (SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3) d ORDER BY 1, 2;
INSERT INTO `申請タグ` SELECT `会社ID`, id, 1 + id % 3 FROM `申請` WHERE id % 2 = 0 ORDER BY 1, 3, 2;
INSERT INTO audit_log (tenant, actor, action, detail, at) SELECT `会社ID`, `社員番号`, ELT(1 + id % 4, 'create', 'update', 'view', 'export'), JSON_OBJECT('id', id), `作成日時` FROM `申請` ORDER BY id;
