-- How hot was the press, five seconds at a time?
CREATE TABLE press_average WITH (KAFKA_TOPIC = 'press.average') AS
  SELECT asset, AVG(temperature) AS temperature, MAX(temperature) AS hottest, COUNT(*) AS samples
  FROM press_thermal
  WINDOW TUMBLING (SIZE 5 SECONDS, GRACE PERIOD 1 SECOND)
  GROUP BY asset
  EMIT CHANGES;
