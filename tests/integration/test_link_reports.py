"""What the processes of a server tell their supervisor, over a real unix socket."""

from __future__ import annotations

import asyncio

from liqscape.broadcast.accounts import Account, Ledger
from liqscape.link.asker import Asker
from liqscape.link.host import hosting
from liqscape.link.places import socket_folder, supervisor_socket
from liqscape.link.reports import Reporter
from tests.link_engine import WAIT_S


async def test_process_hears_the_sum_of_all_and_makes_do_without_a_supervisor() -> None:
    ledger = Ledger()
    ledger.report(1, Account(counts={}))
    own = Account()
    own.counters.frames = 5
    other = Account()
    other.counters.frames = 7
    ledger.report(2, other)

    async def report(life: int, account: Account) -> Account:
        ledger.report(life, account)
        return ledger.whole()

    with socket_folder() as folder:
        path = supervisor_socket(folder)
        supervisor = Asker(path, "the supervisor")
        reporter = Reporter(supervisor, 3, own)
        alone = await reporter.whole()
        async with hosting(path, {"report": report}):
            together = await summed(reporter)
        after = await reporter.whole()
        await supervisor.close()

    assert alone.counters.frames == 5
    assert together.counters.frames == 12
    assert after.counters.frames == 12


async def summed(reporter: Reporter) -> Account:
    async with asyncio.timeout(WAIT_S):
        while (whole := await reporter.whole()).counters.frames < 12:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return whole


async def test_reports_are_made_while_running_and_once_more_at_the_end() -> None:
    heard: list[int] = []
    own = Account()

    async def report(_life: int, account: Account) -> Account:
        heard.append(account.counters.frames)
        return account

    with socket_folder() as folder:
        path = supervisor_socket(folder)
        supervisor = Asker(path, "the supervisor")
        reporter = Reporter(supervisor, 3, own)
        async with hosting(path, {"report": report}), reporter.running(), asyncio.timeout(WAIT_S):
            while not heard:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            own.counters.frames = 9
        await supervisor.close()

    assert heard[0] == 0
    assert heard[-1] == 9
