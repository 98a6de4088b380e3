CREATE STREAM hot AS SELECT asset, temperature FROM press_telemetry EMIT CHANGES;
