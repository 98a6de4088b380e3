-- hot presses
CREATE STREAM hot AS
  SELEC temperature FROM press_telemetry EMIT CHANGES;
