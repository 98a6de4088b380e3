-- An alarm that does not flutter: it comes at 65 °C and goes at 55 °C.
CREATE STREAM press_alarm WITH (KAFKA_TOPIC = 'press.alarm') AS
  SELECT asset, temperature, HYSTERESIS(temperature, 55, 65) AS hot
  FROM press_thermal
  WHERE temperature IS NOT NULL
  EMIT CHANGES;
