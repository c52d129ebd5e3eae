"""A loopback server that behaves like KIS for domestic stocks, and keeps its own books.

Rule: it shares nothing with the adapter it tests; layouts, codes and numbers are written from the
protocol's description. Everything but ``server`` is pure: time is an argument, never asked for.
Where the protocol is not documented the reading is an assumption and says so.
"""
