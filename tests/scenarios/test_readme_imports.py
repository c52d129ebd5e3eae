"""Each import command of the README as it stands there: imported, checked, replayed, verified."""

import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from catalog.store import Store
from scenarios.cli import main

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / ".." / "shared" / "data"
MANY_STREAMS = 1_000
LISTENER = """
from strategies.decider import Params, Strategy
from strategies.messages import Alert
from strategies.order_book import LevelBook


class Listener(Strategy[Params]):
    params_type = Params

    def __init__(self, setup):
        super().__init__(setup)
        self.books = {each: LevelBook(each) for each in setup.instruments}
        self.heard = 0

    def tell(self, text):
        self.heard += 1
        return [Alert(f"{self.heard}: {text}")] if self.heard % 100 == 1 else None

    def on_trade(self, trade):
        return self.tell(f"{trade.instrument_id} {trade.price}")

    def on_quote(self, quote):
        return self.tell(f"{quote.instrument_id} {quote.bid_price} {quote.ask_price}")

    def on_bar(self, bar):
        return self.tell(f"{bar.bar_type} {bar.close}")

    def on_book(self, deltas):
        book = self.books[deltas.instrument_id]
        book.fold(deltas)
        return self.tell(f"{deltas.instrument_id} {book}")
"""
SCENARIO = """
name = "readme"
seed = 1

[venues.{venue}]
balances = ["{balance}"]
latency_ms = 5

[capital]
order_max = ["{balance}"]
symbol_max = ["{balance}"]
"""
STRATEGY = """
[[strategies]]
name = "listener_{number}"
class = "listener:Listener"
instruments = ["{instrument}"]
streams = [{streams}]
weight = 0.01
"""


@dataclass(frozen=True)
class Replay:
    """A venue, its balance, and what is heard there: instrument and streams."""

    venue: str
    balance: str
    heard: dict[str, tuple[str, ...]]


SPOT, USDM, KRX = "BINANCE_SPOT", "BINANCE", "KRX"
ALL = ("trades", "quotes", "book")
REPLAYS: dict[str, tuple[Replay, ...]] = {
    "bars": (
        Replay(
            USDM,
            "1_000_000 USDT",
            {"BTCUSDT-PERP.BINANCE": ("1-MINUTE",)}
            | {f"{index}.INDEX": ("1-DAY",) for index in ("VIX", "WTI", "SP500", "NASDAQ")},
        ),
        Replay(
            SPOT,
            "100 BTC",
            {
                f"{base}BTC.BINANCE_SPOT": ("5-MINUTE",)
                for base in ("ADA", "ETH", "LTC", "TRX", "UNITTEST", "XMR")
            },
        ),
        Replay(SPOT, "100 ETH", {"XRPETH.BINANCE_SPOT": ("5-MINUTE",)}),
    ),
    "binance_ws": (
        Replay(USDM, "1_000_000 USDT", {"ETHUSDT-PERP.BINANCE": ALL}),
        Replay(USDM, "1_000_000 USDT", {"SUSHIUSDT-PERP.BINANCE": (*ALL, "1-MINUTE")}),
        Replay(SPOT, "1_000_000 USDT", {"BTCUSDT.BINANCE_SPOT": ALL}),
    ),
    "binance_quality": (
        Replay(
            SPOT,
            "1_000_000 USDT",
            {"TRXUSDT.BINANCE_SPOT": ("trades", "book"), "BTCUSDT.BINANCE_SPOT": ("book",)},
        ),
    ),
    "binance_frames": (
        Replay(SPOT, "1_000_000 USDT", {"BTCUSDT.BINANCE_SPOT": ("trades",)}),
        Replay(USDM, "1_000_000 USDT", {"GALAUSDT-PERP.BINANCE": ("quotes",)}),
        Replay(USDM, "1_000_000 USDT", {"BTCUSDT-PERP.BINANCE": ("book",)}),
    ),
    "kis": (
        Replay(
            KRX,
            "100_000_000 KRW",
            {
                "005930.KRX": ALL,
                "000400.KRX": ("trades", "quotes"),
                "005380.KRX": ("trades", "quotes"),
            },
        ),
    ),
    "krx/daily": (
        Replay(
            KRX, "100_000_000 KRW", {"005930.KRX": ("trades", "1-DAY"), "000660.KRX": ("1-DAY",)}
        ),
    ),
    "krx/005930_5m": (Replay(KRX, "100_000_000 KRW", {"005930.KRX": ("5-MINUTE",)}),),
    "krx/cross_section": (
        Replay(
            KRX,
            "100_000_000 KRW",
            {"005930.KRX": ("trades", "1-DAY"), "0004V0.KRX": ("1-DAY",), "KS11.INDEX": ("1-DAY",)},
        ),
    ),
}


def commands() -> list[list[str]]:
    """Return the import commands that README shows, without the program's name."""
    text = (PROJECT / "README.md").read_text("utf-8")
    lines = re.findall(r"^onetape (data import .*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def folder_of(command: list[str]) -> str:
    return next((name for name in REPLAYS if command[2].startswith(name)), command[2])


def test_each_folder_of_market_data_has_one_command() -> None:
    assert [folder_of(command) for command in commands()] == [
        *("bars", "binance_frames", "binance_ws", "binance_quality", "dumps", "kis"),
        *("krx/daily", "krx/005930_5m", "krx/cross_section"),
    ]


def as_json(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main([*args, "--json"]) == 0
    values: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return values


def scenario_of(replay: Replay) -> str:
    parts = [
        STRATEGY.format(
            number=number, instrument=instrument, streams=", ".join(f'"{name}"' for name in streams)
        )
        for number, (instrument, streams) in enumerate(replay.heard.items())
    ]
    return SCENARIO.format(venue=replay.venue, balance=replay.balance) + "".join(parts)


def keep_heard(catalog: Path, replays: tuple[Replay, ...]) -> None:
    """Take out of a whole market's catalog what no replay hears: looking at it costs minutes.

    Only folders of streams and instruments go; the catalog tells itself what is left.
    """
    folders = [folder for folder in (catalog / "data").glob("*/*") if folder.is_dir()]
    heard = [instrument for replay in replays for instrument in replay.heard]
    if len(folders) < MANY_STREAMS:
        return
    for folder in folders:
        if not any(folder.name.startswith(instrument) for instrument in heard):
            shutil.rmtree(folder)


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
@pytest.mark.parametrize(
    "command", [each for each in commands() if folder_of(each) in REPLAYS], ids=folder_of
)
def test_a_folder_is_imported_checked_replayed_and_verified(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(DATA)
    assert main(command) == 0
    assert main(["data", "check"]) == 0
    keep_heard(tmp_path / "home" / "catalog", REPLAYS[folder_of(command)])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "listener.py").write_text(LISTENER)
    rows = {
        (str(info.instrument_id), str(info.kind)): info.rows
        for info in Store(tmp_path / "home" / "catalog").streams()
    }
    for replay in REPLAYS[folder_of(command)]:
        (tmp_path / "heard.toml").write_text(scenario_of(replay))
        ran = as_json(capsys, "run", "heard.toml")
        assert ran["events"] >= len(replay.heard)
        assert ran["decisions"] >= len(replay.heard)
        assert main(["verify", ran["run_id"]]) == 0
        assert {instrument for instrument, _ in rows} >= set(replay.heard)
