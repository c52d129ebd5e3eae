"""What holds for every generated day."""

import numpy as np

from catalog.generate.day import BUY, SELL, Tape


def assert_consistent(tape: Tape) -> None:
    """Check what holds for every generated day: order, and trades inside the prevailing book."""
    assert (np.diff(tape.quote_ns) > 0).all()
    assert (np.diff(tape.trade_ns) > 0).all()
    assert (tape.bid < tape.ask).all()
    assert min(tape.size.min(), tape.bid_size.min(), tape.ask_size.min()) >= 1
    at = np.searchsorted(tape.quote_ns, tape.trade_ns, side="right") - 1
    assert at.min() >= 0
    bought, sold = tape.side == BUY, tape.side == SELL
    assert (tape.price[bought] == tape.ask[at[bought]]).all()
    assert (tape.price[sold] == tape.bid[at[sold]]).all()
    assert (tape.size[bought] <= tape.ask_size[at[bought]]).all()
    assert (tape.size[sold] <= tape.bid_size[at[sold]]).all()
    assert ((tape.bid[at] <= tape.price) & (tape.price <= tape.ask[at])).all()
