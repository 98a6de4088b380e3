#!/usr/bin/env bash
# The embedded broker beside Apache Kafka 4.3: the same Java clients, in turn, in one run. See bench/README.md.
#
# BENCH_ROUNDS [3]   rounds in turn; the medians are compared
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/shared.sh
cache=$PWD/.cache/bench/broker
rounds=${BENCH_ROUNDS:-3}
libs=$PWD/.cache/kafka/libs
millstream=$PWD/target/release/millstream
python=$PWD/.cache/venv/bin/python
kafka_port=19392 our_port=21592
hertz=$(getconf CLK_TCK)
children=()
finish() {
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  KAFKA_PORT=$kafka_port KAFKA_RUN=$cache/kafka tests/kafka.sh stop
}
trap finish EXIT
cpu_s() { awk -v hertz="$hertz" '{ print ($14 + $15) / hertz }' "/proc/$1/stat"; }
median() { sort -g <<<"$(tr ' ' '\n' <<<"$*")" | awk 'NF { v[++n] = $1 } END { print v[int((n + 1) / 2)] }'; }
java_tool() { timeout 300 java -Xmx512M -Dlog4j2.level=ERROR -cp "$libs/*:$cache/classes" "$@"; }
admin() { "$python" -c '
import sys
from confluent_kafka.admin import AdminClient, NewTopic
admin = AdminClient({"bootstrap.servers": sys.argv[1]})
topic = NewTopic(sys.argv[2], int(sys.argv[3]), 1, config={"retention.ms": "-1"})
admin.create_topics([topic])[sys.argv[2]].result(60)' "$@"; }

mkdir -p "$cache/classes"
javac -d "$cache/classes" -cp "$libs/*" bench/peers/kafka/EndToEnd.java

start_ours() { # FOLDER → pid; the milliseconds until it listens in $ready_ms
  mkdir -p "$1"
  printf '[kafka]\nlisten = "127.0.0.1:%d"\n[http]\nlisten = "127.0.0.1:21593"\n' "$our_port" > "$1/millstream.toml"
  local began; began=$(date +%s%N)
  "$millstream" run "$1" >"$cache/run.log" 2>&1 & ours=$!; children+=("$ours")
  until listens $our_port; do [ -d "/proc/$ours" ] || { cat "$cache/run.log" >&2; fail "it ended"; }; sleep 0.001; done
  ready_ms=$(calc '%.0f' "($(date +%s%N) - $began) / 1e6")
}

stop_ours() { kill -INT "$ours"; wait "$ours" 2>/dev/null || true; }

# NAME PID BOOTSTRAP RECORDS BYTES ACKS → records/s and CPU seconds per million
produce() {
  local topic="bench-$RANDOM$RANDOM" before after rate
  admin "$3" "$topic" 1
  before=$(cpu_s "$2")
  rate=$(java_tool org.apache.kafka.tools.ProducerPerformance --topic "$topic" --num-records "$4" --record-size "$5" --throughput -1 \
    --command-property bootstrap.servers="$3" acks="$6" 2>/dev/null | tail -1 | sed -E 's/.* ([0-9.]+) records\/sec.*/\1/')
  after=$(cpu_s "$2")
  echo "$rate $(calc '%.3f' "($after - $before) * 1e6 / $4") $topic"
}

consume() { # BOOTSTRAP TOPIC RECORDS → records/s
  java_tool org.apache.kafka.tools.ConsumerPerformance --bootstrap-server "$1" --topic "$2" --num-records "$3" --hide-header \
    --reporting-interval 100000 --timeout 60000 2>/dev/null | tail -1 | awk -F', *' '{ print $NF }'
}

row() { # NAME OURS KAFKA GOAL: medians, the ratio of ours to Kafka's
  printf '%-44s %12s %12s   %6.2f x   (goal %s)\n' "$1" "$2" "$3" "$(calc '%f' "$2 / $3")" "$4"
}

rm -rf "$cache/plant"
start_ours "$cache/plant"
echo "ready after $ready_ms ms (goal 100)"
sleep 5
echo "idle: $(resident_mb "$ours") MB resident (goal 25)"
began=$(date +%s%N)
KAFKA_HEAP=1G KAFKA_PORT=$kafka_port KAFKA_RUN=$cache/kafka tests/kafka.sh start >/dev/null
echo "Apache Kafka: ready after $(calc '%.0f' "($(date +%s%N) - $began) / 1e6") ms"
kafka=$(KAFKA_PORT=$kafka_port KAFKA_RUN=$cache/kafka tests/kafka.sh pid)

declare -A figure
note() { figure[$1]="${figure[$1]:-} $2"; }
# Enough records that the start of the JVM does not count.
cases=("100 all 4000000" "100 1 4000000" "1000 all 1000000")
for _ in $(seq "$rounds"); do
  for case in "${cases[@]}"; do
    read -r bytes acks records <<<"$case"
    for name in kafka ours; do
      [ $name = ours ] && pid=$ours port=$our_port || { pid=$kafka; port=$kafka_port; }
      read -r rate cpu topic <<<"$(produce $name "$pid" "127.0.0.1:$port" "$records" "$bytes" "$acks")"
      note "$name produce $bytes $acks" "$rate"; note "$name cpu $bytes $acks" "$cpu"
      if [ "$bytes $acks" = "100 all" ]; then note "$name consume" "$(consume "127.0.0.1:$port" "$topic" "$records")"; fi
    done
  done
  for name in kafka ours; do
    [ $name = ours ] && port=$our_port || port=$kafka_port
    topic="latency-$RANDOM$RANDOM"; admin "127.0.0.1:$port" "$topic" 1
    read -r p50 p99 <<<"$(java_tool EndToEnd "127.0.0.1:$port" "$topic" 1000 15 1)"
    note "$name p50" "$p50"; note "$name p99" "$p99"
  done
done
at() { median "${figure[$1]}"; }
printf '\n%-44s %12s %12s\n' "medians of $rounds rounds" "millstream" "Kafka"
row "produce 100 B, acks=all, records/s" "$(at 'ours produce 100 all')" "$(at 'kafka produce 100 all')" ">= 1.5"
row "produce 100 B, acks=1, records/s" "$(at 'ours produce 100 1')" "$(at 'kafka produce 100 1')" ">= 2"
row "produce 1 KB, acks=all, records/s" "$(at 'ours produce 1000 all')" "$(at 'kafka produce 1000 all')" ">= 1.5"
row "broker CPU s per million 100 B, acks=all" "$(at 'ours cpu 100 all')" "$(at 'kafka cpu 100 all')" "<= 0.2"
row "broker CPU s per million 1 KB, acks=all" "$(at 'ours cpu 1000 all')" "$(at 'kafka cpu 1000 all')" "<= 0.2"
row "consume 100 B, records/s" "$(at 'ours consume')" "$(at 'kafka consume')" ">= 1"
row "end to end at 1,000/s, acks=1, p50 ms" "$(at 'ours p50')" "$(at 'kafka p50')" "p50 <= 0.2 ms"
row "end to end at 1,000/s, acks=1, p99 ms" "$(at 'ours p99')" "$(at 'kafka p99')" "<= 1"
row "memory after this load, MB" "$(resident_mb "$ours")" "$(resident_mb "$kafka")" "<= 0.05"

stop_ours
rm -rf "$cache/plant"
start_ours "$cache/plant"
admin "127.0.0.1:$our_port" thousand 1000
coproc HOLD { "$python" bench/peers/kafka/connections.py $our_port 1000; }
read -r held <&"${HOLD[0]}"
read -r rate _ <<<"$(produce ours "$ours" "127.0.0.1:$our_port" 200000 100 all)"
echo "1,000 partitions and $held connections held: $(resident_mb "$ours") MB resident; a producer beside them: $rate records/s"
stop_ours
start_ours "$cache/plant"
echo "ready again with 1,000 partitions after $ready_ms ms (goal 100)"
stop_ours
