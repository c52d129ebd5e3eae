"""Loopback servers that behave like venues. Imports nothing from adapters."""
