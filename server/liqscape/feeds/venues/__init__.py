"""What each venue says and how: subscriptions, and raw bytes -> events. Pure: no socket, no clock, no task.

dialect.py is the seam, numbers.py how text becomes integers; every other file is one venue. What connects to them is
in feeds/live.
"""
