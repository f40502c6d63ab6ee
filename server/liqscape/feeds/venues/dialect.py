"""The seam: what a venue file gives to those who connect, poll, record and replay.

A Dialect is made for the listings wanted of one venue. It says which connections and requests it needs, and reads what
comes back into a Reading. It holds no socket and no clock. What a venue sends only as changes (Bybit's tickers) it may
remember; a new connection has a new Dialect.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import orjson

from liqscape.errors import LiqscapeError
from liqscape.events import Event
from liqscape.feeds.venues.numbers import UnreadableNumber
from liqscape.feeds.venues.readings import Evidence
from liqscape.instruments import Instrument

if TYPE_CHECKING:  # they know this file
    from liqscape.feeds.venues.accounts import PublicAccounts
    from liqscape.feeds.venues.history import VenueHistory

MAX_MESSAGE_BYTES: Final = 8 << 20
"""Of one message, unpacked. The largest real one, a venue's whole list of instruments, is 700 KB."""

MAX_REJECTED: Final = 256
"""Rows of one message that cannot be read, after which its rest counts as one more: to count each takes 0.1 ms, and the
largest message has room for millions. In a real one that many are bad only where all are."""

NOW_SECONDS: Final = '"@now seconds"'
"""In a message that is sent (subscription, ping), where the venue wants the time of sending, in whole seconds."""

MAX_DETAIL: Final = 120
"""Characters of a venue's own text that are kept of a rejection."""


class Channel(enum.Enum):
    """What a venue may say; the value is its name in counters and status."""

    TRADES = "trades"
    MARK = "mark"
    OPEN_INTEREST = "open_interest"
    FUNDING = "funding"
    LIQUIDATIONS = "liquidations"


class Completeness(enum.Enum):
    """How much of its liquidations a venue prints."""

    FULL = "full"
    SAMPLED = "sampled"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument as its venue counts it.

    Attributes:
        instrument: what the model knows of it.
        unit: coins (or contracts, of an inverse instrument) in one of what the venue counts trades in.
        name: the venue's own name; of the instrument.
        instrument_id: the id used in events; of the instrument.
    """

    instrument: Instrument
    unit: Fraction = Fraction(1)
    # Kept, because it is asked for with every event and an Instrument puts its id together anew.
    name: str = field(init=False, repr=False, compare=False)
    instrument_id: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.instrument.name)
        object.__setattr__(self, "instrument_id", self.instrument.instrument_id)


def in_words(said: object, most: int = MAX_DETAIL) -> str:
    """Return the beginning of what was said, for people, of so many characters at most.

    The parser of JSON takes deeper nesting than Python puts into words; nothing of a market is nested so.
    """
    try:
        return str(said)[:most]
    except RecursionError:
        return f"{type(said).__name__} nested too deeply"


@dataclass(frozen=True, slots=True)
class Rejection:
    """An input that was thrown away: a reason of a fixed set, and the beginning of what it was."""

    reason: str
    detail: str
    instrument_id: str | None = None


class Unreadable(LiqscapeError):
    """A message, or a row of one, that says nothing we may believe.

    Args:
        reason: short and of a fixed set, for counting.
        detail: what it was.
    """

    def __init__(self, reason: str, detail: object = "") -> None:
        self.reason = reason
        self.detail = in_words(detail)
        super().__init__(f"{reason}: {self.detail}")


class TooManyRejected(Unreadable):
    """The rest of a message is not read: see MAX_REJECTED."""


@dataclass(slots=True)
class Reading:
    """What messages said, gathered; whoever reads takes the lists and clears them.

    Attributes:
        events: in the order of the messages. A Gap among them: the venue's own numbers show that something is missing.
        rejected: inputs thrown away, each with its reason.
        ignored: messages and rows understood and not needed, by kind: other instruments, order books.
        acknowledged: ids of subscriptions the venue has confirmed, as Endpoint.acknowledgements names them.
        refused: what the venue has said against a subscription or a request.
        replies: to be sent at once, answers to the venue's own pings.
        heartbeats: messages that prove only that the venue is there.
        listings: what the venue says of its instruments.
        evidence: what was told that speaks for one reading of the venue's words or another.
    """

    events: list[Event] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    replies: list[str | bytes] = field(default_factory=list)
    heartbeats: int = 0
    listings: list[VenueListing] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    def reject(self, reason: str, detail: object = "", instrument_id: str | None = None) -> None:
        """Count an input as thrown away."""
        self.rejected.append(Rejection(reason, in_words(detail), instrument_id))

    def clear(self) -> None:
        """Forget everything."""
        self.events.clear()
        self.rejected.clear()
        self.ignored.clear()
        self.acknowledged.clear()
        self.refused.clear()
        self.replies.clear()
        self.heartbeats = 0
        self.listings.clear()
        self.evidence.clear()


@dataclass(frozen=True, slots=True)
class VenueListing:
    """What a venue itself says of an instrument, to be compared with the shipped tables.

    Attributes:
        name: the venue's.
        unit: as Listing.unit; None where it does not say.
        price_tick: smallest step of a price, in quote; None where it does not say.
        max_leverage: None where it does not say.
        is_trading: whether positions can be opened.
    """

    name: str
    unit: Fraction | None = None
    price_tick: Fraction | None = None
    max_leverage: int | None = None
    is_trading: bool = True

    def __post_init__(self) -> None:
        if type(self.name) is not str:  # of JSON, which it is compared by
            raise Unreadable("listing without a name", self.name)


@dataclass(frozen=True, slots=True)
class Ping:
    """What we must say to stay connected: this text, whenever nothing was sent or heard for so long."""

    text: str
    every_s: float


@dataclass(frozen=True, slots=True)
class Door:
    """A request whose answer says where to open a connection.

    Attributes:
        request: to send before each attempt, outside every budget.
        url_of: of the body of its answer; raises Unreadable.
    """

    request: Request
    url_of: Callable[[bytes], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One WebSocket to open.

    Attributes:
        name: of the connection, unique in the dialect.
        url: where.
        subscribe: messages to send once it is open, in order; each within the venue's limits; see said_at.
        acknowledgements: ids that Reading.acknowledged must come to hold; empty: the venue confirms nothing,
            and an instrument is missed until something of it is heard.
        channels: what is heard on it.
        control: the channel that is never quiet for long (trades of the largest instruments): while it is heard, the
            others are quiet; when it is silent for control_s, so is the connection, whatever else it says.
        control_s: seconds.
        ping: what keeps it open.
        door: for a venue that says anew for each connection where it is to be opened; url is then of no use.
        max_age_s: after which the venue cuts it, or None.
        sends_per_s: messages that the venue takes from us.
        connects_per_s: connections that the venue takes from an address.
        protocol_ping_s: seconds between WebSocket pings of ours; None: the venue does not answer them.
        about: instrument ids that are heard on it; empty: all of the dialect. What it misses is missed of these.
    """

    name: str
    url: str
    subscribe: tuple[str, ...]
    acknowledgements: frozenset[str] = frozenset()
    channels: frozenset[Channel]
    control: Channel = Channel.TRADES
    control_s: float = 60.0
    ping: Ping | None = None
    door: Door | None = None
    max_age_s: float | None = None
    sends_per_s: float = 5.0
    connects_per_s: float = 1.0
    protocol_ping_s: float | None = 20.0
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, without a body unless it is a POST of JSON."""

    url: str
    query: Mapping[str, str] = field(default_factory=dict)
    json: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """A request to repeat.

    Attributes:
        name: what it asks, for example "open_interest BTCUSDT"; unique in the dialect.
        request: what to send.
        every_s: seconds from one to the next.
        channels: what its answers say; empty: listings.
        budget: name of the Budget it draws on.
        weight: what it takes of it.
        about: instrument ids; a dialect reads answers that do not name their instrument by it.
    """

    name: str
    request: Request
    every_s: float
    channels: frozenset[Channel]
    budget: str = "rest"
    weight: int = 1
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """Weight that requests may take in any stretch of so many seconds; half of what the venue allows, or less."""

    name: str
    weight: int
    seconds: float


class Dialect(Protocol):
    """A venue's way to say things. Both read methods raise nothing but Unreadable; use read_message and read_answer."""

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Return the connections to open."""
        ...

    @property
    def polls(self) -> Sequence[Poll]:
        """Return the requests to repeat. Those without channels are asked once, first: they return listings."""
        ...

    @property
    def budgets(self) -> Sequence[Budget]:
        """Return what the polls draw on."""
        ...

    def read(self, message: bytes, receive_ns: int, into: Reading) -> None:
        """Read one message of a WebSocket.

        Args:
            message: as it came, UTF-8 of text messages.
            receive_ns: when, by our clock; used only where the venue gives no time.
            into: where it is noted what was said.

        Raises:
            Unreadable, KeyError, ValueError, TypeError, IndexError: it cannot be read.
        """
        ...

    def read_answer(self, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
        """Read the body of an answer to a poll; see read."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A venue that can be listened to.

    Attributes:
        name: as on the command line. Two dialects of one venue are two of these: binance-usdm, binance-coinm.
        instruments_of: the venue of its instruments' ids.
        takes: whether an instrument of that venue is one of these.
        dialect: makes one for the listings wanted.
        liquidations: how much of them it prints.
        provenance: recorded, if its parser is tested against real recordings, else documented.
        history: makes the VenueHistory of a listing; None: the venue keeps no past that it shows.
        regions: where it is known to refuse connections, in words; empty: nowhere.
        accounts: how it states the positions of accounts; None: it keeps them to itself, as all but a few do.
    """

    name: str
    instruments_of: str
    takes: Callable[[Instrument], bool] = lambda _: True
    dialect: Callable[[Sequence[Listing]], Dialect]
    liquidations: Completeness
    provenance: str
    history: Callable[[Listing], VenueHistory] | None = None
    regions: str = ""
    accounts: PublicAccounts | None = None


MISSHAPEN: Final = (
    UnreadableNumber,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What code that trusts the shape of a message raises when it has another one."""


def read_message(dialect: Dialect, message: bytes, receive_ns: int, into: Reading) -> None:
    """Read one message of a WebSocket; whatever cannot be read is counted as rejected, nothing is raised."""
    if len(message) > MAX_MESSAGE_BYTES:
        into.reject("too large", f"{len(message)} bytes")
        return
    try:
        dialect.read(message, receive_ns, into)
    except Unreadable as error:
        into.reject(error.reason, error.detail)
    except MISSHAPEN as error:
        into.reject("malformed", f"{error!r} in {message[:MAX_DETAIL]!r}")


def read_answer(dialect: Dialect, poll: Poll, body: bytes, receive_ns: int, into: Reading) -> None:
    """Read an answer to a poll; see read_message."""
    if len(body) > MAX_MESSAGE_BYTES:
        into.reject("too large", f"{len(body)} bytes")
        return
    try:
        dialect.read_answer(poll, body, receive_ns, into)
    except Unreadable as error:
        into.reject(error.reason, error.detail)
    except MISSHAPEN as error:
        into.reject("malformed", f"{error!r} in {body[:MAX_DETAIL]!r}")


_Row = TypeVar("_Row")


def read_rows(rows: Iterable[_Row], read: Callable[[_Row], None], into: Reading) -> None:
    """Read the rows of a message one by one: a bad one takes no good one with it.

    Raises:
        TooManyRejected: MAX_REJECTED inputs of the reading could not be read; the rest of the rows is not read.
    """
    for row in rows:
        try:
            read(row)
        except TooManyRejected:
            raise
        except Unreadable as error:
            _reject_row(into, error.reason, error.detail)
        except MISSHAPEN as error:
            _reject_row(into, "malformed", f"{error!r} in {in_words(row)}")


def _reject_row(into: Reading, reason: str, detail: str) -> None:
    into.reject(reason, detail)
    if len(into.rejected) >= MAX_REJECTED:
        raise TooManyRejected("too many bad rows", f"after {len(into.rejected)} the rest is not read")


def listings_of(instruments: Iterable[Instrument], venue: Venue) -> tuple[Listing, ...]:
    """Return the listings of those instruments that are of a venue."""
    return tuple(Listing(i, i.contract_size) for i in instruments if i.venue == venue.instruments_of and venue.takes(i))


def batches(names: Sequence[str], most: int) -> tuple[tuple[str, ...], ...]:
    """Return names in groups of at most so many, for subscriptions."""
    return tuple(tuple(names[first : first + most]) for first in range(0, len(names), most))


def said_at(text: str, now_ns: int) -> str:
    """Return a message to send, with the time where it is wanted."""
    return text.replace(NOW_SECONDS, str(now_ns // 1_000_000_000))


def to_json(value: object) -> str:
    """Return a message to send."""
    return orjson.dumps(value).decode()
