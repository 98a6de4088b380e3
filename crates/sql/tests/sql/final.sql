-- Windows that are emitted once, when they are closed.
-- one partition: a window is closed by the latest row of the partition
CREATE TABLE counts WITH (KAFKA_TOPIC='counts') AS
SELECT asset, COUNT(*) AS n, AVG(temperature) AS mean, WINDOWEND AS until
FROM press_telemetry
WINDOW TUMBLING (SIZE 10 SECONDS, RETENTION 1 HOUR, GRACE PERIOD 0 SECONDS)
GROUP BY asset
HAVING COUNT(*) > 1
EMIT FINAL;
