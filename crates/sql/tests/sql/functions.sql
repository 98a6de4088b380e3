-- Scalar functions through a whole query, keys in JSON.
CREATE STREAM made WITH (KAFKA_TOPIC='made', KEY_FORMAT='JSON') AS
SELECT asset, AS_VALUE(asset) AS name, SUBSTRING(asset, 2) AS rest, CONCAT(UCASE(asset), '-', note) AS label, LEN(note) AS len,
  COALESCE(temperature, -1) AS t, GREATEST(temperature, pressure) AS top, ABS(state) AS a, SQRT(pressure) AS root,
  TIMESTAMPTOSTRING(ROWTIME, 'yyyy-MM-dd HH:mm:ss.SSS') AS at, CASE state WHEN 1 THEN 'one' WHEN -2 THEN 'minus two' END AS word,
  CAST(temperature AS VARCHAR) AS text, state IS DISTINCT FROM 1 AS other, temperature = NULL AS never, note || '!' AS loud,
  ROWPARTITION >= 0 AND ROWOFFSET >= 0 AS placed, UNIX_TIMESTAMP() AS now, NULLIF(state, 1) AS rest_state, state % 2 AS odd
FROM press_telemetry;
