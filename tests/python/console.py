"""Types into the console of `millstream sql` at a terminal, as a person would. Arguments: the binary, the instance's URL, and a
folder for files. Everything that was shown is checked against the width of the terminal."""
import os
import re
import sys
import urllib.request
from json import dumps

import pexpect

binary, url, folder = sys.argv[1:]
COLUMNS = 64
PROMPT = "millstream> "
history = os.path.join(folder, "state", "history")


class Console:
    def __init__(self):
        environment = dict(os.environ, TERM="xterm", MILLSTREAM_HISTORY=history, NO_COLOR="1")
        self.child = pexpect.spawn(binary, ["sql", "--url", url], env=environment, encoding="utf-8",
                                   dimensions=(30, COLUMNS), timeout=60)
        self.shown = ""
        self.wait("Ctrl-D ends the shell")
        self.wait(PROMPT)

    def wait(self, pattern):
        """Waits until `pattern` is shown; what was shown up to it."""
        self.child.expect(pattern)
        self.shown += self.child.before + self.child.after
        return plain(self.child.before + self.child.after)

    def type(self, text):
        self.child.send(text)

    def run(self, statement, pattern=""):
        """Types a statement, waits for `pattern` behind it and for the next prompt; what was shown between."""
        self.type(statement + "\r")
        self.wait("\n")
        answer = self.wait(pattern) if pattern else ""
        return answer + self.wait(PROMPT)


def plain(text):
    """Text without the sequences that move the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def produce(topic, records):
    body = dumps(records).encode()
    request = urllib.request.Request(f"{url}/api/topics/{topic}/records", body, {"content-type": "application/json"})
    urllib.request.urlopen(request, timeout=60).read()


console = Console()
console.run("CREATE STREAM press (asset VARCHAR KEY, temperature DOUBLE, note VARCHAR) "
            "WITH (KAFKA_TOPIC='press', VALUE_FORMAT='JSON', PARTITIONS=1);", "PRESS")
print("a statement over several lines")
console.type("SHOW\r")
console.type("  STREAMS\r")
console.type(";\r")
listed = console.wait(r"PRESS[^\n]*\n") + console.wait(PROMPT)
assert "press" in listed, listed

print("completion of keywords, streams and columns")
console.type("DESCR\t")
console.wait("DESCRIBE")
console.type(" PR\t")
console.wait("PRESS")
console.type(";\r")
described = console.wait("TEMPERATURE") + console.wait(PROMPT)
assert "DOUBLE" in described or "double" in described, described

print("a mistake points at its column")
wrong = console.run("SELECT asset, temprature FROM press EMIT CHANGES;", r"\^\^\^")
assert "TEMPRATURE" in wrong and "TEMPERATURE" in wrong, wrong
line = next(line for line in wrong.splitlines() if line.startswith("1 |"))
mark = next(line for line in wrong.splitlines() if "^^^" in line)
assert mark.index("^") == line.index("temprature"), wrong

print("rows as they come, until Ctrl-C")
console.type("SELECT * FROM press EMIT CHANGES;\r")
console.wait("NOTE")
long = "a note that is far too long for one line of so narrow a terminal, " * 2
produce("press", [{"key": "press1", "value": {"temperature": 71.25, "note": long}}])
console.wait(r"press1")
console.wait(r"71\.25")
produce("press", [{"key": "press2", "value": {"temperature": 70.5, "note": "\x1b[2J end"}}])
row = console.wait("press2") + console.wait("end")
assert "\\u{1b}[2J" in row, row
console.type("\x03")
console.wait("ended")
console.wait(PROMPT)

print("rows as they are")
asked = console.run("SELECT asset, temperature FROM press WHERE temperature > 71;", r"71\.25")
assert "press1" in asked and "press2" not in asked, asked

print("variables last for the session")
console.run("DEFINE what = 'PRESS';")
assert "ASSET" in console.run("DESCRIBE ${what};", "TEMPERATURE")
console.run("UNDEFINE what;")
console.run("DESCRIBE ${WHAT};", "no variable")

print("a script, and a mistake in one, with its line")
script = os.path.join(folder, "tables.sql")
with open(script, "w") as file:
    file.write("-- what is hot\nCREATE TABLE hot WITH (KAFKA_TOPIC='hot') AS\n"
               "  SELECT asset, COUNT(*) AS n FROM press GROUP BY asset EMIT CHANGES;\n")
console.run(f"RUN SCRIPT '{script}';", "HOT")
with open(script, "w") as file:
    file.write("SHOW TABLES;\n\nSELECT n FROM cold EMIT CHANGES;\n")
wrong = console.run(f"RUN SCRIPT '{script}';", r"COLD")
assert ":3:" in wrong.replace("\n", ""), wrong
console.run("RUN SCRIPT '/no/such/file';", "cannot read the script")

print("Ctrl-C gives a line up, Ctrl-D ends the shell")
console.type("SELECT nothing\x03")
console.wait(PROMPT)
console.type("\x04")
console.child.expect(pexpect.EOF)
console.child.close()
assert console.child.exitstatus == 0, console.child.exitstatus

print("the history is there the next time")
again = Console()
again.type("\x1b[A\x1b[A\x1b[A")
again.wait("UNDEFINE|DESCRIBE|RUN SCRIPT")
again.type("\x03")
again.wait(PROMPT)
assert "UNDEFINE what;" in again.run("history", "DESCRIBE")
again.run("help", "Tab completes")
again.type("exit\r")
again.child.expect(pexpect.EOF)
assert os.stat(history).st_mode & 0o077 == 0, "others can read the history"

widest = max(len(line) for line in plain(console.shown).splitlines() if "|" in line and PROMPT not in line and "-->" not in line
             and "^" not in line and not re.match(r"\s*\d+ \|", line))
assert widest <= COLUMNS, widest
print("done")
