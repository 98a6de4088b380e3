#!/usr/bin/env bash
# Runs every test. Starts the one Apache Kafka that they share, and ends it again.
set -euo pipefail
cd "$(dirname "$0")/.."
export MILLSTREAM_PYTHON=$PWD/.cache/venv/bin/python
trap 'tests/kafka.sh stop || true' EXIT
tests/kafka.sh stop; tests/kafka.sh wipe
tests/kafka.sh start
cargo test --locked --workspace --no-fail-fast "$@"
