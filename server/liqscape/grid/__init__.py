"""Stage 4: signed events become grids of weighted lots."""
