"""Readings of a venue's words that no document settles: what would decide them, and how they stand. Pure.

A dialect believes the first alternative of a Question and goes on with it. Where a message, an answer or a list speaks
for one of the alternatives, it says so in Reading.evidence; Readings counts. What is decided is told, to the log and in
the status; a parser acts on it by itself where nothing counted changes in mid-stream (the length of a funding interval
that a list tells, a print's side), else a table has to be mended, which is what the message is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

SHARE: Final = 10
"""One vote in so many may speak for another alternative: messages of two channels are of two moments."""

PATIENCE: Final = 4
"""Times what is needed, after which a question without a clear answer is called undecided, and votes are halved: what
has changed since outvotes what was."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be decided.

    Attributes:
        name: what it is about, in words.
        alternatives: in words; the first is what the parser believes.
        needs: votes for a decision.
    """

    name: str
    alternatives: tuple[str, ...]
    needs: int = 20


Evidence = tuple[Question, str]
"""A question, and the alternative that something speaks for."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How a question stands.

    Attributes:
        question: which.
        alternative: decided; None: the votes have no clear answer.
        votes: for that, or of all.
        total: votes that count.
    """

    question: Question
    alternative: str | None
    votes: int
    total: int

    @property
    def is_as_believed(self) -> bool:
        """Return whether the parser reads it so."""
        return self.alternative == self.question.alternatives[0]

    def __str__(self) -> str:
        votes = f"{self.votes} of {self.total}"
        if self.alternative is None:
            return f"{self.question.name}: undecided after {self.total}, read as {self.question.alternatives[0]}"
        if self.is_as_believed:
            return f"{self.question.name}: {self.alternative} held ({votes})"
        return f"{self.question.name}: {votes} say {self.alternative}; still read as {self.question.alternatives[0]}"


class Readings:
    """The votes on a venue's questions, over all its connections."""

    def __init__(self) -> None:
        self._votes: dict[Question, Counter[str]] = {}
        self._decisions: dict[Question, Decision] = {}
        self._news: list[Decision] = []

    def take(self, evidence: Iterable[Evidence]) -> None:
        """Count votes, and decide what they decide."""
        for question, alternative in evidence:
            votes = self._votes.setdefault(question, Counter())
            votes[alternative] += 1
            total = votes.total()
            if total >= question.needs:
                self._decide(question, votes, total)
            if total >= PATIENCE * question.needs:
                for each in votes:
                    votes[each] //= 2

    @property
    def decisions(self) -> Sequence[Decision]:
        """Return what is decided, or known to be undecided, in the order in which it was."""
        return tuple(self._decisions.values())

    def take_news(self) -> list[Decision]:
        """Return the decisions made since the last call, and forget that they are news."""
        news, self._news = self._news, []
        return news

    def _decide(self, question: Question, votes: Counter[str], total: int) -> None:
        alternative, count = votes.most_common(1)[0]
        is_clear = count * SHARE >= total * (SHARE - 1)
        if not is_clear and total < PATIENCE * question.needs:
            return
        known = self._decisions.get(question)
        decision = Decision(question, alternative if is_clear else None, count if is_clear else total, total)
        self._decisions[question] = decision
        if known is None or known.alternative != decision.alternative:
            self._news.append(decision)


def in_ratio(one: Fraction, other: Fraction, ratio: int) -> bool:
    """Return whether one is so many times the other, to 5 %: two channels tell of two moments."""
    return abs(one - ratio * other) * 20 <= ratio * other
