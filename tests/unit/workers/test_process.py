"""How long a place in a server waits before it is filled again."""

from __future__ import annotations

from liqscape.workers.process import RESTART_DELAYS_S, STEADY_AFTER_S, RestartDelays


def test_first_death_is_made_good_at_once() -> None:
    assert RestartDelays().after(0.1) == 0.0


def test_deaths_soon_after_the_start_are_made_good_more_and_more_slowly() -> None:
    delays = RestartDelays()

    waited = [delays.after(0.1) for _ in range(10)]

    assert waited[: len(RESTART_DELAYS_S)] == list(RESTART_DELAYS_S)
    assert waited == sorted(waited)
    assert waited[-1] == RESTART_DELAYS_S[-1]


def test_process_that_lived_for_a_while_is_made_good_at_once_whatever_came_before() -> None:
    delays = RestartDelays()
    for _ in range(5):
        delays.after(0.1)

    assert delays.after(STEADY_AFTER_S) == 0.0
    assert delays.after(0.1) > 0.0
