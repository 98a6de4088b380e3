-- error: target: `TARGET` needs a column `T` of INTEGER [does not fit] selected are ASSET VARCHAR KEY, T DOUBLE
-- error: target: `TARGET` has 2 columns, 3 are selected
-- error: nowhere: there is no stream or table `NOWHERE`
-- error: press_telemetry: the query would read its own result
-- error: 5: a query that fills a stream or table has no end
-- error: target: `TARGET` is a stream [a stream] write DROP STREAM TARGET
CREATE STREAM target (asset VARCHAR KEY, t INT) WITH (KAFKA_TOPIC='target');
INSERT INTO target SELECT asset, temperature AS t FROM press_telemetry;
INSERT INTO target SELECT asset, state AS t, note FROM press_telemetry;
INSERT INTO nowhere SELECT * FROM press_telemetry;
INSERT INTO press_telemetry SELECT * FROM press_telemetry;
INSERT INTO target SELECT asset, state AS t FROM press_telemetry LIMIT 5;
DROP TABLE target;
