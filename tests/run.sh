#!/usr/bin/env bash
# Runs every test. Starts the one Apache Kafka that they share, on a port that is free, and ends it again.
set -euo pipefail
cd "$(dirname "$0")/.."
export MILLSTREAM_PYTHON=$PWD/.cache/venv/bin/python
export KAFKA_PORT=${KAFKA_PORT:-19192}
tests/kafka.sh stop
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
while taken "$KAFKA_PORT" || taken $((KAFKA_PORT + 1)) || taken $((KAFKA_PORT + 2)); do KAFKA_PORT=$((KAFKA_PORT + 20)); done
trap 'tests/kafka.sh stop || true' EXIT
tests/kafka.sh wipe
tests/kafka.sh start
cargo test --locked --workspace --no-fail-fast "$@"
