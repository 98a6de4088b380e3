"""A pymodbus server whose registers are laid out here, independently of the driver under test.

Prints one JSON line: the port, what is to be read at which address, and what is to be written. On "check" it
reads its own registers back with the pymodbus client and prints what differs from what was to be written.
"""

import asyncio
import json
import struct
import sys

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

# Where each byte of a value, most significant first, is found on the wire.
ORDERS = {
    "BIG_ENDIAN": {2: "01", 4: "0123", 8: "01234567"},
    "LITTLE_ENDIAN": {2: "10", 4: "3210", 8: "76543210"},
    "BIG_ENDIAN_BYTE_SWAP": {2: "10", 4: "1032", 8: "10325476"},
    "LITTLE_ENDIAN_BYTE_SWAP": {2: "01", 4: "2301", 8: "67452301"},
    "BIG_ENDIAN_WORD_SWAP": {2: "01", 4: "2301", 8: "23016745"},
    "LITTLE_ENDIAN_WORD_SWAP": {2: "10", 4: "1032", 8: "54761032"},
    "BIG_ENDIAN_WORD_SWAP_BYTE_SWAP": {2: "10", 4: "3210", 8: "32107654"},
    "LITTLE_ENDIAN_WORD_SWAP_BYTE_SWAP": {2: "01", 4: "0123", 8: "45670123"},
}

# Type: struct code, a first and a second value.
NUMBERS = {
    "INT": ("h", -12345, 321),
    "UINT": ("H", 54321, 7),
    "WORD": ("H", 0xABCD, 0x1234),
    "DINT": ("i", -1234567890, 99),
    "UDINT": ("I", 3456789012, 70000),
    "DWORD": ("I", 0xDEADBEEF, 0x01020304),
    "LINT": ("q", -1234567890123456789, -2),
    "ULINT": ("Q", 12345678901234567890, 5000000000),
    "LWORD": ("Q", 0x0123456789ABCDEF, 0xFEDCBA9876543210),
    "REAL": ("f", 71.25, -0.1),
    "LREAL": ("d", 3.141592653589793, 1e300),
}

# What pymodbus itself makes of the two orders it knows.
OWN = {"BIG_ENDIAN": "big", "LITTLE_ENDIAN_BYTE_SWAP": "little"}
OWN_TYPES = {
    "INT": "INT16", "UINT": "UINT16", "DINT": "INT32", "UDINT": "UINT32",
    "LINT": "INT64", "ULINT": "UINT64", "REAL": "FLOAT32", "LREAL": "FLOAT64",
}


def words(data):
    return list(struct.unpack(f">{len(data) // 2}H", data))


def number(order, code, value):
    data = struct.pack(">" + code, value)
    places = ORDERS[order][len(data)]
    wire = bytes(data[int(place)] for place in places)
    return words(wire)


def swapped(order, data):
    """Bytes of texts and eight-bit arrays: only the swaps move them, never the reversal."""
    data = data + b"\0" * (len(data) % 2)
    if "BYTE_SWAP" in order:
        data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    if "WORD_SWAP" in order:
        out = b""
        for i in range(0, len(data), 4):
            group = data[i : i + 4]
            out += group[2:] + group[:2] if len(group) == 4 else group
        data = out
    return words(data)


def single(value, code):
    return struct.unpack(">f", struct.pack(">f", value))[0] if code == "f" else value


def layout(order):
    """Tags of one byte order: type with suffix, registers and values before and after writing."""
    for name, (code, first, second) in NUMBERS.items():
        one, two = number(order, code, first), number(order, code, second)
        if order in OWN and name in OWN_TYPES:
            kind = AsyncModbusTcpClient.DATATYPE[OWN_TYPES[name]]
            assert one == AsyncModbusTcpClient.convert_to_registers(first, kind, word_order=OWN[order]), name
        first, second = single(first, code), single(second, code)
        yield name, one, first, two, second
        yield f"{name}[3]", one + two + one, [first, second, first], two + one + two, [second, first, second]
    for name, code, first, second in [("BYTE", "B", 200, 3), ("USINT", "B", 130, 4), ("SINT", "b", -100, 5)]:
        wide = {"B": "H", "b": "H"}[code]
        yield name, number(order, wide, first % 256), first, number(order, wide, second), second
        run = [first, second, second, first, second]
        turn = [second, first, first, second, first]
        yield f"{name}[5]", swapped(order, struct.pack(f"5{code}", *run)), run, \
            swapped(order, struct.pack(f"5{code}", *turn)), turn
    yield "CHAR", number(order, "H", ord("A")), "A", number(order, "H", ord("z")), "z"
    yield "CHAR[3]", swapped(order, b"abc"), list("abc"), swapped(order, b"xyz"), list("xyz")
    yield "WCHAR", number(order, "H", ord("€")), "€", number(order, "H", ord("ß")), "ß"
    text, other = "Presse 3: ok", "zu heiß"
    yield "STRING(13)", swapped(order, text.encode().ljust(13, b"\0")), text, \
        swapped(order, other.encode().ljust(13, b"\0")), other
    wide = [register for c in "Öl 5€".ljust(6, "\0") for register in number(order, "H", ord(c))]
    after = [register for c in "ab".ljust(6, "\0") for register in number(order, "H", ord(c))]
    yield "WSTRING(6)", wide, "Öl 5€", after, "ab"
    yield "RAW_BYTE_ARRAY[5]", swapped(order, bytes(range(5))), "0001020304", \
        swapped(order, bytes(range(9, 4, -1))), "0908070605"
    yield "BOOL", number(order, "H", 1), True, number(order, "H", 0), False
    bits = [True, False, True, True] + [False] * 11 + [True]
    yield "BOOL[16]", number(order, "H", 0xB001), bits, number(order, "H", 0x4FFE), [not bit for bit in bits]


async def main():
    registers, after, read, write = [], [], [], []
    for order in ORDERS:
        for kind, one, first, two, second in layout(order):
            address = f"holding-register:{len(registers) + 1}:{kind}{{byte-order: '{order}'}}"
            read.append({"address": address, "value": first})
            read.append({"address": address.replace("holding", "input"), "value": first})
            write.append({"address": address, "value": second})
            registers += one
            after += two
    # Bits of one register, of which some are written.
    registers.append(0b0000_1000)
    after.append(0b0010_0000)
    for bit, first, second in [(3, True, False), (5, False, True), (0, False, False)]:
        address = f"holding-register:{len(registers)}.{bit}:BOOL"
        read.append({"address": address, "value": first})
        write.append({"address": address, "value": second})
    coils = [i % 3 == 0 for i in range(64)]
    # An island behind a hole of 20 registers that do not exist.
    island = len(registers) + 20
    holding = [
        SimData(0, values=registers, datatype=DataType.REGISTERS),
        SimData(island, values=[4711], datatype=DataType.REGISTERS),
    ]
    read.append({"address": f"holding-register:{island + 1}:UINT", "value": 4711})
    blocks = (
        [SimData(0, values=list(coils), datatype=DataType.BITS)],
        [SimData(0, values=[not on for on in coils], datatype=DataType.BITS)],
        holding,
        [SimData(0, values=list(registers), datatype=DataType.REGISTERS)],
    )
    other = [SimData(0, values=[55], datatype=DataType.REGISTERS)]
    bits = [SimData(0, values=[True] * 16, datatype=DataType.BITS)]
    devices = [SimDevice(1, simdata=blocks), SimDevice(5, simdata=(bits, bits, other, list(other)))]
    server = ModbusTcpServer(devices, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    assert await client.connect()
    # Bits as pymodbus' own client sees them.
    found = (await client.read_coils(0, count=40)).bits[:40]
    inputs = (await client.read_discrete_inputs(0, count=40)).bits[:40]
    assert True in found and False in found
    read.append({"address": "coil:1:BOOL[40]", "value": found})
    read.append({"address": "coil:4", "value": found[3]})
    read.append({"address": "discrete-input:3:BOOL[38]", "value": inputs[2:]})
    read.append({"address": "holding-register:1:UINT{unit-id: 5}", "value": 55})
    turned = [not on for on in found]
    write.append({"address": "coil:1", "value": turned[0]})
    write.append({"address": "coil:2:BOOL[39]", "value": turned[1:]})
    print(json.dumps({"port": port, "hole": f"holding-register:{len(registers) + 5}:UINT", "read": read, "write": write}), flush=True)

    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        assert line.strip() == "check"
        mistakes = []
        for start in range(0, len(after), 100):
            count = min(100, len(after) - start)
            got = (await client.read_holding_registers(start, count=count)).registers
            for i, (is_, want) in enumerate(zip(got, after[start:])):
                if is_ != want:
                    mistakes.append(f"register {start + i + 1} is {is_:#06x}, expected {want:#06x}")
        got = (await client.read_coils(0, count=40)).bits[:40]
        if got != turned:
            mistakes.append(f"coils are {got}, expected {turned}")
        print(json.dumps({"mistakes": mistakes}), flush=True)


asyncio.run(main())
