"""Every brake by hand: what pulls it, what it holds, and its way back; then stages and restarts."""

from decimal import Decimal

import pytest
from books import (
    BTC,
    BUY,
    HOUR_NS,
    SAMSUNG,
    Books,
    granted,
    krx_facts,
    perp_facts,
    quantity,
    refused,
)
from nautilus_trader.model import Money, PositionSide

from strategies.capital.config import (
    PPB,
    SECOND_NS,
    AllocationRules,
    BrakeRules,
    ConversionRules,
    LimitRules,
    Method,
    StageRules,
)
from strategies.errors import InvariantBroken
from strategies.markets.facts import RAW_ONE
from strategies.messages import (
    AllocationSet,
    BrakePulled,
    BrakeReleased,
    CapitalIntent,
    CashCorrection,
    Enter,
    Exit,
    Flatten,
    KillAction,
    KillSwitch,
    Limit,
    OrderState,
    Refusal,
    Revoke,
    StageChanged,
    StrategySample,
    StrategyStopped,
    Target,
    TotalSample,
    VenueSample,
    Wake,
)

MINUTE_NS = 60 * SECOND_NS
NO_PACE = LimitRules(orders_per_second=0, stale_after_ns=0)


def books(**rules: object) -> Books:
    """Two strategies with half each of 10,000,000 KRW and 100,000 USDT, sampled every minute."""
    made = Books(krx_facts(), perp_facts(), limits=NO_PACE, sample_ns=MINUTE_NS, **rules)
    made.now_ns = 24 * HOUR_NS
    made.mark(SAMSUNG, "70000")
    made.mark(BTC, "50000.0")
    made.start()
    return made


def kinds(said: list[CapitalIntent], *wanted: type) -> list[object]:
    return [each for each in said if isinstance(each, wanted)]


def sample(made: Books, minutes: int = 1) -> list[CapitalIntent]:
    return made.ring("sample", made.now_ns + minutes * MINUTE_NS)


def hold(made: Books, who: str, symbol: object, size: str, at: str) -> None:
    made.fill(granted(made.ask(who, Enter(symbol, BUY, "r", quantity(size)))), at)


def leave(made: Books, who: str, symbol: object, at: str, fee: str = "0") -> list[CapitalIntent]:
    before = len(made.said)
    made.fill(granted(made.ask(who, Exit(symbol, "r"))), at, fee=fee)
    return made.said[before:]


def no_to(made: Books, who: str = "a", symbol: object = BTC) -> Refusal:
    return refused(
        made.ask(who, Enter(symbol, BUY, "r", quantity("1" if symbol == SAMSUNG else "0.1")))
    )


# --- drawdown ---


def test_drawdown_scales_in_steps_and_lets_go() -> None:
    steps = ((100, Decimal("0.5")), (300, Decimal(0)))
    made = books(brakes=BrakeRules(drawdown_steps=steps))
    hold(made, "a", BTC, "0.9", "50000.0")
    sample(made)
    made.mark(BTC, "48889.0")  # 0.9 x 1,111 = 999.9 of 100,000: just below 1 %
    assert not kinds(sample(made), BrakePulled)
    made.mark(BTC, "48888.0")  # 1,000.8
    (pulled,) = kinds(sample(made), BrakePulled)
    assert (pulled.scope, pulled.factor_ppb) == ("venue BINANCE", PPB // 2)
    assert pulled.reason == (
        "equity 98999.20000000 USDT is 1 % below its peak 100000.00000000 USDT: allocations "
        "times 0.5"
    )
    # b had 50,000 and now has 25,000; KRX is not held
    assert made.capital.allocation_raw("b", made.ledgers["BINANCE"]) == 25_000 * RAW_ONE
    assert made.capital.allocation_raw("b", made.ledgers["KRX"]) == 5_000_000 * RAW_ONE
    made.mark(BTC, "46600.0")  # 3,060
    (pulled,) = kinds(sample(made), BrakePulled)
    assert pulled.factor_ppb == 0
    assert no_to(made, "b").limit is Limit.BRAKE
    granted(made.ask("a", Exit(BTC, "out")))
    made.mark(BTC, "48300.0")  # 1,530 is above half of 3 %: the deep step holds
    assert not kinds(sample(made), BrakePulled, BrakeReleased)
    made.mark(BTC, "48400.0")  # 1,440 lets the deep step go, not the first
    (pulled,) = kinds(sample(made), BrakePulled)
    assert pulled.factor_ppb == PPB // 2
    made.mark(BTC, "49500.0")  # 450 is below half of 1 %
    assert kinds(sample(made), BrakeReleased)
    assert made.capital.allocation_raw("b", made.ledgers["BINANCE"]) == 50_000 * RAW_ONE


def test_a_drawdown_that_cannot_recover_starts_anew_after_its_time() -> None:
    rules = BrakeRules(drawdown_steps=((100, Decimal(0)),), drawdown_reset_ns=10 * MINUTE_NS)
    made = books(brakes=rules)
    hold(made, "a", BTC, "0.9", "50000.0")
    sample(made)
    made.mark(BTC, "48000.0")
    assert kinds(sample(made), BrakePulled)
    leave(made, "a", BTC, "48000.0")
    assert not kinds(sample(made, 9), BrakeReleased)
    assert kinds(sample(made), BrakeReleased)


# --- daily loss ---


def test_a_strategys_daily_loss_stops_it_until_the_next_day() -> None:
    made = books(brakes=BrakeRules(strategy_loss_raw={"USDT": 500 * RAW_ONE}))
    sample(made)
    hold(made, "a", BTC, "0.5", "50000.0")
    # 0.5 x 900 = 450 and a fee of 49.99: one cent too little
    assert not kinds(leave(made, "a", BTC, "49100.0", "49.99"), BrakePulled)
    hold(made, "a", BTC, "0.5", "50000.0")
    (pulled,) = kinds(leave(made, "a", BTC, "50000.0", "0.01"), BrakePulled)
    assert (pulled.scope, pulled.until_ns) == ("strategy a", 48 * HOUR_NS)
    assert pulled.reason == ("a lost 500.00000000 USDT today, the limit is 500.00000000 USDT")
    assert no_to(made, "a").limit is Limit.BRAKE
    granted(made.ask("b", Enter(BTC, BUY, "r", quantity("0.1"))))
    assert kinds(made.said, Wake)[-1].at_ns == 48 * HOUR_NS
    assert kinds(made.ring("brakes", 48 * HOUR_NS), BrakeReleased)
    granted(made.ask("a", Enter(BTC, BUY, "r", quantity("0.1"))))
    # The new day counts from where it began.
    assert not kinds(sample(made), BrakePulled)


def test_open_losses_count_at_samples() -> None:
    made = books(brakes=BrakeRules(daily_loss_raw={"USDT": 500 * RAW_ONE}))
    sample(made)
    hold(made, "a", BTC, "0.3", "50000.0")
    hold(made, "b", BTC, "0.3", "50000.0")
    made.mark(BTC, "49167.0")  # 0.6 x 833 = 499.8
    assert not kinds(sample(made), BrakePulled)
    made.mark(BTC, "49166.0")
    (pulled,) = kinds(sample(made), BrakePulled)
    assert (pulled.brake, pulled.scope) == ("daily_loss", "all")
    assert no_to(made, "a", SAMSUNG).limit is Limit.BRAKE


@pytest.mark.parametrize(("rate", "stops"), [("1379", False), ("1380", True)])
def test_the_total_loss_is_converted(rate: str, stops: bool) -> None:
    made = books(
        brakes=BrakeRules(daily_loss_total=Money.from_str("790000 KRW")),
        conversion=ConversionRules(base="KRW", rates={"USDT": Decimal(rate)}),
    )
    sample(made)
    hold(made, "a", SAMSUNG, "50", "70000")
    hold(made, "b", BTC, "0.5", "50000.0")
    made.mark(SAMSUNG, "68000")  # 100,000 KRW
    made.mark(BTC, "49000.0")  # 500 USDT x 1,380 = 690,000 KRW
    assert bool(kinds(sample(made), BrakePulled)) is stops


def test_the_rate_may_be_a_recorded_price() -> None:
    made = books(
        brakes=BrakeRules(daily_loss_total=Money.from_str("35000 KRW")),
        conversion=ConversionRules(base="KRW", rates={"USDT": SAMSUNG}),
    )
    sample(made)
    hold(made, "b", BTC, "0.5", "50000.0")
    made.mark(BTC, "49999.0")  # 0.5 USDT x 70,000 KRW
    assert kinds(sample(made), BrakePulled)


# --- losing streak ---


def test_a_losing_streak_cools_down() -> None:
    rules = BrakeRules(losing_streak=2, cooldown_ns=30 * MINUTE_NS)
    made = books(brakes=rules)
    for at, fee in (("49999.0", "0"), ("50000.0", "0"), ("50000.0", "0.01")):
        hold(made, "a", BTC, "0.1", "50000.0")
        assert not kinds(leave(made, "a", BTC, at, fee), BrakePulled)
    hold(made, "a", BTC, "0.1", "50000.0")
    (pulled,) = kinds(leave(made, "a", BTC, "49999.0"), BrakePulled)
    assert (pulled.scope, pulled.reason) == (
        "strategy a",
        "a lost 2 times in a row: it rests 1800 s",
    )
    assert no_to(made).limit is Limit.BRAKE
    assert not kinds(made.ring("brakes", made.now_ns + 30 * MINUTE_NS - 1), BrakeReleased)
    assert kinds(made.ring("brakes", made.now_ns + 1), BrakeReleased)
    hold(made, "a", BTC, "0.1", "50000.0")
    assert not kinds(leave(made, "a", BTC, "49999.0"), BrakePulled)


def test_a_turn_ends_a_round_trip() -> None:
    made = books(brakes=BrakeRules(losing_streak=1))
    hold(made, "a", BTC, "0.1", "50000.0")

    turn = granted(made.ask("a", Target(BTC, PositionSide.SHORT, "r", quantity("0.1"))))
    before = len(made.said)
    made.fill(turn, "49000.0")
    assert kinds(made.said[before:], BrakePulled)


# --- kill switch ---


def pull(made: Books, action: KillAction) -> list[CapitalIntent]:
    switch = KillSwitch(action, "people", made.now_ns)
    return made.hear(switch, made.capital.on_kill(switch))


def test_the_kill_switch_cancels_refuses_and_lets_go() -> None:
    made = books()
    hold(made, "a", SAMSUNG, "10", "70000")
    resting = granted(made.ask("b", Enter(BTC, BUY, "r", quantity("0.1"))))
    said = pull(made, KillAction.PULL)
    (revoke,) = kinds(said, Revoke)
    assert (revoke.strategy, revoke.order_id) == ("b", resting.order_id)
    assert not kinds(said, Flatten)
    assert no_to(made, "a").allowed == "none: kill_switch, people"
    granted(made.ask("a", Exit(SAMSUNG, "out")))
    assert kinds(pull(made, KillAction.RELEASE), BrakeReleased)
    made.end(resting)
    granted(made.ask("b", Enter(BTC, BUY, "r", quantity("0.1"))))


def test_flatten_closes_what_is_held_and_what_fills_late() -> None:
    made = books()
    hold(made, "a", SAMSUNG, "10", "70000")
    hold(made, "b", BTC, "0.1", "50000.0")
    leaving = granted(made.ask("b", Exit(BTC, "on its way")))
    entering = granted(made.ask("a", Enter(BTC, BUY, "r", quantity("0.1"))))
    said = pull(made, KillAction.FLATTEN)
    assert [(each.strategy, each.instrument_id) for each in kinds(said, Flatten)] == [
        ("a", SAMSUNG)
    ]
    assert len(kinds(said, Revoke)) == 2
    # The exit under way is cancelled: now its position is closed. The entry fills all the same.
    assert [each.strategy for each in kinds(made.end(leaving), Flatten)] == ["b"]
    before = len(made.said)
    made.fill(entering, "50000.0")
    assert [each.strategy for each in kinds(made.said[before:], Flatten)] == ["a"]
    out = granted(made.ask("a", Exit(BTC, "closed by the switch")))
    # A venue that rejects is not asked again at once, but at the next sample.
    assert not kinds(made.end(out, OrderState.REJECTED), Flatten)
    assert ("a", BTC) in [(f.strategy, f.instrument_id) for f in kinds(sample(made), Flatten)]


def test_the_drill_pulls_and_releases_at_its_times() -> None:
    rules = BrakeRules(kill_at_ns=25 * HOUR_NS, kill_flattens=True, release_at_ns=26 * HOUR_NS)
    made = books(brakes=rules)
    wakes = {each.name: each.at_ns for each in kinds(made.said, Wake)}
    assert (wakes["kill-switch"], wakes["kill-switch-release"]) == (25 * HOUR_NS, 26 * HOUR_NS)
    hold(made, "a", SAMSUNG, "10", "70000")
    assert len(kinds(made.ring("kill-switch", 25 * HOUR_NS), Flatten)) == 1
    assert no_to(made).limit is Limit.BRAKE
    assert len(kinds(made.ring("kill-switch-release", 26 * HOUR_NS), BrakeReleased)) == 2


# --- strategies that failed, orders that live after all, cash that venues correct ---


def failed(made: Books, strategy: str) -> list[CapitalIntent]:
    stopped = StrategyStopped(strategy, "KeyError: 'lost'", "", made.now_ns)
    return made.hear(stopped, made.capital.on_stopped(stopped))


def test_a_strategy_that_failed_takes_no_new_risk_and_can_be_closed() -> None:
    made = books()
    hold(made, "a", SAMSUNG, "10", "70000")
    (pulled,) = failed(made, "a")
    assert pulled == BrakePulled(
        "strategy_failed", "strategy a", 0, 0, "the strategy failed: KeyError: 'lost'"
    )
    assert no_to(made, "a").limit is Limit.BRAKE
    granted(made.ask("b", Enter(BTC, BUY, "r", quantity("0.1"))))
    pull(made, KillAction.FLATTEN)
    granted(made.ask("a", Exit(SAMSUNG, "closed by the switch")))
    pull(made, KillAction.RELEASE)
    assert no_to(made, "a").allowed.startswith("none: strategy_failed")
    assert made.folded().capital.board.pulled == made.capital.board.pulled


def test_an_order_that_lives_after_all_holds_money_again() -> None:
    made = books()
    order = granted(made.ask("a", Enter(BTC, BUY, "r", quantity("0.1"))))
    ledger = made.ledgers["BINANCE"]
    held = ledger.total_reserved_raw()
    made.end(order, OrderState.REJECTED)
    assert ledger.total_reserved_raw() == 0
    assert made.end(order, OrderState.ACCEPTED) == []
    assert ledger.total_reserved_raw() == held
    made.end(order)
    made.end(order, OrderState.ACCEPTED)
    assert ledger.total_reserved_raw() == 0


@pytest.mark.parametrize("stop", ["kill", "failed", "none"])
@pytest.mark.parametrize("news", ["accepted", "part", "whole"])
def test_an_order_that_lives_after_all_is_cancelled_where_all_were(stop: str, news: str) -> None:
    made = books()
    order = granted(made.ask("a", Enter(BTC, BUY, "r", quantity("0.1"))))
    made.end(order, OrderState.REJECTED)
    if stop == "kill":
        pull(made, KillAction.PULL)
    elif stop == "failed":
        failed(made, "a")
    before = len(made.said)
    if news == "accepted":
        made.end(order, OrderState.ACCEPTED)
    else:
        made.fill(order, "50000.0", "0.040" if news == "part" else None)
    revoked = kinds(made.said[before:], Revoke)
    wanted = [order.order_id] if stop != "none" and news != "whole" else []
    assert [each.order_id for each in revoked] == wanted


def test_a_correction_of_cash_is_equity_and_nobodys_profit() -> None:
    made = books()
    hold(made, "a", SAMSUNG, "10", "70000")
    before = {s.strategy: s.profit for s in kinds(sample(made), StrategySample)}
    correction = CashCorrection("KRX", Money.from_str("-1234 KRW"), "fees", made.now_ns)
    assert made.hear(correction, made.capital.on_cash(correction)) == []
    said = sample(made)
    assert {s.strategy: s.profit for s in kinds(said, StrategySample)} == before
    (krx,) = [s for s in kinds(said, VenueSample) if s.venue == "KRX"]
    parts = (krx.free, krx.reserved, krx.committed, krx.unsettled)
    assert krx.equity.raw == sum(part.raw for part in parts) == (10_000_000 - 1234) * RAW_ONE
    assert krx.marked == krx.equity
    assert made.capital.allocation_raw("a", made.ledgers["KRX"]) == krx.equity.raw // 2
    assert made.folded().ledgers["KRX"].balances() == made.ledgers["KRX"].balances()


def test_a_correction_in_another_currency_changes_that_balance_alone() -> None:
    made = books()
    equity = made.ledgers["BINANCE"].book_equity_raw()
    made.capital.on_cash(CashCorrection("BINANCE", Money.from_str("0.5 BNB"), "gift", 1))
    assert made.ledgers["BINANCE"].book_equity_raw() == equity
    assert str(made.ledgers["BINANCE"].balances()["BNB"]) == "0.50000000 BNB"


def test_a_correction_of_a_venue_without_money_here_breaks_the_run() -> None:
    correction = CashCorrection("NYSE", Money.from_str("1 USD"), "fees", 1)
    with pytest.raises(InvariantBroken, match="report only venues of the scenario"):
        books().capital.on_cash(correction)


# --- stages ---


def test_a_newcomer_grows_by_stages_and_falls_back() -> None:
    shares = {"a": (Decimal("0.1"), Decimal("0.5"), Decimal(1))}
    made = books(stages=StageRules(shares=shares, trades=2, profit_bps=10, fall_back_bps=100))
    usdt = made.ledgers["BINANCE"]
    assert [(s.stage, s.reason) for s in kinds(made.said, StageChanged)] == [(1, "a newcomer")]
    assert made.capital.allocation_raw("a", usdt) == 5_000 * RAW_ONE
    sample(made)
    for at in ("50000.0", "51000.0"):
        hold(made, "a", BTC, "0.05", "50000.0")
        leave(made, "a", BTC, at)
    # 50 USDT on a full allocation of 50,000 are 10 bps, but KRX has earned nothing
    assert not kinds(sample(made), StageChanged)
    hold(made, "a", SAMSUNG, "7", "70000")
    leave(made, "a", SAMSUNG, "70800")  # 5,600 KRW of 5,000,000 are 11 bps
    said = sample(made)
    (changed,) = kinds(said, StageChanged)
    assert (changed.stage, changed.share_ppb) == (2, PPB // 2)
    assert changed.reason == "3 round trips in 180 s earned 5600 KRW, 50.00000000 USDT"
    given = {(each.venue, each.strategy): each for each in kinds(said, AllocationSet)}
    assert given["BINANCE", "a"].share_ppb == PPB // 4
    assert given["BINANCE", "a"].reason.endswith("times 50.00% of its stage")
    # It lost 500 USDT at this stage: one stage down.
    hold(made, "a", BTC, "0.2", "50000.0")
    leave(made, "a", BTC, "47499.0")
    (changed,) = kinds(sample(made), StageChanged)
    assert changed.stage == 1
    assert changed.reason.startswith("lost 500.20000000 USDT at this stage")
    hold(made, "a", BTC, "0.05", "50000.0")
    leave(made, "a", BTC, "40000.0")
    assert not kinds(sample(made), StageChanged)  # nothing is below the first


# --- rebalancing, samples, restarts ---


def test_shares_move_on_the_timer_and_say_why() -> None:
    rules = AllocationRules(method=Method.INVERSE_VOLATILITY, samples=2, rebalance_ns=4 * MINUTE_NS)
    made = books(allocation=rules)
    hold(made, "a", BTC, "0.1", "50000.0")
    hold(made, "b", BTC, "0.4", "50000.0")
    said = []
    for text in ("50000.0", "50100.0", "50000.0", "50100.0"):
        made.mark(BTC, text)
        said += sample(made)
    moved = [s for s in kinds(said, AllocationSet) if s.venue == "BINANCE"]
    # b moves four times as much as a: 0.8 and 0.2 of the budget of 1
    assert [(s.strategy, s.share_ppb) for s in moved] == [("a", 800_000_000), ("b", 200_000_000)]
    assert moved[0].reason == "inverse_volatility over 3 samples, of a budget of 1.0"
    assert moved[0].amount == Money.from_str("80000 USDT")


def test_samples_say_what_the_ledger_holds() -> None:
    made = books()
    hold(made, "a", SAMSUNG, "10", "70000")
    granted(made.ask("b", Enter(SAMSUNG, BUY, "r", quantity("1"))))
    made.mark(SAMSUNG, "71000")
    said = sample(made)
    one = next(s for s in kinds(said, StrategySample) if (s.venue, s.strategy) == ("KRX", "a"))
    assert (str(one.allocation), str(one.committed), str(one.profit)) == (
        "5000000 KRW",
        "700000 KRW",
        "10000 KRW",
    )
    krx = next(s for s in kinds(said, VenueSample) if s.venue == "KRX")
    assert krx.equity.raw == sum(
        part.raw for part in (krx.free, krx.reserved, krx.committed, krx.unsettled)
    )
    assert (str(krx.marked), str(krx.reserved)) == ("10010000 KRW", "70711 KRW")


def test_a_restart_stands_where_the_old_manager_stood() -> None:
    rules = {
        "brakes": BrakeRules(
            drawdown_steps=((80, Decimal("0.5")),),
            losing_streak=2,
            strategy_loss_raw={"USDT": 1_000 * RAW_ONE},
        ),
        "stages": StageRules(shares={"a": (Decimal("0.2"), Decimal(1))}, trades=1),
        "allocation": AllocationRules(
            method=Method.PERFORMANCE, samples=2, rebalance_ns=2 * MINUTE_NS
        ),
    }
    made = books(**rules)
    for entry, out in (("50000.0", "50500.0"), ("50000.0", "47000.0"), ("50000.0", "47000.0")):
        hold(made, "a", BTC, "0.1", entry)
        hold(made, "b", BTC, "0.2", entry)
        made.mark(BTC, out)
        sample(made)
        leave(made, "b", BTC, out)
        leave(made, "a", BTC, out)
        sample(made)
        made.mark(BTC, "50000.0")
    assert {p.brake for p in kinds(made.said, BrakePulled)} == {
        "drawdown",
        "losing_streak",
        "daily_loss",
    }
    again = made.folded()
    assert again.capital.board.pulled == made.capital.board.pulled
    assert again.capital.stages.standings == made.capital.stages.standings
    again.now_ns = made.now_ns
    for minutes in (1, 1, 2, 60, 24 * 60):
        made.mark(BTC, "49000.0")
        again.mark(BTC, "49000.0")
        made.mark(SAMSUNG, "70000")
        again.mark(SAMSUNG, "70000")
        assert sample(again, minutes) == sample(made, minutes)
        for who in "ab":
            intent = Enter(BTC, BUY, "r")
            one, other = made.ask(who, intent), again.ask(who, intent)
            assert type(one) is type(other)
            assert str(getattr(one, "quantity", one)) == str(getattr(other, "quantity", other))


def test_the_total_of_all_venues_is_converted_and_adds_up() -> None:
    made = books(conversion=ConversionRules(base="KRW", rates={"USDT": Decimal("1380.5")}))
    hold(made, "b", BTC, "0.5", "50000.0")
    made.mark(BTC, "50100.0")
    (total,) = kinds(sample(made), TotalSample)
    assert total.rates == "1 USDT = 1380.5 KRW"
    # 10,000,000 + 100,000 x 1,380.5, and 50 USDT more at the last price
    assert (str(total.equity), str(total.marked)) == ("148050000 KRW", "148119025 KRW")
    assert str(total.committed) == "34512500 KRW"
    parts = (total.free, total.reserved, total.committed, total.unsettled)
    assert total.equity.raw == sum(part.raw for part in parts)
