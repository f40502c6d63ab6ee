"""The sum of what many processes have counted: complete, and never less than before."""

from __future__ import annotations

from liqscape.broadcast.accounts import Account, Ledger, added_up
from liqscape.broadcast.counters import StreamCounters
from liqscape.metrics import Stage
from liqscape.v1 import stream_pb2


def account(frames: int, open_now: int = 0) -> Account:
    made = Account(StreamCounters(frames=frames, streams_open=open_now, streams_stalled=open_now))
    made.counters.count_lagged(stream_pb2.Lagged.REASON_OUT_OF_RING)
    made.timings.encode.observe(frames / 1000)
    made.timings.freshness[Stage.BAR_TO_GRID].observe(0.002)
    made.timings.observe_query("GetGrid", "OK", 0.1)
    made.counts["more"] = frames
    return made


def test_sum_has_every_counter_and_every_observation() -> None:
    total = added_up((account(3, 1), account(4, 2)))

    assert (total.counters.frames, total.counters.streams_open, total.counters.streams_stalled) == (7, 3, 3)
    assert total.counters.lagged == {stream_pb2.Lagged.REASON_OUT_OF_RING: 2}
    assert total.timings.encode.count == 2
    assert total.timings.encode.sum == 0.007
    assert total.timings.freshness[Stage.BAR_TO_GRID].count == 2
    assert total.timings.queries["GetGrid", "OK"].count == 2
    assert total.counts == {"more": 7}


def test_sum_shares_nothing_with_its_parts() -> None:
    part = account(3)

    total = added_up((part,))
    total.counters.frames += 1
    total.timings.encode.observe(1.0)
    total.timings.queries["GetGrid", "OK"].observe(1.0)

    assert (part.counters.frames, part.timings.encode.count, part.timings.queries["GetGrid", "OK"].count) == (3, 1, 1)


def test_later_report_of_a_process_takes_the_place_of_its_last() -> None:
    ledger = Ledger()
    ledger.report(1, account(3))

    ledger.report(1, account(5))

    assert ledger.whole().counters.frames == 5


def test_what_a_dead_process_had_counted_stays_and_what_it_had_open_is_gone() -> None:
    ledger = Ledger()
    ledger.report(1, account(3, open_now=2))
    ledger.report(2, account(4, open_now=1))

    ledger.end(1)

    whole = ledger.whole()
    assert (whole.counters.frames, whole.counters.streams_open, whole.counters.streams_stalled) == (7, 1, 1)
    assert whole.timings.encode.count == 2


def test_report_that_comes_after_the_death_of_its_process_is_not_counted_twice() -> None:
    ledger = Ledger()
    ledger.report(1, account(3, open_now=2))
    ledger.end(1)

    ledger.report(1, account(3, open_now=2))

    assert (ledger.whole().counters.frames, ledger.whole().counters.streams_open) == (3, 0)


def test_process_that_died_before_its_first_report_changes_nothing() -> None:
    ledger = Ledger()

    ledger.end(7)

    assert ledger.whole().counters == StreamCounters()
