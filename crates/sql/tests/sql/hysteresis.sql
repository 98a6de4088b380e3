-- The alarm of the demo: on above 80, off below 75, each machine by itself; only rows that count are seen.
CREATE STREAM alarms WITH (KAFKA_TOPIC='alarms') AS
SELECT asset, temperature, HYSTERESIS(temperature, 75, 80) AS active
FROM press_telemetry
WHERE running
EMIT CHANGES;
CREATE STREAM raised WITH (KAFKA_TOPIC='raised') AS
SELECT asset, temperature FROM press_telemetry WHERE HYSTERESIS(temperature, 75, 80) AND running EMIT CHANGES;
