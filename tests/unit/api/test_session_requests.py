"""The pace at which a peer's requests are read."""

from __future__ import annotations

from liqscape.api.session_requests import Pace


def test_burst_passes_at_once_and_the_rest_at_the_pace() -> None:
    now_s = 50.0
    pace = Pace(10.0, 3, lambda: now_s)

    waits = [round(pace.wait_s(), 6) for _ in range(5)]

    assert waits == [0.0, 0.0, 0.0, 0.1, 0.2]


def test_quiet_peer_may_burst_again() -> None:
    now_s = 0.0
    pace = Pace(10.0, 3, lambda: now_s)
    for _ in range(3):
        pace.wait_s()

    now_s = 10.0
    waits = [round(pace.wait_s(), 6) for _ in range(4)]

    assert waits == [0.0, 0.0, 0.0, 0.1]


def test_peer_at_the_pace_never_waits() -> None:
    now_s = 0.0
    pace = Pace(10.0, 1, lambda: now_s)

    waits = []
    for step in range(50):
        now_s = step * 0.1
        waits.append(round(pace.wait_s(), 6))

    assert set(waits) == {0.0}
