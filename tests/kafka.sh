#!/usr/bin/env bash
# One-node Apache Kafka (KRaft) on loopback, for tests and benchmarks. `make peers` fetches it.
#
#   tests/kafka.sh start    start it unless it runs, wait until it answers, print its bootstrap address
#   tests/kafka.sh stop     end it (SIGTERM, after 30 s SIGKILL)
#   tests/kafka.sh kill9    end it with SIGKILL
#   tests/kafka.sh wipe     delete its data (it must be down)
#   tests/kafka.sh pid      print its process id
#
# KAFKA_PORT [19192]  listener; the controller listens one above, SASL without TLS two above (alice, password alice-secret)
# KAFKA_RUN           where data, log and pid are kept [.cache/kafka/run/PORT]
# KAFKA_HEAP [512M]   the Java heap
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
libs=$root/.cache/kafka/libs
port=${KAFKA_PORT:-19192}
run=${KAFKA_RUN:-$root/.cache/kafka/run/$port}
heap=${KAFKA_HEAP:-512M}
pid_file=$run/pid

fail() { echo "kafka.sh: $*" >&2; exit 1; }
running() { [ -f "$pid_file" ] && grep -qa kafka.Kafka "/proc/$(cat "$pid_file")/cmdline" 2>/dev/null; }
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }

start() {
  [ -e "$libs/.complete" ] || fail "Apache Kafka is not there; fetch it with \`make peers\` (needs Java 17 and Maven)"
  mkdir -p "$run"
  exec 9>"$run/lock"; flock 9   # two tests may start it at once
  if ! running; then
    answers && fail "port $port is taken by another program; set KAFKA_PORT"
    cat > "$run/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1)),SASL_PLAINTEXT://127.0.0.1:$((port + 2))
advertised.listeners=PLAINTEXT://127.0.0.1:$port,SASL_PLAINTEXT://127.0.0.1:$((port + 2))
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="alice-secret";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs=$run/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.ms=-1
PROPERTIES
    cat > "$run/log4j2.xml" <<'LOG'
<Configuration status="ERROR"><Appenders><Console name="C" target="SYSTEM_ERR"><PatternLayout pattern="%d %p %c{1}: %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="C"/></Root></Loggers></Configuration>
LOG
    java=(java "-Xms$heap" "-Xmx$heap" "-Dlog4j2.configurationFile=$run/log4j2.xml" -cp "$libs/*")
    if [ ! -f "$run/data/meta.properties" ]; then
      "${java[@]}" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c "$run/server.properties" >"$run/format.log" 2>&1 \
        || { cat "$run/format.log" >&2; fail "could not format $run/data"; }
    fi
    # Own session, so that it outlives the caller's shell until it is stopped by its pid.
    setsid bash -c 'echo $$ > "$1"; shift; exec "$@"' _ "$pid_file" \
      "${java[@]}" kafka.Kafka "$run/server.properties" >>"$run/kafka.log" 2>&1 </dev/null 9>&- &
    until answers; do
      sleep 0.1
      [ -f "$pid_file" ] && ! running && { tail -20 "$run/kafka.log" >&2; fail "the broker ended"; }
      [ $((tries = ${tries:-0} + 1)) -lt 900 ] || fail "no answer after 90 s, see $run/kafka.log"
    done
  fi
  echo "127.0.0.1:$port"
}

stop() {
  running || { rm -f "$pid_file"; return; }
  local pid; pid=$(cat "$pid_file")
  kill "-$1" "$pid"
  for _ in $(seq 300); do
    [ -d "/proc/$pid" ] || { rm -f "$pid_file"; return; }
    sleep 0.1
  done
  kill -KILL "$pid"; rm -f "$pid_file"
}

case "${1:-}" in
  start) start ;;
  stop) stop TERM ;;
  kill9) stop KILL ;;
  wipe) running && fail "it runs"; rm -rf "$run/data" "$run/kafka.log" ;;
  pid) running && cat "$pid_file" ;;
  *) sed -n '2,13p' "$0"; exit 2 ;;
esac
