"""Stage 2: events become bars, one an instrument and tick."""
