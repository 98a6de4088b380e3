-- error: target: `TARGET` needs a column `T` of INTEGER [does not fit] selected are ASSET VARCHAR KEY, T DOUBLE
-- error: target: `TARGET` has 2 columns, 3 are selected
-- error: nowhere: there is no stream or table `NOWHERE`
-- error: press_telemetry: the query would read its own result
-- error: 5: a query that fills a stream or table has no end
-- error: target: `TARGET` is a stream [a stream] write DROP STREAM TARGET
-- error: 'x': 2 values for 3 columns [ASSET, T, N]
-- error: 1.5: `1.5` is DECIMAL(2, 1) [expected INTEGER]
-- error: tt: `TARGET` has no column `TT` [unknown column] did you mean T?
-- error: p1: `P1` is no value [expected a value] write 'P1' for a text
-- error: keyed: a row of table `KEYED` needs its key
CREATE TABLE keyed (id VARCHAR PRIMARY KEY, n INT) WITH (KAFKA_TOPIC='keyed');
CREATE STREAM target (asset VARCHAR KEY, t INT) WITH (KAFKA_TOPIC='target');
INSERT INTO target SELECT asset, temperature AS t FROM press_telemetry;
INSERT INTO target SELECT asset, state AS t, note FROM press_telemetry;
INSERT INTO nowhere SELECT * FROM press_telemetry;
INSERT INTO press_telemetry SELECT * FROM press_telemetry;
INSERT INTO target SELECT asset, state AS t FROM press_telemetry LIMIT 5;
DROP TABLE target;
INSERT INTO target (asset, t, n) VALUES ('x', 1);
INSERT INTO target (asset, t) VALUES ('x', 1.5);
INSERT INTO target (asset, tt) VALUES ('x', 1);
INSERT INTO target (asset, t) VALUES (p1, 1);
INSERT INTO keyed (n) VALUES (1);
