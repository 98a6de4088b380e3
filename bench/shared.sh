# What the scripts of the benchmarks share; sourced by them.
fail() { echo "bench: $*" >&2; exit 1; }
calc() { awk "BEGIN { printf \"$1\", $2 }"; }
resident_mb() { awk '/VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
