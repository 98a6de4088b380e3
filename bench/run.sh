#!/usr/bin/env bash
# Measures Millstream beside what people use today, in one run, and prints ratios. See bench/README.md.
#
#   bench/run.sh [modbus] [loop] [start] [devices] [broker] [sql]      all of them when none is named
set -euo pipefail
cd "$(dirname "$0")/.."
. bench/shared.sh
cache=.cache/bench
mkdir -p "$cache"
parts=${*:-modbus loop start devices broker sql}
children=()
trap 'for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done' EXIT

cargo build --release --locked -q -p millstream -p millstream-bench
millstream=$PWD/target/release/millstream

build_peers() {
  if [ "$(id -u)" = 0 ] && ! pkg-config --exists libmodbus; then
    apt-get update -qq && apt-get install -qq -y --no-install-recommends libmodbus-dev pkg-config >/dev/null
  fi
  pkg-config --exists libmodbus || fail "libmodbus is missing (Debian: libmodbus-dev)"
  gcc -O2 -o "$cache/modbus_server" bench/peers/modbus_server.c
  # shellcheck disable=SC2046
  gcc -O2 -o "$cache/libmodbus_loop" bench/peers/libmodbus_loop.c $(pkg-config --cflags --libs libmodbus)
  [ -e bench/peers/plc4x/target/libs ] ||
    mvn -q -B -f bench/peers/plc4x/pom.xml package dependency:copy-dependencies -DoutputDirectory=target/libs
}

# NAME VALUES SECONDS CPU_SECONDS → a row with rates
rate_row() {
  calc "%-34s %12.0f %14.0f\n" "\"$1\", $2 / $3, $2 / $4"
}

modbus() {
  build_peers
  local port=21502 tags=1000 scans=3000
  "$cache/modbus_server" "$port" >/dev/null & children+=($!)
  until listens "$port"; do sleep 0.05; done
  local plc4x libmodbus pymodbus one many
  plc4x=$(java -cp 'bench/peers/plc4x/target/plc4x-loop-1.jar:bench/peers/plc4x/target/libs/*' Plc4xLoop $port $tags $scans)
  pymodbus=$(.cache/venv/bin/python bench/peers/pymodbus_loop.py $port $tags 500)
  libmodbus=$("$cache/libmodbus_loop" $port $tags $scans)
  one=$(target/release/modbus_rate $port $tags $scans 1)
  many=$(target/release/modbus_rate $port $tags $scans 8)
  echo "Modbus TCP, one connection, $tags 16-bit tags a scan    values/s  values/CPU-s"
  rate_row "PLC4X 0.13.1 (decoded, warm)" $plc4x
  rate_row "pymodbus loop (raw registers)" $pymodbus
  rate_row "libmodbus loop (raw registers)" $libmodbus
  rate_row "millstream (records), 1 in flight" $one
  rate_row "millstream (records), 8 in flight" $many
  per_cpu() { awk '{ print $1 / $3 }' <<<"$1"; }
  for peer in plc4x pymodbus libmodbus; do
    calc "values per CPU-second: %.1f x $peer with 1 request in flight, %.1f x with 8\n" \
      "$(per_cpu "$one") / $(per_cpu "${!peer}"), $(per_cpu "$many") / $(per_cpu "${!peer}")"
  done
}

loop() {
  echo "Closed loop, latency beyond the scan (the reference stack took 17-19 / 24-37 ms with a 10 ms poll)"
  local figures
  for scan_ms in 10 100; do
    figures=$(target/release/closed_loop "$millstream" $scan_ms 300)
    calc "%d ms scan: p50 %.2f ms, p99 %.2f ms\n" "$scan_ms, ${figures/ /, }"
  done
}

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1" && printf 'GET /health HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3 && grep -q '^HTTP/1.. 200' <&3) 2>/dev/null; }

# FOLDER DEVICES TAGS: a plant on loopback ports from 22000
write_plant() {
  mkdir -p "$1"
  {
    printf '[http]\nlisten = "127.0.0.1:21580"\n'
    for device in $(seq "$2"); do
      printf '\n[devices.d%d]\nconnection = "modbus-tcp://127.0.0.1:%d"\nasset = "bench/d%d"\n' "$device" $((22000 + device)) "$device"
      printf '[devices.d%d.groups.all]\ninterval = "1s"\ntopic = "bench.values"\n' "$device"
      seq "$3" | awk '{ printf "tags.t%d = \"holding-register:%d:UINT\"\n", $1, $1 }'
    done
  } > "$1/millstream.toml"
}

start() {
  local plant=$cache/one; rm -rf "$plant"; write_plant "$plant" 1 10
  "$millstream" simulate "$plant" >/dev/null 2>&1 & children+=($!)
  until listens 22001; do sleep 0.05; done
  local began ready
  for run in fresh again; do
    began=$(date +%s%N)
    "$millstream" run "$plant" >"$cache/run.log" 2>&1 & local pid=$!; children+=("$pid")
    until answers 21580; do [ -d "/proc/$pid" ] || { cat "$cache/run.log" >&2; fail "it ended"; }; sleep 0.002; done
    ready=$(date +%s%N)
    sleep 5
    calc "Start-up ($run data): %.0f ms to a healthy answer; %.1f MB resident after 5 s\n" "($ready - $began) / 1e6, $(resident_mb "$pid")"
    kill -INT "$pid"; wait "$pid" 2>/dev/null || true
  done
}

devices() {
  local count=1000 tags=100 seconds=30 plant=$cache/thousand
  rm -rf "$plant"; write_plant "$plant" $count $tags
  "$millstream" simulate "$plant" >/dev/null 2>&1 & children+=($!)
  local simulators=$!
  until listens $((22000 + count)); do
    [ -d "/proc/$simulators" ] || fail "the simulators ended"
    sleep 0.1
  done
  "$millstream" run "$plant" >"$cache/run.log" 2>&1 & local pid=$!; children+=("$pid")
  until answers 21580; do [ -d "/proc/$pid" ] || { cat "$cache/run.log" >&2; fail "it ended"; }; sleep 0.1; done
  sleep 10
  local before after hertz; hertz=$(getconf CLK_TCK)
  before=$(cpu_ticks "$pid"); sleep $seconds; after=$(cpu_ticks "$pid")
  calc "$count devices x $tags tags/s: %.2f cores, %.0f MB resident\n" "($after - $before) / $hertz / $seconds, $(resident_mb "$pid")"
  "$cache/../venv/bin/python" -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:21580/metrics").read().decode())'  | awk '/^millstream_device_scans_total/ { scans += $2 } /^millstream_device_overruns_total/ { overruns += $2 } END { printf "scans %d, overruns %d\n", scans, overruns }'
  kill -INT "$pid"; wait "$pid" 2>/dev/null || true
}

broker() { bench/broker.sh; }

sql() {
  local figures
  figures=$(target/release/sql_engine latency 20)
  calc "Append to result on the embedded log at 1,000 records/s: p50 %.2f ms, p99 %.2f ms (goal 2)\n" "${figures/ /, }"
  figures=$(target/release/sql_engine restart 1000000)
  calc "Restart with 1,000,000 keys of state: %.2f s to the first result (goal 3), %d MB\n" "${figures/ /, }"
  bench/sql.sh
}

for part in $parts; do
  "$part"
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; wait "$child" 2>/dev/null || true; done
  children=()
  echo
done
