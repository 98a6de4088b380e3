"""Speaks ksqlDB's REST API as its clients do: HTTP/2 without a negotiation, HTTP/1.1, WebSockets. Argument: the instance's URL."""
import json
import sys

import httpx
from websockets.sync.client import connect

url = sys.argv[1]
V1 = "application/vnd.ksql.v1+json"
DELIMITED = "application/vnd.ksqlapi.delimited.v1"
clients = {"HTTP/1.1": httpx.Client(base_url=url, timeout=60),
           "HTTP/2": httpx.Client(base_url=url, timeout=60, http1=False, http2=True)}


def ksql(client, text, status=200, **more):
    response = client.post("/ksql", json={"ksql": text, **more}, headers={"accept": V1})
    assert response.status_code == status, (response.status_code, response.text)
    assert response.headers["content-type"] == V1
    return response.json()


def rows(client, text, **more):
    response = client.post("/query-stream", json={"sql": text, **more}, headers={"accept": DELIMITED})
    assert response.status_code == 200, response.text
    header, *rows = [json.loads(line) for line in response.text.splitlines() if line]
    return header, rows


first = clients["HTTP/1.1"]
created = ksql(first, "CREATE STREAM readings (asset VARCHAR KEY, value DOUBLE, day DATE, tags ARRAY<VARCHAR>) "
                      "WITH (KAFKA_TOPIC='readings', VALUE_FORMAT='JSON', PARTITIONS=1);"
                      "CREATE TABLE totals WITH (KAFKA_TOPIC='totals') AS SELECT asset, COUNT(*) AS n, SUM(value) AS total "
                      "FROM readings GROUP BY asset EMIT CHANGES;")
assert [entity["@type"] for entity in created] == ["currentStatus", "currentStatus"], created
assert created[0]["commandId"] == "stream/`READINGS`/create", created
assert created[0]["commandStatus"]["status"] == "SUCCESS", created
assert created[1]["commandSequenceNumber"] == created[0]["commandSequenceNumber"] + 1, created
assert created[1]["commandStatus"]["queryId"].startswith("CTAS_TOTALS"), created
assert created[0]["statementText"].endswith(";") and created[0]["warnings"] == [], created
assert first.get("/status/stream/READINGS/create").json()["status"] == "SUCCESS"

print("dates and times are texts, going in and coming out")
plain = clients["HTTP/1.1"]
ksql(plain, "CREATE STREAM times (day DATE, time TIME, at TIMESTAMP) "
     "WITH (KAFKA_TOPIC='times', VALUE_FORMAT='JSON', PARTITIONS=1);")
times = {"DAY": "2026-03-04", "TIME": "05:06:07.008", "AT": "2026-03-04T05:06:07.008"}
sent = [{"target": "times"}, times, {"DAY": 1, "TIME": 2, "AT": 3}, {"DAY": "yesterday"}]
response = plain.post("/inserts-stream", content="\n".join(map(json.dumps, sent)) + "\n")
acks = [json.loads(line)["status"] for line in response.text.splitlines()]
assert acks == ["ok", "ok", "error"], response.text
_, found = rows(plain, "SELECT * FROM times;")
assert found == [list(times.values()), ["1970-01-02", "00:00:00.002", "1970-01-01T00:00:00.003"]], found

print("what a function takes, who reads a topic, and what a query reads")
call = ksql(plain, "DESCRIBE FUNCTION CONCAT;")[0]["functions"][0]
assert call["returnType"] == "VARCHAR", call
assert call["arguments"] == [{"name": "", "type": "VARCHAR", "description": "", "isVariadic": True}], call
topics = ksql(plain, "SHOW TOPICS EXTENDED;")[0]["topics"]
assert next(topic for topic in topics if topic["name"] == "times")["consumerGroupCount"] == 0, topics
ran = ksql(plain, "EXPLAIN CTAS_TOTALS;")[0]["queryDescription"]
assert (ran["sources"], ran["sinks"]) == (["READINGS"], ["TOTALS"]), ran

for name, client in clients.items():
    print(name, "statements")
    listed = ksql(client, "SHOW STREAMS; SHOW TABLES; SHOW QUERIES;",
                  commandSequenceNumber=created[1]["commandSequenceNumber"])
    streams, tables, queries = listed
    stream = next(stream for stream in streams["streams"] if stream["name"] == "READINGS")
    assert stream == {"type": "STREAM", "name": "READINGS", "topic": "readings", "keyFormat": "KAFKA",
                      "valueFormat": "JSON", "isWindowed": False}, stream
    assert tables["tables"][0]["name"] == "TOTALS" and tables["tables"][0]["type"] == "TABLE", tables
    query = queries["queries"][0]
    assert (query["sinks"], query["sinkKafkaTopics"], query["state"], query["queryType"]) == (
        ["TOTALS"], ["totals"], "RUNNING", "PERSISTENT"), query
    described = ksql(client, "DESCRIBE readings EXTENDED;")[0]["sourceDescription"]
    fields = {field["name"]: field for field in described["fields"]}
    assert fields["ASSET"]["type"] == "KEY" and fields["ASSET"]["schema"]["type"] == "STRING", fields
    assert fields["TAGS"]["schema"]["memberSchema"]["type"] == "STRING", fields
    assert (described["partitions"], described["topic"], described["keyFormat"]) == (1, "readings", "KAFKA")
    explained = ksql(client, f"EXPLAIN {query['id']};")[0]["queryDescription"]
    assert explained["sinks"] == ["TOTALS"] and explained["executionPlan"], explained
    names = [function["name"] for function in ksql(client, "SHOW FUNCTIONS;")[0]["functions"]]
    assert "SUM" in names and "UCASE" in names, names
    told = ksql(client, "DESCRIBE FUNCTION sum; SHOW PROPERTIES; SHOW TOPICS;")
    assert [entity["@type"] for entity in told] == ["describe_function", "properties", "kafka_topics"], told
    assert told[0]["type"] == "AGGREGATE" and told[0]["functions"], told
    assert "auto.offset.reset" in told[1]["defaultProperties"], told
    assert {"name": "readings", "replicaInfo": [1]} in told[2]["topics"], told

    print(name, "errors")
    wrong = ksql(client, "SHOW STREAMS; SELEC 1;", 400)
    assert (wrong["@type"], wrong["error_code"]) == ("statement_error", 40001), wrong
    assert wrong["message"].startswith("line 1:15: "), wrong
    query = ksql(client, "SELECT * FROM readings EMIT CHANGES;", 400)
    assert query["error_code"] == 40002, query
    for path, body, code in [("/query", {"ksql": "SHOW STREAMS;"}, 40001), ("/query", {}, 40000),
                             ("/query-stream", {"sql": "SELECT * FROM nowhere;"}, 40001),
                             ("/close-query", {"queryId": "none"}, 40000)]:
        response = client.post(path, json=body)
        assert (response.status_code, response.json()["error_code"]) == (code // 100, code), response.text

    print(name, "rows in")
    sent = [{"ASSET": "press1", "VALUE": 1.5, "DAY": None, "TAGS": ["a", "b"]}, {"asset": "press2", "value": 2},
            {"asset": "press1", "value": "warm"}, {"value": 1}]
    body = "\n".join([json.dumps({"target": "readings"})] + [json.dumps(row) for row in sent]) + "\n"
    response = client.post("/inserts-stream", content=body)
    acks = [json.loads(line) for line in response.text.splitlines()]
    assert [(ack["status"], ack["seq"]) for ack in acks] == [("ok", 0), ("ok", 1), ("error", 2), ("error", 3)], acks
    assert client.post("/inserts-stream", content='{"target":"totals"}\n').status_code == 400

    print(name, "push queries")
    header, found = rows(client, "SELECT asset, value, tags FROM readings EMIT CHANGES LIMIT 2;",
                         properties={"auto.offset.reset": "earliest"})
    assert header["columnNames"] == ["ASSET", "VALUE", "TAGS"] and header["queryId"], header
    assert header["columnTypes"] == ["STRING", "DOUBLE", "ARRAY<STRING>"], header
    assert found == [["press1", 1.5, ["a", "b"]], ["press2", 2.0, None]], found
    with client.stream("POST", "/query-stream", json={"sql": "SELECT * FROM readings EMIT CHANGES;"}) as response:
        lines = response.iter_lines()
        header = json.loads(next(lines))
        assert clients["HTTP/1.1" if name == "HTTP/2" else "HTTP/2"].post(
            "/close-query", json={"queryId": header["queryId"]}).status_code == 200
        assert [line for line in lines if line] == []

print("pull queries on a table and a stream")
client = clients["HTTP/2"]
while True:
    header, found = rows(client, "SELECT * FROM totals WHERE asset = 'press1';")
    if found and found[0][1] == 2:
        break
assert found == [["press1", 2, 3.0]] and header["queryId"] is None, (header, found)
header, found = rows(client, "SELECT asset, value FROM readings;")
assert len(found) == 4, found
answer = first.post("/query", json={"ksql": "SELECT asset, n FROM ${t} WHERE asset IN ('press2');",
                                    "sessionVariables": {"t": "totals"}}, headers={"accept": V1}).json()
assert answer[0]["header"]["schema"] == "`ASSET` STRING KEY, `N` BIGINT", answer
assert answer[1:] == [{"row": {"columns": ["press2", 2]}}], answer
pushed = first.post("/query", json={"ksql": "SELECT asset FROM readings EMIT CHANGES LIMIT 1;",
                                    "streamsProperties": {"ksql.streams.auto.offset.reset": "earliest"}}).json()
assert pushed[-1] == {"finalMessage": "Limit Reached"} and pushed[1] == {"row": {"columns": ["press1"]}}, pushed

printed = first.post("/query", json={"ksql": "PRINT 'readings' FROM BEGINNING LIMIT 2;"}).text.splitlines()
assert len(printed) == 2 and "press1" in printed[0], printed

print("a schema registry beside it")
schema = {"schema": '{"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}'}
registered = first.post("/subjects/readings-value/versions", json=schema)
assert registered.status_code == 200 and registered.headers["content-type"].startswith("application/vnd.schemaregistry"), registered
assert first.get(f"/schemas/ids/{registered.json()['id']}").json()["schema"], registered.text
assert "readings-value" in first.get("/subjects").json()

print("a WebSocket")
request = json.dumps({"ksql": "SELECT asset, value FROM readings EMIT CHANGES LIMIT 2;",
                      "streamsProperties": {"auto.offset.reset": "earliest"}})
target = httpx.URL(url.replace("http://", "ws://") + "/ws/query", params={"request": request})
with connect(str(target)) as socket:
    messages = [json.loads(message) for message in socket]
assert [field["name"] for field in messages[0]] == ["ASSET", "VALUE"], messages
assert messages[1:] == [{"row": {"columns": ["press1", 1.5]}}, {"row": {"columns": ["press2", 2.0]}}], messages

print("the server")
assert first.get("/info").json()["KsqlServerInfo"]["serverStatus"] == "RUNNING"
assert first.get("/healthcheck").json()["isHealthy"] is True
assert first.get("/is_valid_property/auto.offset.reset").json() is True
assert first.get("/is_valid_property/colour").status_code == 400
assert ksql(first, "DROP TABLE totals; DROP STREAM readings DELETE TOPIC;")[1]["commandId"] == "stream/`READINGS`/drop"
print("done")
