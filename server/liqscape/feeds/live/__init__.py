"""Between sockets and the engine: connects, polls, judges, records and replays; knows no venue.

In the order data passes: transport.py opens sockets and sends requests; connection.py and polling.py keep them going;
desk.py makes events of what they bring, by the venue's dialect, with plausibility.py and holes.py; inbox.py hands them
to source.py, which ends ticks. What a venue says and how is in feeds/venues.
"""
