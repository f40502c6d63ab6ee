"""Reflection: what grpcurl and its like ask before they can speak to a server.

The package of gRPC serves v1alpha alone. The messages of v1 are the same on the wire, so one servicer answers for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

REFLECTION_SERVICES: Final = ("grpc.reflection.v1.ServerReflection", reflection.SERVICE_NAME)
"""Newest first; the name of the second is that of v1alpha."""


def add_reflection(server: grpc.aio.Server, services: Iterable[str]) -> None:
    """Let a server describe services.

    Args:
        server: not started yet.
        services: full names; their generated modules have been imported.
    """
    servicer = reflection.aio.ReflectionServicer([*services, *REFLECTION_SERVICES])
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method}) for name in REFLECTION_SERVICES
        )
    )
