-- A table without windows: the newest state of each group, with deletions where HAVING no longer holds.
CREATE TABLE busy WITH (KAFKA_TOPIC='busy') AS
SELECT asset, COUNT(*) AS n, LATEST_BY_OFFSET(state) AS state, EARLIEST_BY_OFFSET(state) AS first, SUM(temperature) AS heat
FROM press_telemetry
GROUP BY asset
HAVING LATEST_BY_OFFSET(state) > 1;
-- And a table made of it: rows that its WHERE refuses delete their key.
CREATE TABLE hot WITH (KAFKA_TOPIC='hot') AS SELECT asset AS machine, heat / n AS mean FROM busy WHERE heat > 25;
