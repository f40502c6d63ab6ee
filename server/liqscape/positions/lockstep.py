"""Books of many symbols step together: what all of them ask of the device at one stage is one call.

A book's step is a generator that yields requests to its table of cohorts, in the order sweep, close, append, each at
most once, and is sent what the device answers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from liqscape.device.backend import AppendRequest, Backend, CloseRequest, EndedCohorts, SweepRequest
from liqscape.errors import ModelError

_T = TypeVar("_T")
_R = TypeVar("_R")

Request: TypeAlias = SweepRequest | CloseRequest | AppendRequest
Answer: TypeAlias = EndedCohorts | tuple[EndedCohorts, NDArray[np.int64]] | NDArray[np.int64]
Stages: TypeAlias = Generator[Request, Answer, _T]
"""A step that waits for answers; its result is the _T."""


def swept(request: SweepRequest) -> Stages[EndedCohorts]:
    """Ask for a sweep; return what ended."""
    answer = yield request
    assert isinstance(answer, EndedCohorts)
    return answer


def closed(request: CloseRequest) -> Stages[tuple[EndedCohorts, NDArray[np.int64]]]:
    """Ask for a close; return what closed, and the clock last reached by group."""
    answer = yield request
    assert isinstance(answer, tuple)
    return answer


def appended(request: AppendRequest) -> Stages[NDArray[np.int64]]:
    """Ask for an append; return what each cohort holds now."""
    answer = yield request
    assert isinstance(answer, np.ndarray)
    return answer


def run_together(backend: Backend, books: Sequence[Stages[_T]]) -> list[_T]:
    """Do the steps of books, all with tables of their own, with at most one call of the backend a stage.

    Args:
        backend: where the tables of all books live.
        books: the steps; their order decides nothing.

    Returns:
        What each step did, in that order.

    Raises:
        ModelError: a book asked for stages out of order, or what the books or the backend raise.
    """
    run = _Run(books)
    run.do(SweepRequest, backend.sweep)
    run.do(CloseRequest, backend.close)
    run.do(AppendRequest, backend.append)
    return run.results()


class _Run(Generic[_T]):
    """Steps under way: what each waits for, and the results of those that are done."""

    def __init__(self, books: Sequence[Stages[_T]]) -> None:
        self._books = books
        self._asked: dict[int, Request] = {}
        self._results: dict[int, _T] = {}
        for number in range(len(books)):
            self._go_on(number, None)

    def do(self, kind: type[_R], operation: Callable[[list[_R]], Sequence[Answer]]) -> None:
        """Do one stage of every step that waits for it."""
        asked = {number: request for number, request in self._asked.items() if isinstance(request, kind)}
        if not asked:
            return
        for number, answer in zip(asked, operation(list(asked.values())), strict=True):
            self._go_on(number, answer)

    def results(self) -> list[_T]:
        """Return what the steps did."""
        if self._asked:
            late = {type(request).__name__ for request in self._asked.values()}
            raise ModelError(f"a book asked for {late} after its turn; the order is sweep, close, append, each once")
        return [self._results[number] for number in range(len(self._books))]

    def _go_on(self, number: int, answer: Answer | None) -> None:
        book = self._books[number]
        try:
            self._asked[number] = next(book) if answer is None else book.send(answer)
        except StopIteration as done:
            self._asked.pop(number, None)
            self._results[number] = done.value
