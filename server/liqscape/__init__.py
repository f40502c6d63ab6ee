"""Liquidation heatmaps for crypto derivatives: exact, live, streamed."""

__version__ = "0.1.0"
