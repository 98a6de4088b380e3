#!/usr/bin/env bash
# Fetches the software that the tests run against: Python packages, Apache Kafka. Does nothing where it is there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache
need() { command -v "$1" >/dev/null || { echo "peers: \`$1\` is missing; $2" >&2; exit 1; }; }

# Debian packages, where we may install them: tshark decodes our frames, libmodbus is a bench peer.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  missing=()
  command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
  command -v mvn >/dev/null || missing+=(maven)
  command -v python3 >/dev/null || missing+=(python3)
  python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
  command -v tshark >/dev/null || missing+=(tshark)
  if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
  fi
fi
need python3 "install Python 3.11 or newer (Debian: python3 python3-venv)"
need java "install Java 17 or newer (Debian: openjdk-17-jre-headless)"
need mvn "install Maven (Debian: maven)"

stamp() { sha256sum "$1" | cut -c1-16; }

venv=$cache/venv
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$(stamp "$root/tests/requirements.txt")" ]; then
  echo "peers: installing Python packages"
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r "$root/tests/requirements.txt"
  stamp "$root/tests/requirements.txt" > "$venv/.stamp"
fi

libs=$cache/kafka/libs
if [ "$(cat "$libs/.complete" 2>/dev/null)" != "$(stamp "$root/tests/peers.pom.xml")" ]; then
  echo "peers: fetching Apache Kafka"
  rm -rf "$libs"; mkdir -p "$libs"
  mvn -q -B -f "$root/tests/peers.pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$libs"
  stamp "$root/tests/peers.pom.xml" > "$libs/.complete"
fi
