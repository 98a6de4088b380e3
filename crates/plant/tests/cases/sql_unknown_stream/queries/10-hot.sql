CREATE STREAM hot AS SELECT temperature FROM pres_telemetry EMIT CHANGES;
