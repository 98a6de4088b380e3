-- error: temperature: `TEMPERATURE` has many values in a group [neither in GROUP BY nor in an aggregate] write LATEST_BY_OFFSET(TEMPERATURE)
-- error: AVG(temperature): AVG cannot stand here
-- error: COUNT(*): COUNT cannot stand here
-- error: *: `*` has many values in a group
-- error: a window needs groups
-- error: HAVING needs groups
-- error: EMIT FINAL: EMIT FINAL needs a window
-- error: AVG(note): AVG does not take these arguments [(VARCHAR)]
-- error: RETENTION is shorter than a window
-- error: a: this query makes a table [expected CREATE TABLE] write CREATE TABLE A AS SELECT
-- error: HYSTERESIS(AVG(temperature), 1, 2): HYSTERESIS cannot stand here
SELECT asset, temperature FROM press_telemetry GROUP BY asset EMIT CHANGES;
SELECT AVG(temperature) FROM press_telemetry EMIT CHANGES;
SELECT * FROM press_telemetry WHERE COUNT(*) > 1 EMIT CHANGES;
SELECT * FROM press_telemetry GROUP BY asset EMIT CHANGES;
SELECT asset FROM press_telemetry WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 1 SECOND) EMIT CHANGES;
SELECT asset FROM press_telemetry HAVING asset = 'x' EMIT CHANGES;
SELECT asset, COUNT(*) FROM press_telemetry GROUP BY asset EMIT FINAL;
SELECT asset, AVG(note) FROM press_telemetry GROUP BY asset EMIT CHANGES;
SELECT asset, COUNT(*) FROM press_telemetry WINDOW TUMBLING (SIZE 1 HOUR, RETENTION 1 HOUR, GRACE PERIOD 1 SECOND) GROUP BY asset EMIT CHANGES;
CREATE STREAM a AS SELECT asset, COUNT(*) FROM press_telemetry GROUP BY asset;
SELECT asset, HYSTERESIS(AVG(temperature), 1, 2) FROM press_telemetry GROUP BY asset EMIT CHANGES;
