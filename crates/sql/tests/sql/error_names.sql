-- error: press_telemetri: there is no stream or table `PRESS_TELEMETRI` [not declared before this statement] did you mean PRESS_TELEMETRY?
-- error: temprature: `PRESS_TELEMETRY` has no column `TEMPRATURE` [its columns are ASSET, TEMPERATURE, PRESSURE, RUNNING, STATE, COUNT, NOTE] did you mean TEMPERATURE?
-- error: `temperature`: `PRESS_TELEMETRY` has no column `temperature`
-- error: q: there is no `Q` in this query [expected `P`]
-- error: ABBS: there is no function ABBS [unknown function] did you mean ABS?
SELECT * FROM press_telemetri EMIT CHANGES;
SELECT temprature FROM press_telemetry EMIT CHANGES;
SELECT `temperature` FROM press_telemetry EMIT CHANGES;
SELECT q.temperature FROM press_telemetry p EMIT CHANGES;
SELECT ABBS(state) FROM press_telemetry EMIT CHANGES;
