"""Facts of markets: ticks, lots, sessions, fees and taxes, each with its source and date."""
