-- The records of a stream get the time of one of its columns, and downstream windows go by it.
CREATE STREAM stamped WITH (KAFKA_TOPIC='stamped', TIMESTAMP='at', RETENTION_MS=86400000) AS SELECT asset, count AS at, state FROM press_telemetry;
CREATE TABLE per_second WITH (KAFKA_TOPIC='per.second') AS
SELECT asset, COUNT(*) AS n FROM stamped WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 1 HOUR) GROUP BY asset;
