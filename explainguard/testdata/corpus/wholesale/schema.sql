-- A wholesaler: suppliers offer parts, buyers purchase them. Shapes and proportions are those of decision-support
-- benchmarks; names, columns and data are our own.
CREATE TABLE regions (id INT PRIMARY KEY, name VARCHAR(25) NOT NULL);
CREATE TABLE countries (id INT PRIMARY KEY, region_id INT NOT NULL, name VARCHAR(25) NOT NULL, KEY ix_region (region_id));
CREATE TABLE suppliers (
  id INT PRIMARY KEY, country_id INT NOT NULL, name VARCHAR(40) NOT NULL, balance DECIMAL(12,2) NOT NULL, remark VARCHAR(80) NOT NULL,
  KEY ix_country (country_id));
CREATE TABLE buyers (
  id INT PRIMARY KEY, country_id INT NOT NULL, name VARCHAR(40) NOT NULL, phone VARCHAR(20) NOT NULL, segment VARCHAR(12) NOT NULL,
  balance DECIMAL(12,2) NOT NULL, KEY ix_country (country_id), KEY ix_segment (segment));
CREATE TABLE parts (
  id INT PRIMARY KEY, name VARCHAR(60) NOT NULL, brand VARCHAR(10) NOT NULL, kind VARCHAR(25) NOT NULL, size INT NOT NULL,
  packing VARCHAR(12) NOT NULL, price DECIMAL(10,2) NOT NULL, KEY ix_brand_kind (brand, kind), KEY ix_size (size));
CREATE TABLE offers (
  part_id INT NOT NULL, supplier_id INT NOT NULL, stock INT NOT NULL, cost DECIMAL(10,2) NOT NULL,
  PRIMARY KEY (part_id, supplier_id), KEY ix_supplier (supplier_id));
CREATE TABLE purchases (
  id INT PRIMARY KEY, buyer_id INT NOT NULL, status CHAR(1) NOT NULL, total DECIMAL(12,2) NOT NULL, ordered_on DATE NOT NULL,
  priority VARCHAR(10) NOT NULL, clerk VARCHAR(15) NOT NULL, KEY ix_buyer (buyer_id), KEY ix_ordered (ordered_on));
CREATE TABLE purchase_lines (
  purchase_id INT NOT NULL, line_no INT NOT NULL, part_id INT NOT NULL, supplier_id INT NOT NULL, qty INT NOT NULL, price DECIMAL(10,2) NOT NULL,
  discount DECIMAL(4,2) NOT NULL, tax DECIMAL(4,2) NOT NULL, returned CHAR(1) NOT NULL, status CHAR(1) NOT NULL,
  shipped_on DATE NOT NULL, due_on DATE NOT NULL, received_on DATE NOT NULL, ship_mode VARCHAR(10) NOT NULL,
  PRIMARY KEY (purchase_id, line_no), KEY ix_part_supplier (part_id, supplier_id), KEY ix_shipped (shipped_on));
