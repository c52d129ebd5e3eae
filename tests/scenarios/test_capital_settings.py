"""The scenario's capital keys: what they become, and that what cannot work is refused by name."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.model import InstrumentId, Money

from scenarios.capital_settings import Ground, make_config, make_ledgers
from scenarios.scenario import load_scenario
from strategies.capital.config import CapitalConfig, LimitRules, Method
from strategies.capital.worst_case import worst_days
from strategies.errors import BadInput
from strategies.markets import binance, krx
from strategies.markets.facts import RAW_ONE
from strategies.markets.sessions import ContinuousDays

SHARE, COIN = InstrumentId.from_str("005930.KRX"), InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
HEAD = """
name = "keys"
[venues.KRX]
balances = ["10_000_000 KRW"]
[venues.BINANCE]
balances = ["100_000 USDT"]
"""
STRATEGIES = """
[[strategies]]
name = "a"
class = "x:A"
instruments = ["*"]
streams = ["trades"]
weight = 0.6
[[strategies]]
name = "b"
class = "x:B"
instruments = ["*.KRX"]
streams = ["trades"]
weight = 0.4
"""


def ground(tmp_path: Path, capital: str = "", strategies: str = STRATEGIES) -> Ground:
    path = tmp_path / "scenario.toml"
    path.write_text(HEAD + capital + strategies, encoding="utf-8")
    return Ground(
        load_scenario(path),
        {"KRX": krx.market(ContinuousDays()), "BINANCE": binance.usdm_market()},
        {"KRX": [Money.from_str("10000000 KRW")], "BINANCE": [Money.from_str("100000 USDT")]},
        {"a": (SHARE, COIN), "b": (SHARE,)},
    )


def config(tmp_path: Path, capital: str = "", strategies: str = STRATEGIES) -> CapitalConfig:
    return make_config(ground(tmp_path, capital, strategies))


def test_an_empty_table_is_weights_and_safe_limits(tmp_path: Path) -> None:
    made = config(tmp_path)
    assert made.weights == {"a": Decimal("0.6"), "b": Decimal("0.4")}
    assert made.symbols == {("a", "KRX"): 1, ("a", "BINANCE"): 1, ("b", "KRX"): 1}
    assert made.limits == LimitRules()
    assert (made.allocation.method, made.sample_ns) == (Method.FIXED, 0)


FULL = """
[capital]
order_max = ["1_000_000 KRW"]
net_max = ["2 USDT"]
venue_max = { KRX = "3_000_000 KRW" }
sector_share = 0.2
stale_after_s = 7
base = "KRW"
rates = { USDT = 1380.5 }
[capital.sectors]
"*.KRX" = "other"
"005930*" = "chips"
[capital.allocation]
method = "kelly"
cap = 0.1
[capital.stages]
hours = 1.5
[capital.brakes]
drawdown_steps = [[500, 0.5], [1000, 0]]
daily_loss_total = "100_000 KRW"
cooldown_s = 60
[capital.kill_switch]
at = "2026-03-10T15:00:00+09:00"
flatten = true
"""


def test_every_family_of_keys_reaches_the_manager(tmp_path: Path) -> None:
    strategies = STRATEGIES.replace(
        "weight = 0.4", 'weight = 0.4\nstages = [0.1, 1]\nmax = ["5_000 KRW"]'
    )
    made = config(tmp_path, FULL, strategies)
    assert made.limits.order_max_raw == {"KRW": 1_000_000 * RAW_ONE}
    assert made.limits.net_max_raw == {"USDT": 2 * RAW_ONE}
    assert made.limits.venue_max_raw == {"KRX": 3_000_000 * RAW_ONE}
    assert made.limits.own_max_raw == {("b", "KRW"): 5_000 * RAW_ONE}
    assert made.limits.sectors == {SHARE: "chips"}
    assert (made.limits.sector_share, made.limits.stale_after_ns) == (Decimal("0.2"), 7 * 10**9)
    assert (made.allocation.method, made.allocation.cap) == (Method.KELLY, Decimal("0.1"))
    assert made.stages.shares == {"b": (Decimal("0.1"), Decimal(1))}
    assert made.stages.hours_ns == 5_400 * 10**9
    assert made.brakes.drawdown_steps == ((500, Decimal("0.5")), (1000, Decimal(0)))
    assert made.brakes.daily_loss_total == Money.from_str("100000 KRW")
    assert made.brakes.kill_at_ns == 1_773_122_400_000_000_000
    assert made.conversion.rates == {"USDT": Decimal("1380.5")}
    assert made.sample_ns == 300 * 10**9


def test_a_rate_may_be_an_instrument(tmp_path: Path) -> None:
    text = f'[capital]\nbase = "KRW"\nrate_instruments = {{ USDT = "{COIN}" }}\n'
    assert config(tmp_path, text).conversion.rates == {"USDT": COIN}


BAD = {
    "[capital]\nvenue_max = { BYBIT = '1 KRW' }": "venue_max.BYBIT names no venue of this scenario",
    "[capital]\nvenue_max = { KRX = '1 USDT' }": "must be in KRW",
    "[capital]\nsectors = { 'X*' = 'x' }": 'sectors."X*" matches no traded instrument',
    "[capital]\nsector_share = 1.1": "sector_share must be from 0 to 1",
    "[capital]\norders_per_second = -1": "orders_per_second is negative",
    "[capital]\nprice_sanity_bps = 10001": "price_sanity_bps must be from 0 to 10,000",
    "[capital]\nnet_max = ['1 KRW', '2 KRW']": "net_max names KRW twice",
    "[capital]\nrates = { USDT = 1 }": 'add base = "KRW"',
    "[capital]\nbase = 'KRW'\nrates = { USDT = 0 }": "rates.USDT must be above 0",
    "[capital]\nbase = 'KRW'\nrate_instruments = { USDT = 'X.KRX' }": "is not traded here",
    "[capital.brakes]\ndaily_loss_total = '1 KRW'": "must be in capital.base",
    "[capital]\nbase = 'KRW'\n[capital.brakes]\ndaily_loss_total = '1 KRW'": "capital.rates.USDT",
    "[capital.brakes]\ndrawdown_steps = [[500, 1]]": "[[bps, factor below 1], ...]",
    "[capital.brakes]\nlosing_streak = -1": "brakes.losing_streak is negative",
    "[capital.brakes]\nlosing_steak = 1": "did you mean losing_streak?",
    "[capital]\nsample_s = 0\n[capital.brakes]\nlosing_streak = 1": "need samples",
    "[capital.allocation]\nmethod = 'best'": "allocation.method",
    "[capital.allocation]\nsamples = 1": "samples of at least 2",
    "[capital.allocation]\nkelly_floor = 0.5": "0 <= kelly_floor <= cap",
    "[capital.stages]\ntrades = -1": "stages.trades is negative",
    "[capital.kill_switch]\nat = 'noon'": "at 'noon' is not a time",
    "[capital]\nmax_loss = ['1 EUR']": "max_loss names EUR, which no venue here holds",
}


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_work_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput) as caught:
        config(tmp_path, text + "\n")
    said = str(caught.value)
    assert BAD[text] in said
    assert "scenario.toml" in said
    assert "\n" not in said


@pytest.mark.parametrize("stages", ["[0.5, 0.1]", "[0]", "[0.5, 1.5]"])
def test_stages_rise_and_end_at_most_at_the_whole(tmp_path: Path, stages: str) -> None:
    strategies = STRATEGIES.replace("weight = 0.4", f"weight = 0.4\nstages = {stages}")
    with pytest.raises(BadInput, match="stages of strategy b must rise"):
        config(tmp_path, "", strategies)


# --- the most a day can cost, by hand ---


def worst(tmp_path: Path, capital: str) -> dict[str, tuple[int, str]]:
    place = ground(tmp_path, capital)
    found = worst_days(make_config(place), make_ledgers(place), place.markets, 3_000)
    return {code: (one.loss_raw // RAW_ONE, one.words) for code, one in found.items()}


def test_without_a_daily_stop_everything_can_be_lost(tmp_path: Path) -> None:
    found = worst(tmp_path, "")
    assert found["KRW"][0] == 10_000_000
    assert found["USDT"] == (
        100_000,
        "no daily_loss_max in USDT stops it, so all of 100000.00000000 USDT",
    )


def test_the_worst_day_is_the_stop_and_the_exposures_gap(tmp_path: Path) -> None:
    text = '[capital.brakes]\ndaily_loss_max = ["500_000 KRW", "1_000 USDT"]\n'
    found = worst(tmp_path, text)
    # KRX may fall from +30 % to -30 %: 0.6 / 1.3 = 46.1538461 % of all 10,000,000
    assert found["KRW"][0] == 500_000 + 4_615_384
    # a alone trades there, with 60 %, and 30 % is the gap
    assert found["USDT"] == (
        1_000 + 18_000,
        "daily stop 1000.00000000 USDT + 60000.00000000 USDT on BINANCE x 30.00% = "
        "19000.00000000 USDT",
    )


def test_limits_lower_the_worst_day(tmp_path: Path) -> None:
    stop = '[capital.brakes]\nstrategy_daily_loss_max = ["100_000 KRW", "1_000 USDT"]\n'
    text = '[capital]\nstrategy_max = ["1_000_000 KRW"]\ngross_max = ["10_000 USDT"]\n' + stop
    found = worst(tmp_path, text)
    # two strategies of 1,000,000 and two stops of 100,000
    assert found["KRW"][0] == 200_000 + 923_076
    assert found["USDT"][0] == 1_000 + 3_000
    venue = worst(tmp_path, '[capital]\nvenue_max = { KRX = "500_000 KRW" }\n' + stop)
    assert venue["KRW"][0] == 200_000 + 230_769


def test_a_scenario_that_could_lose_more_than_it_says_is_refused(tmp_path: Path) -> None:
    stop = '[capital.brakes]\ndaily_loss_max = ["1_000 USDT"]\n'
    assert config(tmp_path, '[capital]\nmax_loss = ["19_000 USDT"]\n' + stop)
    with pytest.raises(BadInput) as caught:
        config(tmp_path, '[capital]\nmax_loss = ["18_999 USDT"]\n' + stop)
    assert (
        "capital.max_loss is 18999.00000000 USDT, but a day can lose 19000.00000000 USDT: daily "
        "stop 1000.00000000 USDT + 60000.00000000 USDT on BINANCE x 30.00% = 19000.00000000 USDT"
    ) in str(caught.value)


def test_the_journalled_scenario_gives_the_same_settings(tmp_path: Path) -> None:
    from scenarios.scenario import scenario_from_json

    place = ground(tmp_path, FULL)
    again = replace(place, scenario=scenario_from_json(place.scenario.canonical))
    assert make_config(again) == make_config(place)
