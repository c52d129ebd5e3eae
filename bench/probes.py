"""Costs of single steps: one journal entry, one decision of the capital manager.

Rule: the message of a real run, on SQLite, commit included; raw sqlite3 beside it in the same
process gives the ratio that a noisy machine does not change.
"""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from nautilus_trader.model import (
    Bar,
    BarType,
    ClientOrderId,
    InstrumentId,
    Money,
    OrderSide,
    Price,
    Quantity,
)

from catalog.codec import encode
from catalog.journal import open_journal
from scenarios.execute import manifest
from scenarios.wiring import Universe, compose
from strategies.messages import Command, Enter, Grant, OrderState, OrderUpdate
from strategies.ports import Kind, message_id

MINUTE_NS = 60_000_000_000
RAW_COLUMNS = 9


class NoPorts:
    """Journal, orders and clock that keep nothing."""

    def append(self, *entry: object) -> None:
        """Keep nothing."""

    def flush(self) -> None:
        """Keep nothing."""

    def send(self, command: Command) -> None:
        """Send nothing."""

    def wake(self, owner: str, name: str, at_ns: int) -> None:
        """Set nothing."""


def sample_grant(instrument_id: InstrumentId) -> Grant:
    """Return a grant as a crossover gets it: the longest entry of an order."""
    return Grant(
        "bars",
        ClientOrderId("OT00112233445566778899"),
        instrument_id,
        OrderSide.BUY,
        Quantity.from_str("1.000"),
        None,
        reduces=False,
        reserved=Money.from_str("909.45450000 USDT"),
        reason="SMA 10 crossed above SMA 30: 900.41 > 900.33",
    )


def append_us(home: Path, universe: Universe, count: int) -> tuple[float, float]:
    """Return microseconds per journal entry and per raw row: hash, JSON and commit against none."""
    grant = sample_grant(next(iter(universe.instruments)))
    with (
        open_journal(f"sqlite:///{home / 'probe.sqlite'}", home) as store,
        store.begin(manifest(universe)) as journal,
    ):
        started = time.perf_counter()
        for i in range(count):
            entry_id = message_id(i + 1, 0)
            journal.append(entry_id, i, Kind.GRANT, "capital", entry_id, entry_id, grant)
        journal.flush()
        ours = time.perf_counter() - started
        journal.end("ended", {})
    return ours / count * 1e6, _raw_seconds(home, grant, count) / count * 1e6


def _raw_seconds(home: Path, grant: Grant, count: int) -> float:
    text = encode(grant).decode()
    rows = [(1, i, i, "grant", "capital", i, i, text, bytes(32)) for i in range(count)]
    with closing(sqlite3.connect(home / "raw.sqlite")) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("CREATE TABLE entries (a, b, c, d, e, f, g, h, i, PRIMARY KEY (a, b))")
        marks = ", ".join("?" * RAW_COLUMNS)
        started = time.perf_counter()
        for at in range(0, count, 4_096):
            raw.executemany(f"INSERT INTO entries VALUES ({marks})", rows[at : at + 4_096])  # noqa: S608 - constants only
            raw.commit()
        return time.perf_counter() - started


def decision_us(universe: Universe, count: int) -> float:
    """Return microseconds per grant of the capital manager, its release left out."""
    ports = NoPorts()
    made = compose(universe, journal=ports, orders=ports, clock=ports)
    instrument_id = next(iter(universe.instruments))
    bar_type, price = BarType.from_str(universe.streams[0].topic), Price.from_str("900.0")
    quantity = Quantity.from_str("1.000")
    mark = made.marks.mark(instrument_id)
    intent = Enter(instrument_id, OrderSide.BUY, "bench", quantity=quantity)
    spent, clock = 0, time.perf_counter_ns
    for i in range(count):
        order_id, ts_ns = ClientOrderId(f"OT{i}"), i * MINUTE_NS  # slower than any pace limit
        mark.event = Bar(bar_type, price, price, price, price, quantity, ts_ns, ts_ns)
        started = clock()
        answer = made.capital.on_intent("bars", intent, order_id, ts_ns)
        spent += clock() - started
        assert isinstance(answer, Grant), answer
        made.capital.on_order(
            OrderUpdate("bars", order_id, instrument_id, OrderState.CANCELED, "", ts_ns)
        )
    return spent / count / 1e3
