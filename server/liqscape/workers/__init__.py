"""A server of many processes: one engine, some edges, and a supervisor that starts them again."""
