"""CONNECT to Binance: its public dumps, and settings for the engine's own adapter."""
