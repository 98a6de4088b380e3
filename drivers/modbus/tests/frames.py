"""Judges frames with pymodbus' framer and decoder: one JSON object per line in, mistakes out.

Each line has the frame in hex, whether it is a request, and what its fields have to be. A frame also has to come out
the same when pymodbus encodes what it has decoded.
"""

import json
import sys

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU

framers = {True: FramerSocket(DecodePDU(True)), False: FramerSocket(DecodePDU(False))}
count, mistakes = 0, []
for line in sys.stdin:
    case = json.loads(line)
    frame = bytes.fromhex(case["frame"])
    count += 1
    try:
        framer = framers[case["request"]]
        used, pdu = framer.handleFrame(frame, 0, 0)
        assert used == len(frame), f"takes {used} of {len(frame)} bytes"
        for name, value in case["fields"].items():
            found = getattr(pdu, name)
            if isinstance(value, list) and value and isinstance(value[0], dict):
                found = [{key: record[key] if isinstance(record, dict) else getattr(record, key) for key in value[0]} for record in found]
                for record in found:
                    for key in record:
                        if isinstance(record[key], bytes):
                            record[key] = record[key].hex()
            if isinstance(value, list) and value and isinstance(value[0], bool):
                found = found[: len(value)]
            assert found == value, f"{name} is {found}, expected {value}"
        again = framer.buildFrame(pdu)
        assert again == frame or not case["same"], f"pymodbus encodes it as {again.hex()}"
    except Exception as error:
        mistakes.append(f"{case}: {error!r}")
print(json.dumps({"count": count, "mistakes": mistakes[:10]}))
