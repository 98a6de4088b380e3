-- A table with windowed keys, made by somebody else; its windows come along.
CREATE TABLE hourly (asset VARCHAR PRIMARY KEY, n BIGINT) WITH (KAFKA_TOPIC='windowed.hourly', VALUE_FORMAT='JSON', WINDOW_TYPE='TUMBLING', WINDOW_SIZE='1 HOUR');
CREATE TABLE many WITH (KAFKA_TOPIC='windowed.many') AS SELECT asset, n, WINDOWSTART AS since, WINDOWEND AS until FROM hourly WHERE n > 1;
