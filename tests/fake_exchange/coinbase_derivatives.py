"""Coinbase Derivatives as it speaks: a list of products, asked for; nothing of what is wanted is streamed."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from tests.fake_exchange.speaker import Ear, VenueSpeaker, price_text, quantity_text, tick_text


class CoinbaseDerivativesSpeaker(VenueSpeaker):
    """See VenueSpeaker."""

    def admits(self, ear: Ear) -> bool:
        return False

    def answer(self, path: str, query: Mapping[str, str], newest: Mapping[str, int], now_ns: int) -> bytes | None:
        if path != "/api/v3/brokerage/market/products" or query.get("product_type") != "FUTURE":
            return None
        rows = [
            {
                "product_id": name,
                "price": price_text(listing, self.marks[listing.instrument_id].price),
                "price_increment": tick_text(listing),
                "trading_disabled": False,
                "product_type": "FUTURE",
                "future_product_details": {
                    "contract_size": str(float(listing.unit)),
                    "contract_expiry_type": "EXPIRING",
                    "open_interest": quantity_text(listing, newest[listing.instrument_id]),
                    "funding_rate": self.rate_text(listing),
                    "funding_interval": "3600s",
                    "intraday_margin_rate": {"long_margin_rate": "0.1000185", "short_margin_rate": "0.1000008"},
                },
            }
            for name, listing in self.named.items()
        ]
        return orjson.dumps({"products": rows, "num_products": len(rows)})
