CREATE STREAM commands WITH (KAFKA_TOPIC = 'press1.setpoints') AS
  SELECT asset, temperature AS setpont, 5000 AS expires, temperature AS other FROM press_telemetry EMIT CHANGES;
