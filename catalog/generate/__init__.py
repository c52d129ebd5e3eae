"""Generates market days from a seed: the same seed gives the same rows on any machine."""
