"""Sealed days of bars and raw events as Parquet, and exact grids of any minute in them; see docs/archive.md."""
