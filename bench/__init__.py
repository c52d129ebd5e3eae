"""Measures speed and memory against the bare engine; nothing of the project imports it."""
