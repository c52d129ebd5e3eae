"""The host without an engine: numbers every delivery, asks the deciders, the capital manager and
the journal in a fixed order, and hands granted commands on.

Rule: this class decides nothing and knows no engine runtime. A replay, a live node and a
re-execution run the very same code; only what stands behind its ports differs.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import assert_never

from nautilus_trader.model import ClientOrderId, InstrumentId

from strategies.arithmetic import reset
from strategies.errors import DeciderFailed, InvariantBroken, OnetapeError
from strategies.host.deciders import AnyStrategy, Deciders
from strategies.host.faults import OnDeciderFailure
from strategies.host.market import Answering, Market, MarketEvent, Subscription
from strategies.host.marks import LastPrices
from strategies.host.orders import KnownOrders, repeated
from strategies.messages import (
    ENDED,
    Alert,
    Cancel,
    CancelOrder,
    CapitalIntent,
    CashCorrection,
    Enter,
    Exit,
    Fill,
    Flatten,
    Gap,
    Grant,
    Intent,
    JournalOnly,
    KillSwitch,
    MoneyIntent,
    Notice,
    OrderNamed,
    OrderState,
    OrderUpdate,
    PositionUpdate,
    Refusal,
    RepeatedFill,
    Report,
    Revoke,
    Started,
    StrategyStopped,
    Submit,
    Target,
    TimerFired,
    Wake,
)
from strategies.ports import (
    ID_BITS,
    CapitalManager,
    Clock,
    Feed,
    Journal,
    Kind,
    Orders,
    StreamKind,
)

CAPITAL = "capital"
MESSAGES_PER_DELIVERY_MAX = 1 << ID_BITS
FOLLOW_UPS_MAX = 1_000
"""How often an answer to a refusal may be refused and answered again before we call it a loop."""


@dataclass(slots=True)
class Counts:
    """How much happened in a run, for its summary."""

    decisions: int = 0
    orders: int = 0
    fills: int = 0
    refusals: int = 0
    stopped: int = 0


class Host:
    """One run's deciders, in scenario order, behind one counter.

    ``salt`` enters every client order id, so that ids of different scenarios never meet.
    ``on_decider_failure`` says what a strategy's exception ends: the run, or that strategy.
    """

    def __init__(
        self,
        *,
        strategies: Sequence[AnyStrategy],
        capital: CapitalManager,
        marks: LastPrices,
        subscriptions: Sequence[Subscription],
        journal: Journal,
        orders: Orders,
        clock: Clock,
        salt: str,
        on_decider_failure: OnDeciderFailure = OnDeciderFailure.STOP,
    ) -> None:
        self._strategies: Mapping[str, AnyStrategy] = {s.name: s for s in strategies}
        self._deciders = Deciders(self._strategies, lambda: self.seq)
        marks.know(self._strategies)
        self._capital = capital
        self._journal = journal
        self._orders = orders
        self._clock = clock
        self._salt = salt.encode()
        self._isolates = on_decider_failure is OnDeciderFailure.ISOLATE
        self._marks = marks
        self.subscriptions = tuple(subscriptions)
        answering = Answering(
            self._isolates, self._begin, self._carry_out_all, self._fail, self._drain
        )
        self._market = Market(subscriptions, self._deciders, marks, answering)
        self._stamps = self._market.stamps
        self._counted = 0
        self._k = 0
        self._known = KnownOrders()
        self._waiting: deque[Report] = deque()
        self._busy = False
        self._last_fill = (0, 0)
        self.counts = Counts()

    # --- the counter ---

    @property
    def seq(self) -> int:
        """Number of deliveries so far; the number of the latest one."""
        return self._counted + len(self._stamps)

    def take_stamps(self) -> array[int]:
        """Return the ts_init of every market event delivered since the last call."""
        stamps = self._stamps[:]
        self._counted += len(stamps)
        del self._stamps[:]
        return stamps

    # --- deliveries ---

    def subscribe(self, feed: Feed) -> None:
        """Ask the feed for every stream a strategy listens to."""
        for subscription in self.subscriptions:
            feed.subscribe(subscription.kind, subscription.topic)

    def start(self, ts_ns: int) -> None:
        """Deliver the start of the run to the capital manager and every strategy."""
        entry_id = self._count()
        self._journal.append(entry_id, ts_ns, Kind.STARTED, "host", 0, entry_id, Started(ts_ns))
        self._busy = True
        self._change(self._capital.on_start(ts_ns), ts_ns, entry_id, entry_id)
        for name, strategy in self._strategies.items():
            self._tell(name, strategy.on_start, ts_ns, ts_ns, entry_id, entry_id)
        self._drain()

    def market_handler(
        self, kind: StreamKind, failed: Callable[[BaseException], None] | None = None
    ) -> Callable[[MarketEvent], None]:
        """Return the function that delivers one market event of this kind.

        ``failed`` is given what goes wrong, instead of raising it: for callers that would lose an
        exception.
        """
        return self._market.handler(kind, failed)

    def _begin(self, event: MarketEvent, topic: str) -> int:
        """Journal the market event that a decision answers; reports wait until all have decided."""
        self._busy = True
        cause = self._k = self.seq << ID_BITS
        self._journal.append(cause, event.ts_init, Kind.MARKET, topic, 0, cause, str(event))
        return cause

    def _carry_out_all(self, name: str, intents: Iterable[Intent], ts_ns: int, cause: int) -> None:
        try:
            self._decide(name, intents, ts_ns, cause, cause)
        except OnetapeError:
            raise
        except Exception as error:
            raise InvariantBroken(
                f"the host raised {type(error).__name__}: {error} - while carrying out what "
                f"strategy {name} decided at delivery {self.seq}; this is a defect of onetape."
            ) from error

    def on_timer(self, timer: TimerFired) -> None:
        """Deliver a due ``Wake`` to its owner."""
        entry_id = self._count()
        self._journal.append(entry_id, timer.ts_ns, Kind.TIMER, timer.owner, 0, entry_id, timer)
        self._busy = True
        if timer.owner == CAPITAL:
            self._change(self._capital.on_timer(timer), timer.ts_ns, entry_id, entry_id)
        else:
            handler = self._strategies[timer.owner].on_timer
            self._tell(timer.owner, handler, timer, timer.ts_ns, entry_id, entry_id)
        self._drain()

    def on_report(self, report: Report) -> None:
        """Deliver what a venue said; a report that arrives within a delivery waits for its end."""
        self._waiting.append(report)
        if not self._busy:
            self._busy = True
            self._drain()

    def knows(self, order_id: ClientOrderId) -> bool:
        """Tell whether this run sent an order; a report for any other stops the run."""
        return self._known.knows(order_id)

    def trades_in(self, instrument_id: InstrumentId) -> bool:
        """Tell whether this run has an instrument."""
        return self._marks.has(instrument_id)

    @property
    def stopped(self) -> Mapping[str, StrategyStopped]:
        """The strategies that failed and are asked nothing more, by name."""
        return self._deciders.stopped

    def is_open(self, order_id: ClientOrderId) -> bool:
        """Tell whether an order of this run can still change."""
        return self._known.is_open(order_id)

    def is_given_up(self, order_id: ClientOrderId) -> bool:
        """Tell whether an order ended as rejected, which its venue may prove wrong."""
        return self._known.is_given_up(order_id)

    def owner(self, order_id: ClientOrderId) -> str:
        """Return the strategy an order belongs to; raises InvariantBroken if unknown."""
        return self._known.record(order_id).strategy

    # --- within a delivery ---

    def _count(self) -> int:
        reset()  # a handler may have changed it
        self._counted += 1
        seq = self.seq
        self._k = seq << ID_BITS
        return self._k

    def _drain(self) -> None:
        waiting = self._waiting
        while waiting:
            self._report(waiting.popleft())
        self._busy = False

    def _report(self, report: Report) -> None:
        entry_id = self._count()
        match report:
            case Fill():
                if report.trade_id in self._known.record(report.order_id).trade_ids:
                    self._repeat(entry_id, repeated(report))
                else:
                    self._fill(entry_id, report)
            case RepeatedFill():
                self._repeat(entry_id, report)
            case OrderUpdate():
                self._update(entry_id, report)
            case PositionUpdate():
                cause, workflow = self._last_fill
                source = str(report.instrument_id)
                self._journal.append(
                    entry_id, report.ts_ns, Kind.POSITION, source, cause, workflow, report
                )
                changes = self._capital.on_position(report)
                self._change(changes, report.ts_ns, entry_id, workflow)
            case KillSwitch():
                self._note(entry_id, Kind.KILL, "host", report)
                self._change(self._capital.on_kill(report), report.ts_ns, entry_id, entry_id)
            case CashCorrection():
                self._note(entry_id, Kind.CASH, report.venue, report)
                self._change(self._capital.on_cash(report), report.ts_ns, entry_id, entry_id)
            case OrderNamed():
                self._note(entry_id, Kind.NAMED, "host", report)
            case Notice():
                self._note(entry_id, Kind.NOTICE, report.source, report)
            case Gap():
                self._note(entry_id, Kind.GAP, report.source, report)
            case _:
                assert_never(report)

    def _note(
        self,
        entry_id: int,
        kind: Kind,
        source: str,
        report: KillSwitch | CashCorrection | JournalOnly,
    ) -> None:
        """Journal what no order and no strategy caused."""
        self._journal.append(entry_id, report.ts_ns, kind, source, 0, entry_id, report)

    def _repeat(self, entry_id: int, fill: RepeatedFill) -> None:
        """Journal what a venue said twice, and do nothing."""
        record = self._known.record(fill.order_id)
        cause, workflow = record.command_id, record.workflow_id
        self._journal.append(
            entry_id, fill.ts_ns, Kind.REPEAT, fill.strategy, cause, workflow, fill
        )

    def _fill(self, entry_id: int, fill: Fill) -> None:
        record = self._known.record(fill.order_id)
        workflow = record.workflow_id
        revived_raw = self._known.revive(fill.order_id)
        self._known.fill(fill)
        self.counts.fills += 1
        self._last_fill = (entry_id, workflow)
        self._journal.append(
            entry_id, fill.ts_ns, Kind.FILL, fill.strategy, record.command_id, workflow, fill
        )
        self._change(self._capital.on_fill(fill), fill.ts_ns, entry_id, workflow)
        strategy = self._strategies[fill.strategy]
        if revived_raw:
            strategy.fold_revival(fill.order_id, fill.instrument_id, revived_raw)
        strategy.fold_fill(fill)
        self._tell(fill.strategy, strategy.on_fill, fill, fill.ts_ns, entry_id, workflow)

    def _update(self, entry_id: int, update: OrderUpdate) -> None:
        record = self._known.record(update.order_id)
        workflow = record.workflow_id
        self._journal.append(
            entry_id, update.ts_ns, Kind.ORDER, update.strategy, record.command_id, workflow, update
        )
        revived_raw = self._follow(update)
        self._change(self._capital.on_order(update), update.ts_ns, entry_id, workflow)
        strategy = self._strategies[update.strategy]
        strategy.fold_order(update)
        if revived_raw:
            strategy.fold_revival(update.order_id, update.instrument_id, revived_raw)
        self._tell(update.strategy, strategy.on_order, update, update.ts_ns, entry_id, workflow)

    def _follow(self, update: OrderUpdate) -> int:
        """Let an order end, or live again that was given up; return what may then still fill."""
        if update.state in ENDED:
            self._known.end(update.order_id, given_up=update.state is OrderState.REJECTED)
        elif update.state is OrderState.ACCEPTED:
            return self._known.revive(update.order_id)
        return 0

    def _tell[T](
        self,
        name: str,
        handler: Callable[[T], Iterable[Intent] | None],
        value: T,
        ts_ns: int,
        cause: int,
        workflow: int,
    ) -> None:
        """Call one handler of a strategy and carry out its answer; not of one that failed."""
        if name in self._deciders.stopped:
            return
        try:
            intents = self._deciders.call(name, handler, value)
        except DeciderFailed as failure:
            self._fail(name, failure, ts_ns, cause, workflow)
            return
        self._decide(name, intents, ts_ns, cause, workflow)

    def _decide(
        self, name: str, intents: Iterable[Intent] | None, ts_ns: int, cause: int, workflow: int
    ) -> None:
        """Carry out what one decider returned, and what it answers to refusals."""
        if intents is None or (type(intents) is tuple and not intents):
            return
        try:
            self._work_off(name, intents, ts_ns, cause, workflow)
        except DeciderFailed as failure:
            self._fail(name, failure, ts_ns, cause, workflow)

    def _fail(
        self, name: str, failure: DeciderFailed, ts_ns: int, cause: int, workflow: int
    ) -> None:
        """Stop the run; or ask the strategy that failed nothing more, and go on with the others."""
        if not self._isolates:
            raise failure
        reset()  # what failed may have changed it
        stopped = self._deciders.stop(name, failure, ts_ns)
        self.counts.stopped += 1
        self._market.silence(name)
        fault_id = self._next_id()
        self._journal.append(fault_id, ts_ns, Kind.FAULT, name, cause, workflow, stopped)
        alert = Alert(f"strategy {name} failed and is asked nothing more: {stopped.error}")
        entry_id = self._next_id()
        self._journal.append(entry_id, ts_ns, Kind.INTENT, "host", fault_id, workflow, alert)
        for order_id, instrument_id in self._known.open_by(name):
            self._send_cancel(order_id, instrument_id, ts_ns, fault_id, workflow)
        self._change(self._capital.on_stopped(stopped), ts_ns, fault_id, workflow)

    def _work_off(
        self, name: str, intents: Iterable[Intent], ts_ns: int, cause: int, workflow: int
    ) -> None:
        # Half of a delivery's numbers is kept for what failures cause, the rest is shared evenly.
        share = MESSAGES_PER_DELIVERY_MAX // (2 * len(self._strategies))
        last_id = self._k + share
        work = deque([(cause, intents, 0)])
        while work:
            cause_id, batch, rounds = work.popleft()
            for intent in self._deciders.read(name, batch):
                if self._isolates and self._k >= last_id:
                    raise self._too_many(f"strategy {name}", share)
                entry_id = self._next_id()
                self._journal.append(entry_id, ts_ns, Kind.INTENT, name, cause_id, workflow, intent)
                self.counts.decisions += 1
                refused = self._carry_out(name, intent, ts_ns, entry_id, workflow)
                if refused is None:
                    continue
                refusal_id, refusal = refused
                answer = self._deciders.call(name, self._strategies[name].on_refusal, refusal)
                if answer is None:
                    continue
                if rounds == FOLLOW_UPS_MAX:
                    endless = "answers every refusal with a new request"
                    raise DeciderFailed(
                        f"strategy {name} {endless}; let on_refusal return nothing once a request "
                        "was refused.",
                        endless,
                    )
                work.append((refusal_id, answer, rounds + 1))

    def _change(
        self, changes: Sequence[CapitalIntent], ts_ns: int, cause: int, workflow: int
    ) -> None:
        """Carry out what the capital manager returned; its own changes are journalled as such."""
        for change in changes:
            entry_id = self._next_id()
            asks = isinstance(change, Wake | Alert | Revoke | Flatten)
            kind = Kind.INTENT if asks else Kind.CAPITAL
            self._journal.append(entry_id, ts_ns, kind, CAPITAL, cause, workflow, change)
            self.counts.decisions += asks
            match change:
                case Wake():
                    self._clock.wake(CAPITAL, change.name, change.at_ns)
                case Revoke():
                    cancel = Cancel(change.instrument_id, change.reason, change.order_id)
                    self._cancel(change.strategy, cancel, ts_ns, entry_id, workflow)
                case Flatten():
                    leave = Exit(change.instrument_id, change.reason)
                    self._ask(change.strategy, leave, ts_ns, entry_id, workflow)
                case _:
                    pass  # its journal entry is what it is for

    def _carry_out(
        self, name: str, intent: Intent, ts_ns: int, intent_id: int, workflow: int
    ) -> tuple[int, Refusal] | None:
        match intent:
            case Enter() | Exit() | Target():
                return self._ask(name, intent, ts_ns, intent_id, workflow)
            case Cancel():
                self._cancel(name, intent, ts_ns, intent_id, workflow)
            case Wake():
                self._clock.wake(name, intent.name, intent.at_ns)
            case Alert():
                pass  # its journal entry is what it is for
            case _:
                assert_never(intent)
        return None

    def _ask(
        self, name: str, intent: MoneyIntent, ts_ns: int, intent_id: int, workflow: int
    ) -> tuple[int, Refusal] | None:
        order_id = self._order_id(name, intent_id)
        reset()  # as in _count
        answer = self._capital.on_intent(name, intent, order_id, ts_ns)
        entry_id = self._next_id()
        if isinstance(answer, Refusal):
            self.counts.refusals += 1
            self._journal.append(
                entry_id, ts_ns, Kind.REFUSAL, CAPITAL, intent_id, workflow, answer
            )
            return entry_id, answer
        self._journal.append(entry_id, ts_ns, Kind.GRANT, CAPITAL, intent_id, workflow, answer)
        self._submit(answer, ts_ns, entry_id, workflow)
        return None

    def _submit(self, grant: Grant, ts_ns: int, grant_id: int, workflow: int) -> None:
        command = Submit(
            grant.order_id,
            grant.instrument_id,
            grant.side,
            grant.quantity,
            grant.price,
            grant.reduces,
        )
        entry_id = self._next_id()
        self._journal.append(entry_id, ts_ns, Kind.COMMAND, "host", grant_id, workflow, command)
        self._known.add(grant, entry_id, workflow)
        self._strategies[grant.strategy].fold_grant(grant)
        self.counts.orders += 1
        self._orders.send(command)

    def _cancel(self, name: str, intent: Cancel, ts_ns: int, intent_id: int, workflow: int) -> None:
        for order_id in self._known.open_of(name, intent.instrument_id):
            if intent.order_id is not None and intent.order_id != order_id:
                continue
            self._send_cancel(order_id, intent.instrument_id, ts_ns, intent_id, workflow)

    def _send_cancel(
        self,
        order_id: ClientOrderId,
        instrument_id: InstrumentId,
        ts_ns: int,
        cause: int,
        workflow: int,
    ) -> None:
        command = CancelOrder(order_id, instrument_id)
        entry_id = self._next_id()
        self._journal.append(entry_id, ts_ns, Kind.COMMAND, "host", cause, workflow, command)
        self._orders.send(command)

    def _order_id(self, name: str, intent_id: int) -> ClientOrderId:
        digest = blake2b(b"%s|%s|%d" % (self._salt, name.encode(), intent_id), digest_size=10)
        return ClientOrderId(f"OT{digest.hexdigest()}")

    def _next_id(self) -> int:
        self._k += 1
        if not self._k & (MESSAGES_PER_DELIVERY_MAX - 1):
            raise self._too_many("the strategies", MESSAGES_PER_DELIVERY_MAX)
        return self._k

    def _too_many(self, who: str, most: int) -> DeciderFailed:
        what = f"decided more than {most:,} things"
        return DeciderFailed(
            f"{who} {what} at delivery {self.seq}; let them return fewer intents at once.", what
        )
