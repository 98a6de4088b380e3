#!/usr/bin/env bash
# Fetches the software that the tests run against: Python packages, Apache Kafka and older Java clients, kcat; compiles the
# Java programs of the tests. Does nothing where it is there.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cache=$root/.cache
need() { command -v "$1" >/dev/null || { echo "peers: \`$1\` is missing; $2" >&2; exit 1; }; }

# Debian packages, where we may install them: tshark decodes our frames, libmodbus is a bench peer.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  missing=()
  command -v javac >/dev/null || missing+=(openjdk-17-jdk-headless)
  command -v mvn >/dev/null || missing+=(maven)
  command -v python3 >/dev/null || missing+=(python3)
  python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
  command -v tshark >/dev/null || missing+=(tshark)
  command -v kcat >/dev/null || missing+=(kcat)
  command -v openssl >/dev/null || missing+=(openssl)
  if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
  fi
fi
need python3 "install Python 3.11 or newer (Debian: python3 python3-venv)"
need javac "install a JDK 17 or newer (Debian: openjdk-17-jdk-headless)"
need mvn "install Maven (Debian: maven)"
need kcat "install kcat 1.7 or newer (Debian: kcat)"
need openssl "install OpenSSL (Debian: openssl)"

stamp() { cat "$@" | sha256sum | cut -c1-16; }

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

# The oldest client that attaches to Kafka 4, the newest of each later line, and the first of the line that speaks KIP-848.
clients=$cache/kafka/clients
for version in 2.8.2 3.3.2 3.9.1 4.0.1; do
  if [ "$(cat "$clients/$version/.complete" 2>/dev/null)" != "$(stamp "$root/tests/client.pom.xml")" ]; then
    echo "peers: fetching the Java client $version"
    rm -rf "${clients:?}/$version"; mkdir -p "$clients/$version"
    mvn -q -B -f "$root/tests/client.pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
      "-Dclient.version=$version" "-DoutputDirectory=$clients/$version"
    stamp "$root/tests/client.pom.xml" > "$clients/$version/.complete"
  fi
done

# Client.java is compiled against the oldest client and runs with every one; the others need Kafka of today.
classes=$cache/kafka/classes
if [ "$(cat "$classes/.complete" 2>/dev/null)" != "$(stamp "$root"/tests/java/*.java)" ]; then
  rm -rf "$classes.new"; mkdir -p "$classes.new"
  javac -nowarn -d "$classes.new" -cp "$clients/2.8.2/*" "$root/tests/java/Client.java"
  javac -nowarn -d "$classes.new" -cp "$libs/*" "$root/tests/java/Copier.java" "$root/tests/java/Tools.java" "$root/tests/java/WindowedCount.java"
  stamp "$root"/tests/java/*.java > "$classes.new/.complete"
  rm -rf "$classes"; mv "$classes.new" "$classes"
fi
