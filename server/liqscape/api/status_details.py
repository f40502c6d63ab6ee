"""google.rpc.Status with a RetryInfo, as bytes of the trailing metadata grpc-status-details-bin.

Two messages of five fields: written here, because the packages that hold them pin protobuf to newer versions than ours.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration

STATUS_DETAILS_KEY: Final = "grpc-status-details-bin"
_RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"


def retry_details(code: int, message: str, retry_after_ms: int) -> bytes:
    """Return a Status {int32 code = 1; string message = 2; repeated Any details = 3}.

    Its one detail is a RetryInfo {Duration retry_delay = 1}.
    """
    delay = Duration(seconds=retry_after_ms // 1000, nanos=retry_after_ms % 1000 * 1_000_000)
    detail = Any(type_url=_RETRY_INFO, value=_field(1, delay.SerializeToString()))
    return b"\x08" + _varint(code) + _field(2, message.encode()) + _field(3, detail.SerializeToString())


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
