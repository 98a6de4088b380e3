CREATE STREAM setpoints WITH (KAFKA_TOPIC = 'press1.setpoints') AS
  SELECT asset, CASE WHEN temperature > 75 THEN 25.0 ELSE 40.0 END AS setpoint FROM hot EMIT CHANGES;
