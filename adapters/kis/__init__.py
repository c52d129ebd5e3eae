"""The KIS (Korea Investment & Securities) adapter: its protocol without sockets, and clients on it.

Rule: modules here take bytes, values and the time as arguments and return values; only files
named after an I/O shell open a socket.
"""
