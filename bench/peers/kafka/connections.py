"""Holds open connections, each of which has had an answer. Arguments: port, count. Prints one line when all are up; ends with its input."""
import socket
import struct
import sys

port, count = int(sys.argv[1]), int(sys.argv[2])
# ApiVersions version 0, correlation id 7, client id "held".
request = struct.pack(">hhih4s", 18, 0, 7, 4, b"held")
held = []
for _ in range(count):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(struct.pack(">i", len(request)) + request)
    length = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
    answer = connection.recv(length, socket.MSG_WAITALL)
    assert struct.unpack(">ih", answer[:6]) == (7, 0), answer[:6]
    held.append(connection)
print(len(held), flush=True)
sys.stdin.read()
