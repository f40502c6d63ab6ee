"""Errors a user can meet. Text: what, the value, what is allowed, what to do; lower case, no full stop."""

from __future__ import annotations


class LiqscapeError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(LiqscapeError):
    """A setting, manifest or command line is wrong."""


class InputDataError(LiqscapeError):
    """A recording breaks a rule. Names file, row and rule."""

    def __init__(self, file: str, row: int | None, rule: str) -> None:
        self.file = file
        self.row = row
        self.rule = rule
        where = f"{file}, row {row}" if row is not None else file
        super().__init__(f"{where}: {rule}")


class QueryError(LiqscapeError):
    """A question that cannot be answered; each subclass is one status code of the API."""

    retry_after_ms: int | None = None
    """When to ask again, where that can be said."""


class InvalidArgument(QueryError):
    """Names the field and the allowed values."""


class NotFound(QueryError):
    """Names what exists."""


class OutOfRange(QueryError):
    """Names the range that is held."""


class DataLoss(QueryError):
    """A day of the archive is missing or damaged; names it, and what can be asked for all the same."""


class NotReady(QueryError):
    """History is still being built; carries the progress (0..1)."""

    def __init__(self, message: str, progress: float = 0.0) -> None:
        self.progress = progress
        super().__init__(message)


class LimitExceeded(QueryError):
    """Names the limit, and when to try again if waiting helps."""

    def __init__(self, message: str, retry_after_ms: int | None = None) -> None:
        self.retry_after_ms = retry_after_ms
        super().__init__(message)


class Unauthenticated(QueryError):
    """No token that is valid. One text for all cases, so that a guess teaches nothing."""


class PermissionDenied(QueryError):
    """Names the scope that is needed."""


class Unavailable(QueryError):
    """The server is stopping or its engine has failed; another start may answer."""


class ModelError(LiqscapeError):
    """Our own bookkeeping does not add up: a defect, never the user's input."""
