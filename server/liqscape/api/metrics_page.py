"""/metrics, the same by every HTTP door."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from liqscape.api.exposition import ServerMetrics
from liqscape.broadcast.accounts import Account, Accounts
from liqscape.v1 import query_pb2


class MetricsPage:
    """What the whole server has counted, in Prometheus' words; process_* are of the process that answers.

    Args:
        accounts: what the whole server has counted.
    """

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._writing = asyncio.Lock()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    async def account(self) -> Account:
        """Return what the whole server has counted."""
        return await self._accounts.whole()

    async def write(self, status: query_pb2.GetStatusResponse, account: Account, accepted: str) -> tuple[bytes, str]:
        """Return every metric and the type of that, OpenMetrics where it is accepted, else Prometheus' text.

        Args:
            status: the answer to GetStatus.
            account: whose histograms stand beside it.
            accepted: the header Accept.
        """
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Fixed(ServerMetrics(status, account.timings)))
        registry.register(_Fixed(self._process))
        chosen: tuple[Callable[[CollectorRegistry], bytes], str] = choose_encoder(accepted)
        encode, content_type = chosen
        async with self._writing:  # 5 ms of a core: beside the event loop, and for one scraper at a time
            return await asyncio.to_thread(encode, registry), content_type


class _Fixed:
    """A collector that a registry takes without collecting from it."""

    def __init__(self, collector: Any) -> None:
        self._collector = collector

    def collect(self) -> Any:
        return self._collector.collect()

    def describe(self) -> list[Any]:
        return []
