"""Outputs are encoded beside the engine, in order, and what goes wrong there reaches the engine."""

from __future__ import annotations

import threading
import time

import pytest

from liqscape.broadcast.encoding_thread import MAX_OUTPUTS_WAITING, EncodingThread
from liqscape.broadcast.ports import TickRecord
from liqscape.grid.updates import TickOutput

WAIT_S = 10


def an_output(tick: int) -> TickOutput:
    return TickOutput(tick=tick, channels=(), symbols=(), venues=())


def record_of(output: TickOutput) -> TickRecord:
    return TickRecord(output.tick, (), (), {}, {}, 0)


def test_every_output_is_published_in_order_before_finish_returns() -> None:
    published: list[int] = []
    thread = EncodingThread(record_of, lambda record: published.append(record.tick))
    thread.start()
    for tick in range(1, 51):
        thread.submit(an_output(tick))
    thread.finish()
    assert published == list(range(1, 51))


def test_what_may_wait_is_done_when_the_record_is_published() -> None:
    done: list[str] = []
    thread = EncodingThread(
        record_of, lambda record: done.append(f"published {record.tick}"), lambda: done.append("afterwards")
    )
    thread.start()

    thread.submit(an_output(1))
    thread.submit(an_output(2))
    thread.finish()

    assert done == ["published 1", "afterwards", "published 2", "afterwards"]


def test_the_engine_goes_on_while_a_tick_is_encoded_and_waits_only_for_too_many() -> None:
    released, begun = threading.Event(), threading.Event()

    def slow(output: TickOutput) -> TickRecord:
        begun.set()
        assert released.wait(WAIT_S)
        return record_of(output)

    thread = EncodingThread(slow, lambda record: None)
    thread.start()
    thread.submit(an_output(1))
    assert begun.wait(WAIT_S)
    for tick in range(2, 2 + MAX_OUTPUTS_WAITING):  # none of these waits, or the test would hang here
        thread.submit(an_output(tick))
    assert thread.waits == 0
    submitted = threading.Thread(target=thread.submit, args=(an_output(99),))
    submitted.start()
    deadline = time.monotonic() + WAIT_S
    while thread.waits == 0 and time.monotonic() < deadline:
        time.sleep(0.001)
    released.set()
    submitted.join(WAIT_S)
    thread.finish()
    assert thread.waits == 1


def test_an_error_ends_publishing_and_is_raised_at_the_next_tick_or_at_the_end() -> None:
    published: list[int] = []

    def fails_at_two(output: TickOutput) -> TickRecord:
        if output.tick == 2:
            raise ValueError("tick 2")
        return record_of(output)

    thread = EncodingThread(fails_at_two, lambda record: published.append(record.tick))
    thread.start()
    for tick in (1, 2):
        thread.submit(an_output(tick))
    with pytest.raises(ValueError, match="tick 2"):
        thread.finish()
    assert published == [1]


def test_stop_keeps_silent_about_errors_and_may_come_before_start() -> None:
    def fails(output: TickOutput) -> TickRecord:
        raise ValueError(str(output.tick))

    EncodingThread(fails, lambda record: None).stop()
    thread = EncodingThread(fails, lambda record: None)
    thread.start()
    thread.submit(an_output(1))
    thread.stop()
