CREATE STREAM hot AS SELECT asset, temprature FROM press_telemetry EMIT CHANGES;
