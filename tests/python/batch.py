"""DuckDB answers what a query says of a batch of rows.

Reads lines of JSON on standard input:
  {"tables": {name: {"columns": [[name, type], …], "rows": [[…], …]}}, "queries": {name: sql, …}}
and answers each with one line: {name: [{column: value, …}, …] or the text of an error, …}. Every line has a database of its own.
"""

import decimal
import json
import sys

import duckdb


def plain(value):
    """A value as JSON has it."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return value


def answer(asked):
    database = duckdb.connect(":memory:", config={"threads": 1})
    for name, table in asked["tables"].items():
        columns = ", ".join(f'"{column}" {kind}' for column, kind in table["columns"])
        database.execute(f'CREATE TABLE "{name}" ({columns})')
        marks = ", ".join("?" for _ in table["columns"])
        if table["rows"]:
            database.executemany(f'INSERT INTO "{name}" VALUES ({marks})', table["rows"])
    answers = {}
    for name, sql in asked["queries"].items():
        try:
            found = database.execute(sql)
            columns = [column[0] for column in found.description]
            answers[name] = [dict(zip(columns, map(plain, row))) for row in found.fetchall()]
        except duckdb.Error as error:
            answers[name] = str(error)
    return answers


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
