"""CONNECT: one package per venue. Nothing connects yet: replay needs no connection."""
