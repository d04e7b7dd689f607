-- 多テナントの業務サービス: names and aliases in Japanese, keys led by the tenant, partitions, JSON, soft deletes.
CREATE TABLE `会社` (`会社ID` INT PRIMARY KEY, `名称` VARCHAR(40) NOT NULL, `プラン` VARCHAR(10) NOT NULL);
CREATE TABLE `社員` (
  `会社ID` INT NOT NULL, `社員番号` INT NOT NULL, `氏名` VARCHAR(40) NOT NULL, `部署ID` INT NOT NULL, `入社日` DATE NOT NULL, `deleted_at` DATETIME NULL,
  PRIMARY KEY (`会社ID`, `社員番号`), KEY `ix_部署` (`会社ID`, `部署ID`), KEY `ix_氏名` (`氏名`));
CREATE TABLE `部署` (`会社ID` INT NOT NULL, `部署ID` INT NOT NULL, `親部署ID` INT NULL, `名称` VARCHAR(40) NOT NULL, PRIMARY KEY (`会社ID`, `部署ID`), KEY `ix_親` (`会社ID`, `親部署ID`));
CREATE TABLE `勤怠` (
  `会社ID` INT NOT NULL, `社員番号` INT NOT NULL, `日付` DATE NOT NULL, `分` INT NOT NULL, `種別` VARCHAR(8) NOT NULL,
  PRIMARY KEY (`会社ID`, `社員番号`, `日付`), KEY `ix_日付` (`会社ID`, `日付`))
  PARTITION BY RANGE COLUMNS (`日付`) (PARTITION p1 VALUES LESS THAN ('2024-02-01'), PARTITION p2 VALUES LESS THAN ('2024-03-01'), PARTITION p3 VALUES LESS THAN ('2024-04-01'), PARTITION pmax VALUES LESS THAN (MAXVALUE));
CREATE TABLE `申請` (
  id BIGINT PRIMARY KEY AUTO_INCREMENT, `会社ID` INT NOT NULL, `社員番号` INT NOT NULL, `状態` VARCHAR(10) NOT NULL, `内容` JSON NOT NULL,
  `金額` INT GENERATED ALWAYS AS (CAST(JSON_UNQUOTE(JSON_EXTRACT(`内容`, '$.amount')) AS SIGNED)) STORED, `種類` VARCHAR(10) GENERATED ALWAYS AS (JSON_UNQUOTE(JSON_EXTRACT(`内容`, '$.kind'))) VIRTUAL,
  `作成日時` DATETIME NOT NULL, deleted_at DATETIME NULL,
  KEY `ix_会社_状態` (`会社ID`, `状態`, `作成日時`), KEY `ix_社員` (`会社ID`, `社員番号`), KEY `ix_金額` (`会社ID`, `金額`), KEY `ix_種類` (`種類`));
CREATE TABLE `承認` (`申請ID` BIGINT NOT NULL, `段階` INT NOT NULL, `会社ID` INT NOT NULL, `承認者` INT NOT NULL, `結果` VARCHAR(8) NOT NULL, PRIMARY KEY (`申請ID`, `段階`), KEY `ix_承認者` (`会社ID`, `承認者`));
CREATE TABLE `タグ` (`会社ID` INT NOT NULL, `タグID` INT NOT NULL, `名前` VARCHAR(20) NOT NULL, PRIMARY KEY (`会社ID`, `タグID`));
CREATE TABLE `申請タグ` (`会社ID` INT NOT NULL, `申請ID` BIGINT NOT NULL, `タグID` INT NOT NULL, PRIMARY KEY (`会社ID`, `タグID`, `申請ID`), KEY `ix_申請` (`申請ID`));
CREATE TABLE audit_log (
  id BIGINT NOT NULL AUTO_INCREMENT, tenant INT NOT NULL, actor INT NOT NULL, action VARCHAR(20) NOT NULL, detail JSON NOT NULL, at DATETIME NOT NULL,
  PRIMARY KEY (id, tenant), KEY ix_actor (tenant, actor), KEY ix_at (at)) PARTITION BY HASH (tenant) PARTITIONS 4;
