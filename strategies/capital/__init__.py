"""The decider that owns the money: ledgers per venue, limits, grants and refusals."""
