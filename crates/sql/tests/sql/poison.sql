-- What cannot be used goes to the error topic, and the query goes on.
CREATE STREAM shares WITH (KAFKA_TOPIC='shares') AS
SELECT asset, count / state AS share, CAST(note AS INT) AS number, temperature / state AS ratio
FROM press_telemetry WHERE 100 / state > 1 OR note = 'x' EMIT CHANGES;
CREATE TABLE sums WITH (KAFKA_TOPIC='sums') AS SELECT asset, SUM(state) AS sum, COUNT(*) AS n FROM press_telemetry GROUP BY asset;
