"""Reads REGISTERS holding registers per scan with pymodbus, one request of up to 125 after the other.

usage: pymodbus_loop.py PORT REGISTERS SCANS      prints: values seconds cpu_seconds
"""

import sys
import time

from pymodbus.client import ModbusTcpClient

port, registers, scans = map(int, sys.argv[1:4])
client = ModbusTcpClient("127.0.0.1", port=port)
assert client.connect()
wall, cpu = time.monotonic(), time.process_time()
for _ in range(scans):
    for at in range(0, registers, 125):
        count = min(125, registers - at)
        answer = client.read_holding_registers(at, count=count)
        assert not answer.isError() and len(answer.registers) == count
print(registers * scans, time.monotonic() - wall, time.process_time() - cpu)
