"""The scenarios that are measured, as a user would write them."""

from pathlib import Path

from bench.markets import SYMBOLS, VENUE

HEAD = """name = "{name}"
[venues.{venue}]
balances = ["1000000 USDT"]
[[strategies]]
name = "{name}"
class = "{cls}"
instruments = [{instruments}]
streams = [{streams}]
weight = 0.5
[strategies.params]
fast = {fast}
slow = {slow}
source = "{source}"
quantity = "1.000"
"""
FAST_BARS, SLOW_BARS = 10, 30
FAST_TICKS, SLOW_TICKS = 4_000, 12_000
SMA = "strategies.sma_crossover:SmaCrossover"


def instrument_id(place: int) -> str:
    """Return the id of the market's n-th instrument."""
    return f"{SYMBOLS[place]}USDT-PERP.{VENUE}"


def write_bars(home: Path) -> Path:
    """Write the crossover of 10 and 30 bars; returns its file."""
    return _write(home, "bars", SMA, 1, ("1-MINUTE",), "bars", (FAST_BARS, SLOW_BARS))


def write_ticks(home: Path) -> Path:
    """Write a slow crossover of trades that looks at every quote too; returns its file."""
    averages = "bench.deciders:TickCrossover"
    return _write(home, "ticks", averages, 1, ("trades", "quotes"), "trades")


def write_trades(home: Path, symbols: int) -> Path:
    """Write a slow crossover of trades of many instruments; returns its file."""
    return _write(home, "trades", SMA, symbols, ("trades",), "trades")


def _write(
    home: Path,
    name: str,
    cls: str,
    symbols: int,
    streams: tuple[str, ...],
    source: str,
    lengths: tuple[int, int] = (FAST_TICKS, SLOW_TICKS),
) -> Path:
    text = HEAD.format(
        name=name,
        venue=VENUE,
        cls=cls,
        instruments=", ".join(f'"{instrument_id(place)}"' for place in range(symbols)),
        streams=", ".join(f'"{stream}"' for stream in streams),
        fast=lengths[0],
        slow=lengths[1],
        source=source,
    )
    path = home / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path
