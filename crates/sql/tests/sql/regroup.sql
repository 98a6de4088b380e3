-- last rows only: rows of one group come from several partitions, in any order
-- Groups that are not the stream's key: with several partitions their rows go through a repartition topic.
CREATE TABLE per_state WITH (KAFKA_TOPIC='per.state') AS
SELECT state, COUNT(*) AS n, SUM(count) AS total, MAX(note) AS note
FROM press_telemetry
WHERE state IS NOT NULL
GROUP BY state;
CREATE TABLE per_pair WITH (KAFKA_TOPIC='per.pair', KEY_FORMAT='JSON') AS
SELECT running, UCASE(note) AS note, COUNT(*) AS n
FROM press_telemetry
WHERE state < 3
GROUP BY running, UCASE(note);
