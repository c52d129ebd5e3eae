"""The live shell on an engine made by hand, and once on the engine itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from hosted import BTC, FACTS, Purse, Scripted, buy, once
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountId,
    ClientOrderId,
    InstrumentId,
    Money,
    OrderAccepted,
    OrderDenied,
    PositionSide,
    Quantity,
    StrategyId,
    TraderId,
    VenueOrderId,
)

from catalog.journal import MemoryJournal
from scenarios.live_host import LiveHost
from strategies.errors import InvariantBroken, JournalFailed
from strategies.host.core import Host
from strategies.host.faults import OnDeciderFailure
from strategies.host.market import Subscription
from strategies.host.marks import LastPrices
from strategies.market_time import REAL, MarketTime
from strategies.messages import (
    Alert,
    Cancel,
    CancelOrder,
    CashCorrection,
    KillAction,
    KillSwitch,
    Notice,
    NoticeLevel,
    OrderNamed,
    OrderState,
    OrderUpdate,
    PositionUpdate,
    Revoke,
    Wake,
)
from strategies.ports import Kind, StreamKind

XRP = InstrumentId.from_str("XRPUSDT-PERP.BINANCE")
OTHER = ClientOrderId("OTHER")


class KeptJournal(MemoryJournal):
    """Remembers how much was committed; fails where told to."""

    def __init__(self) -> None:
        super().__init__()
        self.committed = 0
        self.full = False

    def flush(self) -> None:
        if self.full:
            raise JournalFailed("the disk is full; make room and start again.")
        self.committed = len(self.entries)


@dataclass
class EngineClock:
    """The engine's clock: wall time, alarms that the test lets ring."""

    now_ns: int = 0
    alarms: dict[str, tuple[int, Callable[[Any], None]]] = field(default_factory=dict)

    def timestamp_ns(self) -> int:
        return self.now_ns

    def set_time_alert_ns(
        self, name: str, due_ns: int, callback: Callable[[Any], None], *, allow_past: bool
    ) -> None:
        assert allow_past
        self.alarms[name] = (due_ns, callback)

    def ring(self) -> None:
        """Let the earliest alarm ring when it is due."""
        name = min(self.alarms, key=lambda each: self.alarms[each][0])
        self.now_ns, callback = self.alarms.pop(name)
        callback(SimpleNamespace(ts_event=self.now_ns))


class HandMade(LiveHost):
    """A live host whose engine is a list of what it was told."""

    def __init__(
        self,
        journal: KeptJournal,
        on_failed: Callable[[BaseException], None],
        market_time: MarketTime = REAL,
        cancel_stray: Callable[[CancelOrder], None] | None = None,
    ) -> None:
        super().__init__(journal, on_failed, market_time, cancel_stray)
        self.told: list[tuple[str, object, int]] = []
        self.wall = EngineClock()
        self.kept = journal

    @property
    def clock(self) -> EngineClock:
        return self.wall

    @property
    def order_factory(self) -> Any:
        return SimpleNamespace(market=lambda *_, client_order_id: client_order_id)

    def submit_order(self, order: Any) -> None:
        self.told.append(("submit", order, self.kept.committed))

    def cancel_order(self, order_id: Any) -> None:
        self.told.append(("cancel", order_id, self.kept.committed))

    def subscribe_trades(self, instrument_id: Any) -> None:
        self.told.append(("subscribe", instrument_id, 0))


class Node:
    """A live host with a host of scripted strategies in it."""

    def __init__(self, *strategies: Scripted, purse: Purse | None = None, **around: Any) -> None:
        self.journal = KeptJournal()
        self.failures: list[BaseException] = []
        self.shell = HandMade(self.journal, self.failures.append, **around)
        self.host = Host(
            strategies=strategies,
            capital=purse or Purse(),
            marks=LastPrices(FACTS),
            subscriptions=[
                Subscription(StreamKind.TRADES, str(BTC), BTC, tuple(s.name for s in strategies))
            ],
            journal=self.journal,
            orders=self.shell,
            clock=self.shell,
            salt="live",
            on_decider_failure=OnDeciderFailure.ISOLATE,
        )
        self.shell.attach(self.host)

    def kinds(self) -> list[Kind]:
        """Return the kinds of what was journalled."""
        return [entry.kind for entry in self.journal.entries]

    def last(self) -> Any:
        """Return the message of the last entry."""
        return self.journal.entries[-1].message

    def told(self, what: str) -> list[tuple[str, object, int]]:
        """Return what the engine was told of one sort."""
        return [each for each in self.shell.told if each[0] == what]


def update(order_id: ClientOrderId, state: OrderState = OrderState.ACCEPTED) -> OrderUpdate:
    return OrderUpdate("a", order_id, BTC, state, "", 7)


def denied(order_id: ClientOrderId, ts_ns: int) -> OrderDenied:
    return OrderDenied(
        TraderId("T-1"), StrategyId("S-1"), BTC, order_id, "too much", UUID4(), ts_ns, ts_ns
    )


def accepted(order_id: ClientOrderId, name: str, ts_ns: int) -> OrderAccepted:
    return OrderAccepted(
        TraderId("T-1"),
        StrategyId("S-1"),
        BTC,
        order_id,
        VenueOrderId(name),
        AccountId("KIS-1"),
        UUID4(),
        ts_ns,
        ts_ns,
        False,  # noqa: FBT003 - the engine takes it by place
    )


# --- write ahead ---


def test_everything_that_led_to_a_command_is_committed_before_it_leaves() -> None:
    node = Node(Scripted("a", start=once(buy(), buy(), Cancel(BTC, "c"))))
    node.shell.on_start()
    sent = [(what, committed) for what, _, committed in node.shell.told if what != "subscribe"]
    commands = [i + 1 for i, kind in enumerate(node.kinds()) if kind is Kind.COMMAND]
    assert sent == list(zip(["submit", "submit", "cancel", "cancel"], commands, strict=True))


def test_a_journal_that_cannot_be_written_lets_no_order_out_and_stops_the_node() -> None:
    node = Node(Scripted("a", timer=lambda _: [buy()], start=once(Wake("w", 5, "r"))))
    node.shell.on_start()
    node.journal.full = True
    node.shell.wall.ring()
    assert node.told("submit") == []
    assert [type(error) for error in node.failures] == [JournalFailed]
    before = len(node.journal.entries)
    node.shell.pull(KillSwitch(KillAction.PULL, "people", 9))
    node.shell.commit()
    assert len(node.journal.entries) == before
    assert len(node.failures) == 1


def test_a_commit_that_fails_between_commands_stops_the_node_too() -> None:
    node = Node(Scripted("a"))
    node.shell.on_start()
    node.journal.full = True
    node.shell.commit()
    assert [type(error) for error in node.failures] == [JournalFailed]


def test_what_no_command_waits_for_is_committed_at_the_next_beat() -> None:
    node = Node(Scripted("a", start=once(Alert("here"))))
    node.shell.on_start()
    assert node.journal.committed == 0
    node.shell.commit()
    assert node.journal.committed == len(node.journal.entries) == 2


# --- entry points ---


def test_what_is_reported_before_the_start_is_delivered_after_it() -> None:
    node = Node(Scripted("a"))
    notice = Notice("KRX", NoticeLevel.INFO, "cash is equal", 3)
    node.shell.report(notice)
    assert node.kinds() == []
    node.shell.on_start()
    assert node.kinds() == [Kind.STARTED, Kind.NOTICE]
    assert node.last() == notice


def test_people_pull_the_kill_switch() -> None:
    node = Node(Scripted("a", start=once(buy())), purse=(purse := Purse()))
    node.shell.on_start()
    ((_, order_id, _),) = node.told("submit")
    purse.answers[KillSwitch] = [Revoke("a", order_id, BTC, "kill")]
    node.shell.pull(KillSwitch(KillAction.PULL, "people", 9))
    assert node.told("cancel")[0][1] == order_id


def test_after_stop_taking_cancels_leave_and_new_orders_are_denied_at_the_next_beat() -> None:
    def insist(news: OrderUpdate) -> list[Any]:
        return [buy()] if news.state is OrderState.DENIED else []

    node = Node(
        Scripted(
            "a",
            start=once(buy(), Wake("w", 5, "r")),
            timer=lambda _: [buy(), Cancel(BTC, "c")],
            order=insist,
        )
    )
    node.shell.on_start()
    ((_, first, _),) = node.told("submit")
    node.shell.stop_taking()
    node.shell.wall.ring()
    assert len(node.told("submit")) == 1
    assert [each[1] for each in node.told("cancel")] == [first]  # not of what never left
    for beat in range(1, 4):
        node.shell.commit()
        denials = [e.message for e in node.journal.entries if e.kind is Kind.ORDER]
        assert [d.state for d in denials] == [OrderState.DENIED] * beat  # type: ignore[attr-defined]  # order updates
    assert len(node.told("submit")) == 1
    assert node.failures == []


def test_the_hosts_own_defect_is_told_once_and_nothing_is_delivered_after_it() -> None:
    class Broken(Purse):
        def on_cash(self, correction: CashCorrection) -> list[Any]:
            raise ZeroDivisionError

    node = Node(Scripted("a"), purse=Broken())
    node.shell.on_start()
    correction = CashCorrection("BINANCE", Money.from_str("1 USDT"), "fees", 5)
    node.shell.report(correction)
    node.shell.report(correction)
    assert [type(error) for error in node.failures] == [ZeroDivisionError]
    assert node.shell.failure is node.failures[0]
    assert node.kinds() == [Kind.STARTED, Kind.CASH]


def test_a_strategy_that_fails_does_not_stop_the_node() -> None:
    node = Node(Scripted("a", start=lambda _: [1 // 0]), Scripted("b", start=once(buy())))
    node.shell.on_start()
    assert node.failures == []
    assert list(node.host.stopped) == ["a"]
    assert len(node.told("submit")) == 1


# --- what is not of this run ---


@pytest.mark.parametrize(
    "report",
    [
        update(OTHER),
        update(OTHER, OrderState.CANCELED),
        PositionUpdate(
            XRP, PositionSide.LONG, Quantity.from_str("1"), "1.0", Money.from_str("0 USDT"), 7
        ),
    ],
    ids=["accepted", "canceled", "position"],
)
def test_news_that_are_not_of_this_run_become_a_notice(report: Any) -> None:
    node = Node(Scripted("a"))
    node.shell.on_start()
    node.shell.report(report)
    assert node.failures == []
    notice = node.last()
    assert (type(notice), notice.source, notice.ts_ns) == (Notice, "BINANCE", 7)
    assert "is not of this run" in notice.text
    with pytest.raises((InvariantBroken, KeyError)):
        node.host.on_report(report if not isinstance(report, PositionUpdate) else update(OTHER))


def test_the_engines_news_of_a_foreign_order_become_a_notice() -> None:
    node = Node(Scripted("a"))
    node.shell.on_start()
    node.shell.on_order_accepted(accepted(OTHER, "X1", 8))
    node.shell.on_order_denied(denied(OTHER, 8))
    node.shell.on_position_event(SimpleNamespace(instrument_id=XRP, ts_event=8))
    assert node.kinds() == [Kind.STARTED, *[Kind.NOTICE] * 3]
    assert node.failures == []


def test_an_orders_name_at_its_venue_is_journalled_once() -> None:
    node = Node(Scripted("a", start=once(buy())))
    node.shell.on_start()
    ((_, order_id, _),) = node.told("submit")
    assert isinstance(order_id, ClientOrderId)
    name = "20261120-00950-17"
    node.shell.report(OrderNamed(order_id, name, 6))
    node.shell.on_order_accepted(accepted(order_id, name, 7))
    named = [e.message for e in node.journal.entries if e.kind is Kind.NAMED]
    assert named == [OrderNamed(order_id, name, 6)]
    node.shell.on_order_accepted(accepted(order_id, "20261120-00950-18", 9))
    assert node.kinds()[-2:] == [Kind.NAMED, Kind.ORDER]


@pytest.mark.parametrize("told", [True, False])
def test_an_order_that_was_given_up_and_lives_is_cancelled_beside_the_engine(told: bool) -> None:
    strays: list[CancelOrder] = []
    node = Node(
        Scripted("a", start=once(buy(), Wake("w", 5, "r")), timer=lambda _: [Cancel(BTC, "c")]),
        cancel_stray=strays.append if told else None,
    )
    node.shell.on_start()
    ((_, order_id, _),) = node.told("submit")
    assert isinstance(order_id, ClientOrderId)
    node.shell.report(update(order_id, OrderState.REJECTED))
    node.shell.report(update(order_id, OrderState.ACCEPTED))
    node.shell.wall.ring()
    assert node.told("cancel") == []
    assert node.journal.committed >= node.kinds().index(Kind.COMMAND)
    if told:
        assert strays == [CancelOrder(order_id, BTC)]
    else:
        assert node.last().level is NoticeLevel.FAULT
        assert "cancel it at the venue" in node.last().text
    assert node.failures == []


# --- market time ---


def test_the_host_lives_on_market_time_and_the_engines_alarms_on_the_wall() -> None:
    time = MarketTime(1_000, 900_000, Fraction(10))
    node = Node(Scripted("a", start=once(buy(), Wake("w", 900_605, "r"))), market_time=time)
    node.shell.wall.now_ns = 1_000
    node.shell.on_start()
    assert node.journal.entries[0].ts_ns == 900_000
    ((due_ns, _),) = node.shell.wall.alarms.values()
    assert due_ns == 1_061
    node.shell.wall.ring()
    assert (node.last().due_ns, node.last().ts_ns) == (900_605, 900_610)
    ((_, order_id, _),) = node.told("submit")
    assert isinstance(order_id, ClientOrderId)
    node.shell.on_order_accepted(accepted(order_id, "1", 900_300))
    assert node.last().ts_ns == 900_300  # a venue speaks market time
    node.shell.on_order_denied(denied(order_id, 1_100))
    assert node.last().ts_ns == 901_000  # the engine itself the wall's
    node.shell.wall.now_ns = 2_000
    assert node.shell.now_ns() == 910_000


def test_an_alarm_beyond_the_end_of_time_is_set_at_it() -> None:
    time = MarketTime(1 << 61, 0, Fraction(1, 3))
    node = Node(Scripted("a", start=once(Wake("w", (1 << 63) - 1, "r"))), market_time=time)
    node.shell.wall.now_ns = 1 << 61
    node.shell.on_start()
    ((due_ns, _),) = node.shell.wall.alarms.values()
    assert due_ns == (1 << 63) - 1
    assert node.failures == []
