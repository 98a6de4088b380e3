-- A rolling average per machine: every change is emitted, late rows are dropped.
-- one partition: which row is late depends on the latest row of the partition
CREATE TABLE averages WITH (KAFKA_TOPIC='press.averages') AS
SELECT asset, AVG(temperature) AS mean, COUNT(*) AS samples, MIN(state) AS low, MAX(count) AS high, SUM(count) AS total,
       WINDOWSTART AS since
FROM press_telemetry
WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 500 MILLISECONDS)
WHERE temperature IS NOT NULL
GROUP BY asset
EMIT CHANGES;
