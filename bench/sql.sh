#!/usr/bin/env bash
# A continuous query beside the same one as a Kafka Streams application: a filter and an average over tumbling windows of
# one second by key, over JSON records, on the same Apache Kafka and on the embedded log, in one run. See bench/README.md.
#
# BENCH_RECORDS [3000000]   BENCH_ROUNDS [3]
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/shared.sh
cache=$PWD/.cache/bench/sql
records=${BENCH_RECORDS:-3000000} rounds=${BENCH_ROUNDS:-3}
libs=$PWD/.cache/kafka/libs
millstream=$PWD/target/release/millstream
kafka_port=19492 our_port=21692 http=127.0.0.1:21693
hertz=$(getconf CLK_TCK)
children=()
finish() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  KAFKA_PORT=$kafka_port KAFKA_RUN=$cache/kafka tests/kafka.sh stop
}
trap finish EXIT
cpu_s() { awk -v hertz="$hertz" '{ print ($14 + $15) / hertz }' "/proc/$1/stat"; }
median() { sort -g <<<"$(tr ' ' '\n' <<<"$*")" | awk 'NF { v[++n] = $1 } END { print v[int((n + 1) / 2)] }'; }
java_tool() { timeout 600 java -Xmx1G -Dlog4j2.level=ERROR -cp "$libs/*:$cache/classes" "$@" 2>/dev/null; }

make_topic() { # SERVERS TOPIC
  "$PWD/.cache/venv/bin/python" -c '
import sys
from confluent_kafka.admin import AdminClient, NewTopic
admin = AdminClient({"bootstrap.servers": sys.argv[1]})
admin.create_topics([NewTopic(sys.argv[2], 1, 1, config={"retention.ms": "-1"})])[sys.argv[2]].result(60)' "$@"; }

mkdir -p "$cache/classes"
javac -d "$cache/classes" -cp "$libs/*" bench/peers/kafka/Readings.java bench/peers/kafka/Average.java

query="CREATE STREAM READINGS (ASSET VARCHAR KEY, TEMPERATURE DOUBLE, PRESSURE DOUBLE, RUNNING BOOLEAN, SPEED INT, COUNTER BIGINT, STATE INT)
  WITH (KAFKA_TOPIC='readings', VALUE_FORMAT='JSON');
CREATE TABLE AVERAGES WITH (KAFKA_TOPIC='averages-NAME') AS SELECT ASSET, AVG(TEMPERATURE) AS MEAN FROM READINGS
  WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 1 SECOND) WHERE TEMPERATURE > 0 GROUP BY ASSET EMIT CHANGES;"

start_ours() { # FOLDER, lines of millstream.toml → $ours
  rm -rf "$1"; mkdir -p "$1"
  printf '%s\n[http]\nlisten = "%s"\n' "$2" "$http" > "$1/millstream.toml"
  "$millstream" run "$1" >"$cache/run.log" 2>&1 & ours=$!; children+=("$ours")
  until listens "${http#*:}"; do [ -d "/proc/$ours" ] || { cat "$cache/run.log" >&2; fail "it ended"; }; sleep 0.01; done
}
stop_ours() { kill -INT "$ours"; wait "$ours" 2>/dev/null || true; }
metric() { curl -fsS "http://$http/metrics" | awk -v name="$1" 'index($1, name "{") == 1 { sum += $2 } END { printf "%d", sum }'; }

# Runs the query over what is there: seconds, CPU seconds, MB.
run_query() {
  local before began
  before=$(cpu_s "$ours") began=$(date +%s%N)
  "$millstream" sql --url "http://$http" -e "${query//NAME/$RANDOM}" >/dev/null
  until [ "$(metric millstream_query_records_in_total)" -ge "$records" ]; do sleep 0.02; done
  echo "$(calc '%.2f' "($(date +%s%N) - $began) / 1e9") $(calc '%.2f' "$(cpu_s "$ours") - $before") $(awk '/VmHWM/ { printf "%d", $2 / 1024 }' "/proc/$ours/status")"
}

# Begun anew: what another run has left would be read, too.
rm -rf "$cache/kafka"
KAFKA_HEAP=1G KAFKA_PORT=$kafka_port KAFKA_RUN=$cache/kafka tests/kafka.sh start >/dev/null
make_topic 127.0.0.1:$kafka_port readings
java_tool Readings 127.0.0.1:$kafka_port readings "$records"

declare -A figure
note() { figure["$1 rate"]+=" $(calc '%.0f' "$records / $2")"; figure["$1 cpu"]+=" $(calc '%.0f' "$records / $3")"; figure["$1 memory"]+=" $4"; }
for _ in $(seq "$rounds"); do
  for guarantee in at_least_once exactly_once_v2; do
    result=averages-$RANDOM$RANDOM
    make_topic 127.0.0.1:$kafka_port "$result"
    read -r seconds cpu memory <<<"$(java_tool Average 127.0.0.1:$kafka_port readings "$result" "$records" $guarantee)"
    note "streams $guarantee" "$seconds" "$cpu" "$memory"
  done
  start_ours "$cache/on-kafka" "[log]
bootstrap_servers = \"127.0.0.1:$kafka_port\""
  read -r seconds cpu memory <<<"$(run_query)"; note "on Kafka" "$seconds" "$cpu" "$memory"
  stop_ours
  start_ours "$cache/embedded" "[kafka]
listen = \"127.0.0.1:$our_port\""
  make_topic 127.0.0.1:$our_port readings
  java_tool Readings 127.0.0.1:$our_port readings "$records"
  read -r seconds cpu memory <<<"$(run_query)"; note embedded "$seconds" "$cpu" "$memory"
  stop_ours
done

at() { median "${figure[$1]}"; }
printf '%-40s %12s %16s %8s\n' "medians of $rounds rounds, $records records" "records/s" "per CPU-second" "MB"
for name in "streams at_least_once" "streams exactly_once_v2" "on Kafka" embedded; do
  printf '%-40s %12s %16s %8s\n' "$name" "$(at "$name rate")" "$(at "$name cpu")" "$(at "$name memory")"
done
for name in "on Kafka" embedded; do
  for peer in "streams at_least_once" "streams exactly_once_v2"; do
    printf 'exactly once %s: %.2f x the records per CPU-second of %s (goal >= 5), %.2f x its memory (goal <= 0.2)\n' "$name" \
      "$(calc '%f' "$(at "$name cpu") / $(at "$peer cpu")")" "$peer" "$(calc '%f' "$(at "$name memory") / $(at "$peer memory")")"
  done
done
