"""Pairs not quoted in USDT: a venue's ledger is kept in the one currency its instruments need."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from nautilus_trader.model import BarType
from small_market import run, scenario_of, verify

from catalog.columns import decimals_from_units, times
from catalog.layout import SCHEMAS
from catalog.store import Store
from scenarios.settings import Settings
from strategies.errors import BadInput
from strategies.markets import binance
from strategies.ports import StreamKind

MINUTE_NS = 60_000_000_000
T0 = 1_772_000_000_000_000_000 // MINUTE_NS * MINUTE_NS
SCENARIO = """
name = "crossover"
[venues.{venue}]
balances = [{balances}]
[[strategies]]
name = "sma"
class = "strategies.sma_crossover:SmaCrossover"
instruments = [{instruments}]
streams = ["1-MINUTE"]
weight = 1
[strategies.params]
fast = 3
slow = 9
"""


def waves(count: int = 400) -> pa.Table:
    """Bars of a price that swings about 0.05, eight decimals, open at the close before."""
    row = np.arange(count + 1)
    units = (5_000_000 + 200_000 * np.sin(row / 12) + 20_000 * np.sin(row / 1.7)).astype(np.int64)
    first, last = units[:-1], units[1:]
    prices = (first, np.maximum(first, last), np.minimum(first, last), last)
    stamps = times(T0 + (row[1:] + 1) * MINUTE_NS)
    columns = [*(decimals_from_units(each, 8) for each in prices)]
    columns += [decimals_from_units(np.full(count, 10**10), 3), stamps, stamps]
    return pa.Table.from_arrays(columns, schema=SCHEMAS[StreamKind.BARS])


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    grid = "0.00000001", "0.001"
    with Store(home / "catalog").importing() as batch:
        for instrument in (
            binance.spot("ETHBTC", binance.Steps("ETH", "BTC", *grid)),
            binance.spot("ETHUSDC", binance.Steps("ETH", "USDC", *grid)),
            binance.perpetual("LTCBTC", binance.Steps("LTC", "BTC", *grid)),
        ):
            topic = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
            batch.write(instrument, StreamKind.BARS, [waves()], source="waves", bar_type=topic)
    return Settings(home, f"sqlite:///{home / 'journal.sqlite'}")


def text(venue: str, balances: str, *instruments: str) -> str:
    names = ", ".join(f'"{name}"' for name in instruments)
    return SCENARIO.format(venue=venue, balances=balances, instruments=names)


@pytest.mark.parametrize(
    ("venue", "instrument"),
    [("BINANCE_SPOT", "ETHBTC.BINANCE_SPOT"), ("BINANCE", "LTCBTC-PERP.BINANCE")],
)
def test_a_pair_quoted_in_bitcoin_is_traded_with_bitcoin(
    market: Settings, tmp_path: Path, venue: str, instrument: str
) -> None:
    # What else the account holds buys nothing: the USDT beside it stay as they are.
    scenario = scenario_of(tmp_path, text(venue, '"2 BTC", "700 USDT"', instrument))
    outcome = run(market, scenario)
    assert outcome.result.fills > 10
    assert list(outcome.result.pnl) == ["BTC"]
    ended = outcome.result.balances[venue]
    assert ended["USDT"] == "700.00000000 USDT"
    assert 0 < abs(outcome.result.pnl["BTC"]) < Decimal(2)
    assert verify(market, outcome.run_id).difference is None


REFUSED = {
    ("BINANCE_SPOT", '"2 BTC", "9 USDC"', "ETHBTC.BINANCE_SPOT", "ETHUSDC.BINANCE_SPOT"): (
        "the instruments on BINANCE_SPOT are quoted in BTC and USDC, and one run keeps one "
        "currency a venue; trade them in a scenario each."
    ),
    ("BINANCE_SPOT", '"700 USDT"', "ETHBTC.BINANCE_SPOT"): (
        "venues.BINANCE_SPOT.balances hold no BTC, in which its instruments are quoted; add one "
        'such as "10 BTC".'
    ),
}


@pytest.mark.parametrize("given", REFUSED)
def test_what_one_ledger_cannot_keep_is_refused(
    market: Settings, tmp_path: Path, given: tuple[str, ...]
) -> None:
    with pytest.raises(BadInput) as error:
        run(market, scenario_of(tmp_path, text(*given)))
    assert str(error.value).endswith(REFUSED[given])
