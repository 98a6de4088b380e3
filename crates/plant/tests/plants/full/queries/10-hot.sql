-- presses that run hot
CREATE STREAM hot AS
  SELECT asset, temperature FROM machine_telemetry WHERE temperature > 70 EMIT CHANGES;
