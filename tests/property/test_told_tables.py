"""Whatever a venue answers about margin tables: a table that positions can open under, or a refusal with its reason.

Seen to fail when broken on purpose: in tiers.py a KeyError of a reader passed on.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liqscape.errors import LiqscapeError, NotFound
from liqscape.feeds.tables import ToldTable
from liqscape.feeds.venues.dialect import Unreadable
from liqscape.feeds.venues.table_check import HIGHEST_LEVERAGE, check_table
from liqscape.feeds.venues.tier_sources import SOURCES
from liqscape.feeds.venues.tiers import find_source, table_of
from liqscape.instruments import Instrument
from liqscape.market.terms import terms_as_plain, terms_of_plain
from liqscape.positions.carried_terms import terms_under
from liqscape.positions.inflow import all_terms
from liqscape.positions.mix import SHARE_ONE
from liqscape.told_tables import rules_of
from tests.fake_exchange.every_venue import HOUSES, fake_house, heard_venues
from tests.fake_exchange.scaled_time import START_NS
from tests.unit.feeds.venues.hostile import mutations


def answers() -> list[tuple[Instrument, object]]:
    """Return an instrument of every venue that tells its tables without a key, and the venue's answer about it."""
    found: list[tuple[Instrument, object]] = []
    for key in HOUSES:
        instrument = heard_venues(key)[0][1][0].instrument
        asked = find_source(instrument.venue).request if instrument.venue in SOURCES else None
        if asked is None:
            continue
        fake, request = fake_house(key, seed=1), asked(instrument)
        for event, number in fake.market.warm(START_NS):
            fake.speaker.say(event, number)
        body = fake.speaker.answer(urlsplit(request.url).path, request.query, fake.market.open_interest, START_NS)
        assert body is not None
        found.append((instrument, orjson.loads(body)))
    return found


ANSWERS = answers()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ANSWERS).flatmap(lambda each: st.tuples(st.just(each[0]), mutations([each[1]]))))
def test_hostile_answer_is_a_table_to_open_under_or_is_refused(case: tuple[Instrument, list[bytes]]) -> None:
    shipped, bodies = case
    (terms,) = all_terms([shipped])
    for body in bodies:
        try:
            tiers, adjustments = table_of(shipped, body)
            check_table(shipped, tiers, adjustments)
        except (NotFound, Unreadable):
            continue
        table = ToldTable(
            instrument_id=shipped.instrument_id,
            tiers=tiers,
            since="2026-11-21",
            read_ns=START_NS,
            where="https://a",
            adjustments=adjustments,
        )
        try:
            carried = terms_under(terms, rules_of(shipped, table))
        except LiqscapeError:
            continue
        assert sum(carried.inflow_mix) == sum(carried.size_mix) == SHARE_ONE
        assert 3 <= carried.instrument.max_leverage <= HIGHEST_LEVERAGE
        assert terms_of_plain(terms_as_plain([carried])) == {shipped.instrument_id: carried}


def test_every_venue_that_tells_is_among_them() -> None:
    assert {instrument.venue for instrument, _ in ANSWERS} == set(SOURCES) - {"binance"}
