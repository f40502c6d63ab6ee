"""Stage 6: thin transports, no decisions."""
