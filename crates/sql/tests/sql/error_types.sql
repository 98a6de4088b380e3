-- error: temperature + note: `+` does not go with these types [DOUBLE + VARCHAR] use CAST(… AS …) on one side
-- error: running > TRUE: `>` does not go with these types [BOOLEAN > BOOLEAN]
-- error: state: `STATE` is INTEGER [expected BOOLEAN]
-- error: CASE WHEN running THEN 1 ELSE 'x' END: the results of CASE have different types [INTEGER, VARCHAR] use CAST
-- error: state IN (1, 'two'): the values of IN have different types
-- error: SQRT(note): SQRT does not take these arguments [(VARCHAR)] it is called as SQRT(DOUBLE)
-- error: running: there is no cast of BOOLEAN to INTEGER [`RUNNING` is BOOLEAN] write CASE WHEN
-- error: temperature: `TEMPERATURE` is DOUBLE [expected VARCHAR]
-- error: VARCHARR: there is no type `VARCHARR` [unknown type]
SELECT temperature + note FROM press_telemetry EMIT CHANGES;
SELECT * FROM press_telemetry WHERE running > TRUE EMIT CHANGES;
SELECT * FROM press_telemetry WHERE state EMIT CHANGES;
SELECT CASE WHEN running THEN 1 ELSE 'x' END FROM press_telemetry EMIT CHANGES;
SELECT * FROM press_telemetry WHERE state IN (1, 'two') EMIT CHANGES;
SELECT SQRT(note) FROM press_telemetry EMIT CHANGES;
SELECT CAST(running AS INT) FROM press_telemetry EMIT CHANGES;
SELECT * FROM press_telemetry WHERE temperature LIKE '7%' EMIT CHANGES;
SELECT CAST(state AS VARCHARR) FROM press_telemetry EMIT CHANGES;
