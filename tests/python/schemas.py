"""Avro, Protobuf and JSON Schema as libraries written elsewhere read and write them.

Reads commands as lines of JSON on standard input, answers each with one line:
  {"do": "avro-read", "schema": …, "hex": …}                 -> {"value": …}
  {"do": "avro-write", "schema": …, "value": …}              -> {"hex": …}
  {"do": "protobuf-read", "descriptor": …, "hex": …}         -> {"value": …}
  {"do": "protobuf-write", "descriptor": …, "value": …}      -> {"hex": …}
  {"do": "protobuf-describe"}                                -> {"text": …}: a FileDescriptorProto in Base64
"""

import base64
import datetime
import decimal
import io
import json
import sys

import fastavro
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

decimal.getcontext().prec = 100


def plain(value):
    """A value as JSON has it: bytes as Base64, dates and times as counts, decimals as text."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.datetime):
        since = value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return since // datetime.timedelta(milliseconds=1)
    if isinstance(value, datetime.date):
        return (value - datetime.date(1970, 1, 1)).days
    if isinstance(value, datetime.time):
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        return seconds * 1000 + value.microsecond // 1000
    return value


def message(fields):
    """A message class of these fields: name, number, type and label under their names in descriptor.proto."""
    file = descriptor_pb2.FileDescriptorProto(name="m.proto", syntax="proto3")
    made = file.message_type.add(name="M")
    for field in fields:
        one = made.field.add(name=field["name"], number=field["number"])
        one.type = descriptor_pb2.FieldDescriptorProto.Type.Value("TYPE_" + field["type"].upper())
        repeated = field.get("repeated", False)
        one.label = descriptor_pb2.FieldDescriptorProto.Label.Value(
            "LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"
        )
        if field.get("optional"):
            one.proto3_optional = True
            one.oneof_index = len(made.oneof_decl)
            made.oneof_decl.add(name="_" + field["name"])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("M"))


def described():
    """What a client registers for a file with everything in it: another message before, an enum, a map, a oneof."""
    file = descriptor_pb2.FileDescriptorProto(name="acme/m.proto", package="acme", syntax="proto3")
    file.message_type.add(name="Other")
    made = file.message_type.add(name="Reading")
    made.oneof_decl.add(name="what")
    made.oneof_decl.add(name="_maybe")
    states = made.enum_type.add(name="State")
    states.value.add(name="RUN", number=0)
    states.value.add(name="STOP", number=1)
    part = made.nested_type.add(name="Part")
    part.field.add(name="id", number=1, type=6, label=1)
    entry = made.nested_type.add(name="TagsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=5, label=1)
    made.field.add(name="name", number=1, type=9, label=1)
    made.field.add(name="state", number=2, type=14, label=1, type_name=".acme.Reading.State")
    made.field.add(name="parts", number=3, type=11, label=3, type_name=".acme.Reading.Part")
    made.field.add(name="tags", number=4, type=11, label=3, type_name=".acme.Reading.TagsEntry")
    made.field.add(name="left", number=5, type=5, label=1, oneof_index=0)
    made.field.add(name="right", number=6, type=9, label=1, oneof_index=0)
    made.field.add(name="maybe", number=7, type=18, label=1, oneof_index=1, proto3_optional=True)
    pool = descriptor_pool.DescriptorPool()
    return pool.AddSerializedFile(file.SerializeToString()).serialized_pb


def answer(command):
    do = command["do"]
    if do == "protobuf-describe":
        return {"text": base64.b64encode(described()).decode()}
    if do == "avro-read":
        schema = fastavro.parse_schema(json.loads(command["schema"]))
        data = io.BytesIO(bytes.fromhex(command["hex"]))
        value = fastavro.schemaless_reader(data, schema)
        assert data.read() == b"", "bytes are left"
        return {"value": plain(value)}
    if do == "avro-write":
        schema = fastavro.parse_schema(json.loads(command["schema"]))
        data = io.BytesIO()
        fastavro.schemaless_writer(data, schema, command["value"])
        return {"hex": data.getvalue().hex()}
    made = message(command["descriptor"])
    if do == "protobuf-read":
        read = made.FromString(bytes.fromhex(command["hex"]))
        return {"value": json_format.MessageToDict(read, preserving_proto_field_name=True)}
    if do == "protobuf-write":
        return {"hex": json_format.ParseDict(command["value"], made()).SerializeToString(deterministic=True).hex()}
    raise ValueError(do)


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
