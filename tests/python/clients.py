"""Runs the cases of `confluent-kafka` against a broker. Arguments: bootstrap servers, then the cases wanted (none: all)."""
import sys

import admin
import groups
import records
import transactions
from kit import run

run(sys.argv[2:])
