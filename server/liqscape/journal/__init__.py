"""What outlives a process: a journal of ticks, and snapshots. Stores bytes and plain values; knows no domain."""
