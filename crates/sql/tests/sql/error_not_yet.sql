-- error: JOIN: a join is not supported yet
-- error: HOPPING: this window is not supported yet
-- error: PRINT: `PRINT` is not supported yet
-- error: a SELECT without EMIT CHANGES is not supported yet [not possible here] add EMIT CHANGES
-- error: DISTINCT: `SELECT DISTINCT` is not supported yet
-- error: t: grouping a table is not supported yet
-- error: ->: access to nested values is not supported yet
CREATE TABLE t (id VARCHAR PRIMARY KEY, n INT) WITH (KAFKA_TOPIC='t');
SELECT * FROM press_telemetry JOIN t ON t.id = asset EMIT CHANGES;
SELECT asset, COUNT(*) FROM press_telemetry WINDOW HOPPING (SIZE 1 SECOND, ADVANCE BY 1 SECOND) GROUP BY asset EMIT CHANGES;
PRINT 'press.telemetry';
SELECT * FROM press_telemetry;
SELECT DISTINCT asset FROM press_telemetry EMIT CHANGES;
SELECT n, COUNT(*) FROM t GROUP BY n EMIT CHANGES;
SELECT note->x FROM press_telemetry EMIT CHANGES;
