"""RetryInfo as others read it: with messages built from the published definition."""

from __future__ import annotations

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, message_factory

from liqscape.api.status_details import retry_details

Field = descriptor_pb2.FieldDescriptorProto


def _messages() -> dict[str, type]:
    """Return google.rpc.Status and RetryInfo, as google/rpc/status.proto and error_details.proto define them."""
    file = descriptor_pb2.FileDescriptorProto(name="rpc.proto", package="google.rpc", syntax="proto3")
    file.dependency.extend([any_pb2.DESCRIPTOR.name, duration_pb2.DESCRIPTOR.name])
    status = file.message_type.add(name="Status")
    status.field.add(name="code", number=1, type=Field.TYPE_INT32, label=Field.LABEL_OPTIONAL)
    status.field.add(name="message", number=2, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    any_name = ".google.protobuf.Any"
    status.field.add(name="details", number=3, type=Field.TYPE_MESSAGE, label=Field.LABEL_REPEATED, type_name=any_name)
    retry, delay = file.message_type.add(name="RetryInfo"), ".google.protobuf.Duration"
    retry.field.add(name="retry_delay", number=1, type=Field.TYPE_MESSAGE, label=Field.LABEL_OPTIONAL, type_name=delay)
    pool = descriptor_pool.DescriptorPool()
    for known in (any_pb2.DESCRIPTOR, duration_pb2.DESCRIPTOR):
        pool.AddSerializedFile(known.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClassesForFiles([file.name], pool)


def test_details_are_a_status_with_retry_info() -> None:
    kinds = _messages()
    text = "zu viel: ü" + "x" * 300

    status = kinds["google.rpc.Status"].FromString(retry_details(8, text, 61_250))  # type: ignore[attr-defined]

    assert (status.code, status.message) == (8, text)
    (detail,) = status.details
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    retry = kinds["google.rpc.RetryInfo"].FromString(detail.value)  # type: ignore[attr-defined]
    assert (retry.retry_delay.seconds, retry.retry_delay.nanos) == (61, 250_000_000)
