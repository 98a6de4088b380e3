"""The pymodbus client against a simulator at the port given; exit code 0 when everything is as it should be."""

import sys

from pymodbus.client import ModbusTcpClient
from pymodbus.pdu.file_message import FileRecord

client = ModbusTcpClient("127.0.0.1", port=int(sys.argv[1]), timeout=5, retries=0)
assert client.connect()


def good(response):
    assert not response.isError(), response
    return response


def refused(response, code):
    assert response.isError() and response.exception_code == code, response


# Holding registers 1 to 20 hold their own numbers, input registers 1 to 4 a DINT and a REAL, coils 1 to 20 every third.
assert good(client.read_holding_registers(0, count=20)).registers == list(range(1, 21))
kinds = client.DATATYPE
found = good(client.read_input_registers(0, count=4)).registers
assert client.convert_from_registers(found[:2], kinds.INT32) == -70000
assert client.convert_from_registers(found[2:], kinds.FLOAT32) == 71.25
coils = [i % 3 == 0 for i in range(20)]
assert good(client.read_coils(0, count=20)).bits[:20] == coils
assert good(client.read_discrete_inputs(6, count=1)).bits[0] is True

good(client.write_register(4, 555))
good(client.write_registers(5, [66, 77, 88]))
assert good(client.read_holding_registers(4, count=5)).registers == [555, 66, 77, 88, 9]
good(client.write_coil(1, True))
good(client.write_coils(2, [True, True, False, True, False, True, True, False, True, True]))
coils[1:12] = [True, True, True, False, True, False, True, True, False, True, True]
assert good(client.read_coils(0, count=20)).bits[:20] == coils
good(client.write_register(9, 0x12))
good(client.mask_write_register(address=9, and_mask=0xF2, or_mask=0x25))
assert good(client.read_holding_registers(9, count=1)).registers == [0x17]
answer = good(client.readwrite_registers(read_address=10, read_count=3, write_address=11, values=[1200, 1300]))
assert answer.registers == [11, 1200, 1300], answer.registers

# A REAL that is a tag of its own at 101, of the machine's unit 7.
good(client.write_registers(100, client.convert_to_registers(12.5, kinds.FLOAT32), device_id=7))
found = good(client.read_holding_registers(100, count=2, device_id=7)).registers
assert client.convert_from_registers(found, kinds.FLOAT32) == 12.5

# Records 5 and 6 of file 2 are the extended registers 10005 and 10006.
answer = good(client.read_file_record([FileRecord(file_number=2, record_number=5, record_length=4)]))
assert answer.records[0].record_data == bytes([0, 1, 0, 2]), answer.records
good(client.write_file_record([FileRecord(file_number=2, record_number=6, record_data=bytes([9, 8]))]))
answer = good(client.read_file_record([FileRecord(file_number=2, record_number=6, record_length=2)]))
assert answer.records[0].record_data == bytes([9, 8])

identity = good(client.read_device_information(read_code=1)).information
assert identity[0] == b"Millstream" and identity[1] == b"simulator", identity

refused(client.read_holding_registers(19, count=2), 2)
refused(client.write_register(30, 1), 2)
refused(client.read_holding_registers(0, count=1, device_id=99), 11)
client.close()
print("ok")
