-- error: rowtime: a column cannot be called ROWTIME [every row has one of this name] give it another name
-- error: ROWTIME: a column cannot be called ROWTIME [every row has one of this name] write ROWTIME AS another name
-- error: nokey: table `NOKEY` has no key [a table needs a PRIMARY KEY]
-- error: id: the key of a stream is written KEY [expected KEY] ID VARCHAR KEY
-- error: KAFKA_TOPC: there is no option `KAFKA_TOPC` here
-- error: notopic: `NOTOPIC` has no topic [KAFKA_TOPIC is missing]
-- error: avro: the columns of `AVRO` are not known [no columns are given, and no schema was found] declare them
-- error: 'a b': 'a b' is no value for KAFKA_TOPIC
-- error: 0: '0' is no value for PARTITIONS [expected a whole number from 1 to 10000] PARTITIONS=1
-- error: 'tme': `TME` cannot be the rows' time [expected a BIGINT column of the value that holds milliseconds since 1970, or a TIMESTAMP] did you mean TIME?
-- error: a: there are two columns `A`
-- error: twokeys: the key format KAFKA holds one column only [the key is A, B] WITH (KEY_FORMAT='JSON')
-- error: press_telemetry: there is a stream `PRESS_TELEMETRY` already [defined before] it is the stream of a scan group
-- error: temperature: the key `ASSET` is not selected [the result would have no key] SELECT ASSET
-- error: asset: the key `ASSET` is selected twice [the second time] write AS_VALUE(ASSET)
-- error: t: there are two columns `T`
-- error: round: the query would read its own result from topic `press.telemetry`
-- error: groups: the key format KAFKA holds one column only [the key is ASSET, STATE] WITH (KEY_FORMAT='JSON')
CREATE TABLE nokey (a INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
CREATE STREAM wrongkey (id VARCHAR PRIMARY KEY) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='JSON');
CREATE STREAM typo (id VARCHAR KEY) WITH (KAFKA_TOPIC='t', KAFKA_TOPC='t', VALUE_FORMAT='JSON');
CREATE STREAM notopic (id VARCHAR KEY) WITH (VALUE_FORMAT='JSON');
CREATE STREAM avro (id VARCHAR KEY) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO');
CREATE STREAM badtopic (id VARCHAR KEY) WITH (KAFKA_TOPIC='a b', VALUE_FORMAT='JSON');
CREATE STREAM zero (id VARCHAR KEY) WITH (KAFKA_TOPIC='t', PARTITIONS=0);
CREATE STREAM badtime (id VARCHAR KEY, time BIGINT) WITH (KAFKA_TOPIC='t', TIMESTAMP='tme');
CREATE STREAM double (id VARCHAR KEY, a INT, a INT) WITH (KAFKA_TOPIC='t');
CREATE STREAM twokeys (a VARCHAR KEY, b INT KEY) WITH (KAFKA_TOPIC='t');
CREATE STREAM press_telemetry (a VARCHAR KEY) WITH (KAFKA_TOPIC='t');
CREATE STREAM keyless AS SELECT temperature FROM press_telemetry;
CREATE STREAM twice AS SELECT asset, asset AS again FROM press_telemetry;
CREATE STREAM same AS SELECT asset, temperature AS t, pressure AS t FROM press_telemetry;
CREATE STREAM round WITH (KAFKA_TOPIC='press.telemetry') AS SELECT asset, state FROM press_telemetry;
CREATE TABLE groups AS SELECT asset, state, COUNT(*) AS n FROM press_telemetry GROUP BY asset, state;
CREATE STREAM reserved (id VARCHAR KEY, rowtime BIGINT) WITH (KAFKA_TOPIC='t');
CREATE STREAM times AS SELECT asset, ROWTIME FROM press_telemetry;
