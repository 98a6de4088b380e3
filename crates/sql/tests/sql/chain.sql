-- one partition: rows of one machine come from several partitions, in any order
-- Streams declared by hand, a timestamp column, PARTITION BY, INSERT INTO, and queries that read queries.
CREATE STREAM orders (id VARCHAR KEY, machine VARCHAR, pieces INT, at BIGINT, `Mixed Case` BOOLEAN)
  WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', TIMESTAMP='at');
CREATE STREAM by_machine WITH (KAFKA_TOPIC='by.machine') AS
SELECT machine, id AS order_id, pieces, ROWTIME AS at, `Mixed Case` FROM orders PARTITION BY machine;
CREATE STREAM big WITH (KAFKA_TOPIC='big') AS
SELECT machine, pieces * 2 AS doubled, order_id LIKE 'o_' AND NOT `Mixed Case` AS short FROM by_machine b WHERE b.pieces BETWEEN 3 AND 10;
INSERT INTO big WITH (QUERY_ID='extra') SELECT machine, pieces AS doubled, FALSE AS short FROM by_machine WHERE pieces IN (1, 2);
CREATE TABLE totals WITH (KAFKA_TOPIC='totals') AS
SELECT machine, SUM(pieces) AS pieces FROM by_machine WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 1 DAY) GROUP BY machine;
