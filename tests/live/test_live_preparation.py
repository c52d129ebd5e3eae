"""What a live run is made of before it begins: its universe, its slots, its money, its consent."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_day import scenario as churning
from nautilus_trader.model import BarType

from adapters.kis.config import read_config
from adapters.kis.masters import listing_of
from adapters.kis.replies import PriceFacts
from scenarios.consent import FLAG, Stakes, require_consent, show_stakes, worst_of
from scenarios.live import Window, window_of
from scenarios.live_kis import KisSide
from scenarios.live_universe import live_topic, matched_codes, named_codes, resolve_live
from scenarios.market_clock import VenueClock
from scenarios.scenario import Scenario, load_scenario, with_balances
from scenarios.screen import Screen
from scenarios.wiring import Universe
from strategies.errors import BadInput
from strategies.market_time import MarketTime
from strategies.markets import krx
from strategies.markets.sessions import Session
from strategies.ports import StreamKind

OPEN_NS = 1_773_014_400_000_000_000
SESSION = Session(OPEN_NS, OPEN_NS + 23_400 * 10**9)
HOUR_NS = 3_600 * 10**9
CODES = ("990001", "990002", "005930")
KNOWN = {krx.equity(code).id: krx.equity(code) for code in CODES}
SHARE = krx.equity(CODES[0]).id
ENVIRON = {
    "ONETAPE_KIS_REST_URL": "http://127.0.0.1:9",
    "ONETAPE_KIS_WS_URL": "ws://127.0.0.1:9",
    "ONETAPE_KIS_APP_KEY": "k" * 36,
    "ONETAPE_KIS_APP_SECRET": "s" * 180,
    "ONETAPE_KIS_ACCOUNT": "1234567801",
    "ONETAPE_KIS_HTS_ID": "someone1",
}


def named(folder: Path, *names: str, streams: tuple[str, ...] = ("trades",)) -> Scenario:
    more = {"instruments": '", "'.join(names), "streams": '", "'.join(streams)}
    return load_scenario(churning(folder, **more))


def universe_of(scenario: Scenario, end_ns: int = OPEN_NS + HOUR_NS) -> Universe:
    return resolve_live(scenario, KNOWN, {SHARE: 10_000 * 10**16}, OPEN_NS, end_ns)


def side(folder: Path, *, simulator: bool = False, limits=None, **environ: str) -> KisSide:
    config = read_config(ENVIRON | {f"ONETAPE_KIS_{k}": v for k, v in environ.items()}, limits)
    clock = VenueClock(MarketTime(0, 0, Fraction(1)), is_simulator=simulator)
    return KisSide(config, folder, clock, SESSION, print, print)


STAKES = Stakes(venue="KIS", address="here", account="****78-01", money=[("a", "b")], play="")


# --- names ---


@pytest.mark.parametrize(
    ("names", "codes"),
    [
        (("990001.KRX",), ["990001"]),
        (("990002.KRX", "990001.KRX", "990002.KRX"), ["990002", "990001"]),
        (("990001.KRX", "BTCUSDT.BINANCE"), ["990001"]),
        (("990001",), []),
        (("99*.KRX",), None),
        (("990001.KRX", "99000?.KRX"), None),
        (("[0-4]*.KRX",), None),
    ],
)
def test_named_shares_are_asked_for_one_by_one_and_patterns_need_the_list(names, codes, tmp_path):
    assert named_codes(named(tmp_path, *names), krx.VENUE) == codes


@pytest.mark.parametrize(
    ("names", "codes"),
    [
        (("99*.KRX",), ["990001", "990002"]),
        (("*",), list(CODES)),
        (("*.BINANCE",), []),
        (("00593?.KRX", "990002.KRX"), ["990002", "005930"]),
    ],
)
def test_patterns_mean_what_is_listed_in_its_order(names, codes, tmp_path) -> None:
    assert matched_codes(named(tmp_path, *names), krx.VENUE, CODES) == codes


def test_a_universe_has_each_share_once_in_the_order_it_is_named(tmp_path: Path) -> None:
    universe = universe_of(named(tmp_path, "990002.KRX", "99*.KRX", "005930.KRX"))
    order = [str(each) for each in universe.instruments]
    assert order == ["990002.KRX", "990001.KRX", "005930.KRX"]
    assert [str(i) for i in universe.traded["churn"]] == order
    assert (universe.start_ns, universe.end_ns) == (OPEN_NS, OPEN_NS + HOUR_NS)
    assert universe.facts[SHARE].base_price_raw == 10_000 * 10**16
    assert universe.streams == ()
    assert universe.slices == {}


@pytest.mark.parametrize("name", ["990009.KRX", "77*.KRX", "BTCUSDT.BINANCE", "990001.krx"])
def test_a_name_that_means_nothing_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none of the venue's instruments") as caught:
        universe_of(named(tmp_path, "990001.KRX", name))
    assert name in str(caught.value)


def test_a_run_that_is_over_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="before it could begin"):
        universe_of(named(tmp_path, "990001.KRX"), end_ns=OPEN_NS)


# --- streams ---


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("trades", StreamKind.TRADES),
        ("quotes", StreamKind.QUOTES),
        ("book", StreamKind.DELTAS),
        ("1-SECOND", StreamKind.BARS),
        ("5-MINUTE", StreamKind.BARS),
        ("1-HOUR", StreamKind.BARS),
        ("1-DAY", StreamKind.BARS),
    ],
)
def test_streams_that_kis_gives(text: str, kind: StreamKind, tmp_path: Path) -> None:
    found, topic, instrument_id = live_topic(text, SHARE, named(tmp_path, "990001.KRX"))
    assert (found, instrument_id) == (kind, SHARE)
    if kind is StreamKind.BARS:
        assert BarType.from_str(topic).instrument_id == SHARE


_PARTS = st.sampled_from(["1", "2", "-", "MINUTE", "DAY", "WEEK", "LAST", "MID", "TICK", " ", "@"])


@given(st.lists(_PARTS, max_size=5).map("".join) | st.text(max_size=8))
def test_any_other_name_is_refused_or_bars_of_this_very_share(text: str) -> None:
    scenario = Scenario(None, None, None, None, "", "s.toml")  # only where it stands is looked at
    try:
        kind, topic, instrument_id = live_topic(text, SHARE, scenario)
    except BadInput as error:
        assert "s.toml" in str(error)
        return
    assert instrument_id == SHARE
    if kind is StreamKind.BARS:
        assert BarType.from_str(topic).instrument_id == SHARE


# --- slots ---


@pytest.mark.parametrize(
    ("streams", "slots"),
    [
        (("trades",), 2),
        (("trades", "1-MINUTE", "1-DAY"), 2),
        (("trades", "quotes"), 2),  # the strategy has no handler for quotes
    ],
)
def test_a_share_takes_one_slot_for_trades_and_bars(streams, slots, tmp_path: Path) -> None:
    universe = universe_of(named(tmp_path, "990001.KRX", "990002.KRX", streams=streams))
    side(tmp_path, limits={"registrations": slots + 1}).check_slots(universe)
    with pytest.raises(BadInput, match=f"hear {slots} streams .* registers {slots} in all"):
        side(tmp_path, limits={"registrations": slots}).check_slots(universe)


# --- money ---


@pytest.mark.parametrize("amount", [1, 99_999_999, 100_000_000, 10**12])
def test_other_balances_are_another_scenario_and_the_rest_stays(amount, tmp_path: Path) -> None:
    scenario = named(tmp_path, "990001.KRX")
    other = with_balances(scenario, {krx.VENUE: [f"{amount} KRW"], "BINANCE": ["1 USDT"]})
    assert list(other.table.venues) == [krx.VENUE]
    assert other.table.venues[krx.VENUE].balances == [f"{amount} KRW"]
    assert (other.canonical == scenario.canonical) is (amount == 100_000_000)
    assert other.table.strategies == scenario.table.strategies
    assert scenario.table.venues[krx.VENUE].balances == ["100000000 KRW"]
    assert with_balances(other, {krx.VENUE: ["100000000 KRW"]}) == scenario
    assert with_balances(scenario, {}) == scenario


# --- consent ---


@pytest.mark.parametrize(
    ("simulator", "env", "play"),
    [(True, "real", "simulator"), (True, "mock", "simulator"), (False, "mock", "mock investment")],
)
def test_where_no_real_money_moves_nobody_is_asked(simulator, env, play, tmp_path) -> None:
    stakes = side(tmp_path, simulator=simulator, ENV=env).stakes()
    assert play in stakes.play
    require_consent(stakes, given=False)


def test_real_money_moves_only_with_consent_and_the_account_is_masked(tmp_path: Path) -> None:
    stakes = side(tmp_path).stakes()
    assert stakes.play == ""
    assert stakes.account == "****78-01"
    require_consent(stakes, given=True)
    with pytest.raises(BadInput, match=FLAG) as caught:
        require_consent(stakes, given=False)
    assert "12345678" not in str(caught.value)


def test_what_is_shown_are_limits_shares_and_the_worst_day(tmp_path: Path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = churning(tmp_path, instruments="990001.KRX")
    limits = 'order_max = ["1_000_000 KRW"]\nbrakes.daily_loss_max = ["500_000 KRW"]\n'
    limits += 'base = "KRW"\nbrakes.daily_loss_total = "700_000 KRW"\n'
    limits += 'kill_switch.at = "2026-03-09T15:00:00+09:00"\n'
    path.write_text(path.read_text().replace("[capital]\n", f"[capital]\n{limits}"))
    universe = universe_of(load_scenario(path))
    show_stakes(universe, STAKES, Screen())
    said = capsys.readouterr().out
    words = (
        "KIS at here",
        "500_000 KRW",
        "****78-01",
        "990001.KRX",
        "1_000_000 KRW",
        "weight 0.9",
        "yes",
    )
    for word in words:
        assert word in said
    worst = worst_of(universe)["KRW"]
    assert f"{worst.loss_raw // 10**16:,} KRW" in said.replace("_", ",")


# --- the window ---


@pytest.mark.parametrize(
    ("now_ns", "end_ns", "expected"),
    [
        (OPEN_NS, None, SESSION.close_ns + 90 * 10**9),
        (OPEN_NS + HOUR_NS, OPEN_NS + 2 * HOUR_NS, OPEN_NS + 2 * HOUR_NS),
        (OPEN_NS - HOUR_NS, None, SESSION.close_ns + 90 * 10**9),
        (OPEN_NS, SESSION.close_ns + HOUR_NS, SESSION.close_ns + 90 * 10**9),
    ],
)
def test_a_run_ends_after_the_close_or_when_it_was_told(now_ns, end_ns, expected) -> None:
    assert window_of(now_ns, end_ns) == Window(SESSION, expected)


def test_after_the_close_the_next_session_is_meant() -> None:
    window = window_of(SESSION.close_ns + HOUR_NS, None)
    assert window.session.open_ns == OPEN_NS + 24 * HOUR_NS


def test_a_time_beyond_all_calendars_is_told() -> None:
    with pytest.raises(BadInput, match=r"knows no session|calendar"):
        window_of(4_000_000_000 * 10**9, None)


def test_a_pattern_leaves_out_what_cannot_be_traded_and_a_name_does_not(tmp_path, capsys) -> None:
    facts = PriceFacts(
        price=10_000,
        base=10_000,
        upper=13_000,
        lower=7_000,
        tick=10,
        lot=1,
        volume=0,
        sector="",
        market="KOSPI",
        standing="00",
        warning="00",
        halted=False,
        liquidation=False,
        overheated=False,
        administrative=False,
        in_vi=False,
        listed_shares=1_000,
    )
    listings = {
        code: listing_of(code, replace(facts, halted=code == "990002")) for code in CODES[:2]
    }
    one = side(tmp_path)
    assert one.tradable(named(tmp_path, "99*.KRX"), listings) == ["990001"]
    assert "990002.KRX is left out" in capsys.readouterr().out
    assert one.tradable(named(tmp_path, "99*.KRX", "990002.KRX"), listings) == list(CODES[:2])
