-- What the press needs: a quarter of the cooling while all is well; while the alarm is on, 60 % and 2 % for every degree over 55.
CREATE STREAM cooler_setpoints WITH (KAFKA_TOPIC = 'cooler.setpoints') AS
  SELECT asset, CASE WHEN hot THEN 60 + 2 * (temperature - 55) ELSE 25 END AS setpoint
  FROM press_alarm
  EMIT CHANGES;
