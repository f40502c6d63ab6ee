"""Repeats the requests of a venue inside its budgets."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from liqscape.feeds.live.backoff import TOO_MANY_S, TOO_MANY_STATUS, Backoff
from liqscape.feeds.live.budgets import WeightBudget
from liqscape.feeds.live.connection import BLOCKED_STATUS, OK, Surroundings
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.transport import Answer, ConnectFailed
from liqscape.feeds.status import FeedState
from liqscape.feeds.venues.dialect import Poll, Request

_LOG = logging.getLogger(__name__)

ANSWER_S: Final = 10.0
"""For an answer; the same question is asked again anyway."""

MOST_AT_ONCE: Final = 4
"""Requests under way to one venue: more are taken for an attack by some."""

SPREAD_S: Final = 10.0
"""Over which the first questions are spread."""

MISSED: Final = 3
"""Periods without an answer that make a hole of it."""


@dataclass(slots=True)
class PollState:
    """What is known of a poll."""

    state: FeedState = FeedState.CONNECTING
    reason: str = ""
    answered_ns: int = 0


class Poller:
    """Asks everything of a venue until it is cancelled.

    Args:
        desk: of the venue.
        around: shared by all.
    """

    def __init__(self, desk: VenueDesk, around: Surroundings) -> None:
        self.states = {poll.name: PollState() for poll in desk.polls}
        self._desk = desk
        self._around = around
        self._timing = around.timing
        self._budgets = {budget.name: WeightBudget(budget, around.timing) for budget in desk.budgets}
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(self) -> None:
        """Repeat every request, each beginning at another moment."""
        async with asyncio.TaskGroup() as group:
            for poll in self._desk.polls:
                group.create_task(self._repeat(poll), name=f"{self._desk.venue.name} {poll.name}")

    async def ask(self, request: Request, budget: str, weight: int) -> Answer:
        """Send one request when its budget has room for it, beside those that are under way.

        Args:
            request: of the venue; one of its polls, or another.
            budget: name of the budget it draws on; one that the dialect does not name has no limit.
            weight: what it takes of it.

        Raises:
            ConnectFailed: there is no answer.
        """
        shared = self._budgets.get(budget)
        if shared is not None:
            await shared.take(weight)
        try:
            async with self._places, self._timing.timeout(ANSWER_S):
                answer = await self._around.transport.request(request)
        except TimeoutError as error:
            raise ConnectFailed(str(error) or "no answer") from error
        if answer.status in TOO_MANY_STATUS and shared is not None:
            shared.close_for(answer.retry_after_s or TOO_MANY_S)
        return answer

    async def _repeat(self, poll: Poll) -> None:
        timing, state = self._timing, self.states[poll.name]
        backoff = Backoff(self._around.generator)
        if poll.channels:  # listings come first: they say whether the rest can be believed
            await timing.sleep(self._around.generator.uniform(0.0, min(poll.every_s, SPREAD_S)))
        since_ns = timing.now_ns()
        due = timing.monotonic()
        while True:
            retry_s = await self._ask(poll, backoff)
            if state.answered_ns:
                since_ns = state.answered_ns
            if retry_s is None:
                backoff.reset()
                # On its own beat, so that many polls stay spread; what was missed is not made up for.
                due = max(due + poll.every_s, timing.monotonic() + poll.every_s / 2)
                await timing.sleep(due - timing.monotonic())
            else:
                if timing.now_ns() - since_ns > MISSED * poll.every_s * 1e9:
                    self._desk.unanswered(
                        poll, since_ns, "blocked" if state.state is FeedState.BLOCKED else "no answer"
                    )
                await timing.sleep(retry_s)
                due = timing.monotonic()

    async def _ask(self, poll: Poll, backoff: Backoff) -> float | None:
        """Ask once; return None if it was answered, else seconds to wait."""
        state = self.states[poll.name]
        try:
            answer = await self.ask(poll.request, poll.budget, poll.weight)
        except ConnectFailed as error:
            state.state, state.reason = FeedState.SILENT, str(error) or "no answer"
            return backoff.after_failure()
        receive_ns = self._timing.now_ns()
        if answer.status in TOO_MANY_STATUS:
            state.state, state.reason = FeedState.SILENT, f"HTTP {answer.status}"
            return backoff.after_failure(retry_after_s=answer.retry_after_s or TOO_MANY_S)
        if answer.status in BLOCKED_STATUS:
            state.state, state.reason = FeedState.BLOCKED, f"HTTP {answer.status}"
            return backoff.after_failure(blocked=True, retry_after_s=answer.retry_after_s)
        if answer.status != OK:
            state.state, state.reason = FeedState.SILENT, f"HTTP {answer.status}"
            return backoff.after_failure(retry_after_s=answer.retry_after_s)
        if self._around.recorder is not None:
            self._around.recorder.note(receive_ns, "answer", self._desk.venue.name, answer.body, poll=poll.name)
        refused = self._desk.answer(poll, answer.body, receive_ns)
        if refused:
            state.state, state.reason = FeedState.SILENT, f"refused: {refused[-1][:80]}"
            return backoff.after_failure()
        state.state, state.reason, state.answered_ns = FeedState.LIVE, "", receive_ns
        return None
