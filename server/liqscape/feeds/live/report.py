"""The status of venues from what their desks, connections and polls know. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Final

from liqscape.events import QUANTITY_DECIMALS
from liqscape.feeds.live.connection import EndpointState
from liqscape.feeds.live.desk import VenueDesk
from liqscape.feeds.live.mirrors import MirrorWatch
from liqscape.feeds.live.plausibility import InstrumentCheck
from liqscape.feeds.live.polling import PollState
from liqscape.feeds.status import ChannelStatus, FeedState, VenueStatus
from liqscape.feeds.venues.dialect import Channel

QUIET_NS: Final = 60_000_000_000
"""Without a message, after which a channel is called quiet rather than live: the finest column of any grid."""

_BEST_FIRST: Final = (
    FeedState.LIVE,
    FeedState.SUBSCRIBED,
    FeedState.SILENT,
    FeedState.BLOCKED,
    FeedState.CONNECTING,
)

Parts = tuple[VenueDesk, Mapping[str, EndpointState], Mapping[str, PollState]]


def venue_statuses(parts: Sequence[Parts], mirrors: MirrorWatch, now_ns: int) -> tuple[VenueStatus, ...]:
    """Return the status of each venue.

    Args:
        parts: of each venue its desk, its endpoints by name and its polls by name.
        mirrors: of all.
        now_ns: wall clock.
    """
    worth = {desk.venue.name: sum(map(_worth, desk.plausibility.checks.values())) for desk, _, _ in parts}
    total = sum(worth.values())
    return tuple(
        _status(part, mirrors, now_ns, float(worth[part[0].venue.name] / total) if total else 0.0) for part in parts
    )


def _status(parts: Parts, mirrors: MirrorWatch, now_ns: int, share: float) -> VenueStatus:
    desk, endpoints, _ = parts
    checks = desk.plausibility.checks
    quarantined = tuple(sorted(name for name, check in checks.items() if check.quarantined_since_ns is not None))
    rejected: Counter[str] = Counter(desk.unread)
    for (_, reason), count in desk.plausibility.rejected.items():
        rejected[reason] += count
    channels = tuple(
        _channel(parts, channel, now_ns, is_believed=len(quarantined) < len(checks))
        for channel in Channel
        if any(channel in e.channels for e in desk.endpoints.values()) or any(channel in p.channels for p in desk.polls)
    )
    return VenueStatus(
        venue=desk.venue.name,
        message="; ".join(_messages(parts, mirrors, quarantined, share)),
        channels=channels,
        connections=sum(state.open for state in endpoints.values()),
        reconnects=sum(max(0, state.lives - 1) for state in endpoints.values()),
        lag_ns=desk.offset.median_ns,
        open_interest_share=share,
        rejected=dict(rejected),
        ignored=dict(desk.ignored),
        quarantined=quarantined,
    )


def _channel(parts: Parts, channel: Channel, now_ns: int, *, is_believed: bool) -> ChannelStatus:
    desk, endpoints, polls = parts
    tally = desk.tallies[channel]
    states = [endpoints[name].state for name, e in desk.endpoints.items() if channel in e.channels]
    states += [polls[poll.name].state for poll in desk.polls if channel in poll.channels]
    state = min(states, key=_BEST_FIRST.index)
    if state is FeedState.LIVE and now_ns - tally.heard_ns > QUIET_NS:
        state = FeedState.QUIET
    if not is_believed and state in (FeedState.LIVE, FeedState.QUIET):
        state = FeedState.QUARANTINED
    return ChannelStatus(channel=channel.value, state=state, heard_ns=tally.heard_ns, events=tally.events)


def _messages(parts: Parts, mirrors: MirrorWatch, quarantined: Sequence[str], share: float) -> list[str]:
    desk, endpoints, polls = parts
    found = []
    for name in quarantined:
        found.append(f"{name} is not believed: {desk.plausibility.checks[name].quarantine_reason}")
    if quarantined:
        found.append(f"the venue holds {share:.1%} of open interest")
    found += [f"{name}: {state.reason}" for name, state in endpoints.items() if state.reason]
    found += sorted({f"{name.partition(' ')[0]}: {state.reason}" for name, state in polls.items() if state.reason})
    found += desk.notes.values()
    found += [str(decision) for decision in desk.readings.decisions if not decision.is_as_believed]
    states = [state.state for state in endpoints.values()] + [state.state for state in polls.values()]
    if FeedState.BLOCKED in states and desk.venue.regions:
        found.append(f"known to be refused: {desk.venue.regions}")
    for listing in desk.listings:
        twice = mirrors.mirrors_of(listing.instrument_id)
        if twice:
            found.append(f"{listing.instrument_id} shows the trades of {', '.join(twice)}: counted twice")
    return found


def _worth(check: InstrumentCheck) -> Fraction:
    """Return the last believed open interest in quote currency, 0 where it or the price is not known."""
    instrument = check.instrument
    quantity = Fraction(check.open_interest or 0, 10**QUANTITY_DECIMALS)
    if instrument.contract_value is not None:
        return quantity * instrument.contract_value
    return quantity * Fraction(check.price, 10**instrument.price_decimals)
