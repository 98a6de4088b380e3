-- The computed setpoint of the demo: projection, WHERE and CASE over a scan group's stream.
CREATE STREAM setpoints WITH (KAFKA_TOPIC='cooling.setpoints', VALUE_FORMAT='JSON') AS
SELECT asset,
       CASE WHEN temperature > 70 THEN 18.0 WHEN temperature > 60 THEN 22 ELSE 26 END AS `setpoint`,
       ROUND(temperature, 1) AS seen
FROM press_telemetry
WHERE running AND temperature IS NOT NULL
EMIT CHANGES;
