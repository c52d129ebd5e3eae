"""The capital manager: one decider that owns the money of all strategies, venues and currencies.

Rule: a decider like any other. It answers every intent that needs money with a Grant or a Refusal
that names the limit and both numbers; what it changes in itself it returns as a message, so that a
new manager given a journal's entries by ``fold`` stands where the old one stood.

The numbers, per venue and in the venue's currency: *equity* is cash plus open positions at cost,
an *allocation* is share x equity, and a strategy's *use* is the cost of its open positions plus
what its open orders may still take at the worst price they can fill at.
"""

from collections.abc import Iterator, Mapping, Sequence

from nautilus_trader.model import ClientOrderId, InstrumentId, Money

from strategies.capital.allocation.shares import venue_shares
from strategies.capital.bands import PriceBands
from strategies.capital.brakes.board import TIMER as BRAKE_TIMER
from strategies.capital.brakes.board import BrakeBoard, of_strategy
from strategies.capital.brakes.daily_loss import DailyLoss
from strategies.capital.brakes.drawdown import DrawdownSteps
from strategies.capital.brakes.kill_switch import PULL_TIMER, RELEASE_TIMER
from strategies.capital.brakes.kill_switch import KillSwitch as KillBrake
from strategies.capital.brakes.losing_streak import LosingStreak
from strategies.capital.config import CapitalConfig, ppb
from strategies.capital.conversion import Conversion
from strategies.capital.granting import Granting
from strategies.capital.ledger import VenueLedger, unit_raw
from strategies.capital.samples import Samples, profit_raw
from strategies.capital.stages import Stages
from strategies.errors import InvariantBroken
from strategies.markets.facts import PPB, InstrumentFacts
from strategies.messages import (
    ENDED,
    AllocationSet,
    BrakePulled,
    BrakeReleased,
    CapitalIntent,
    CashCorrection,
    Fill,
    Grant,
    KillSwitch,
    Limit,
    MoneyIntent,
    OrderState,
    OrderUpdate,
    PositionUpdate,
    Refusal,
    Revoke,
    StageChanged,
    StrategySample,
    StrategyStopped,
    TimerFired,
    TotalSample,
    VenueSample,
    Wake,
)
from strategies.ports import Marks

SAMPLE_TIMER = "sample"
FAILED = "strategy_failed"
"""The brake on a strategy that failed; nothing in the run lets it go."""


class Capital:
    """Implements the CapitalManager port."""

    def __init__(
        self,
        config: CapitalConfig,
        facts: Mapping[InstrumentId, InstrumentFacts],
        ledgers: Mapping[str, VenueLedger],
        marks: Marks,
    ) -> None:
        facts = {name: fact for name, fact in facts.items() if fact.tradable}
        self._config = config
        self._facts = facts
        self.ledgers = ledgers
        self._marks = marks
        self._traders: dict[str, list[str]] = {venue: [] for venue in ledgers}
        for strategy, venue in config.symbols:
            self._traders[venue].append(strategy)
        self._started_raw = {venue: ledger.cash_raw() for venue, ledger in ledgers.items()}
        self._ledger_of = {symbol: ledgers[fact.market.venue] for symbol, fact in facts.items()}
        self._base_ppb = {
            (venue, strategy): ppb(config.weights[strategy]) for strategy, venue in config.symbols
        }
        self._why = {key: f"weight {config.weights[key[1]]}" for key in self._base_ppb}
        self._share_ppb: dict[tuple[str, str], int] = {}
        self._rebalanced_ns = 0
        self._profits_raw: dict[tuple[str, str], int] = {}
        self._trips: dict[str, int] = {}
        self._trip_raw: dict[tuple[str, InstrumentId], int] = {}
        self._bands = PriceBands(facts, marks)
        self.board = BrakeBoard()
        self._make_brakes(marks)
        self.stages = Stages(config.stages)
        self._samples = Samples(config, facts)
        self._granting = Granting(
            config,
            facts,
            ledgers,
            marks,
            self._bands,
            self.board,
            self.allocation_raw,
            self._samples.volatility,
        )
        self._share_out()

    def _make_brakes(self, marks: Marks) -> None:
        rules, board = self._config.brakes, self.board
        codes = {venue: ledger.currency.code for venue, ledger in self.ledgers.items()}
        self._conversion = Conversion(self._config.conversion, marks)
        self._daily = DailyLoss(rules, board, self._conversion, codes)
        self._drawdown = DrawdownSteps(rules, board)
        self._streak = LosingStreak(rules, board)
        self._kill = KillBrake(rules, board, self.ledgers)

    def allocation_raw(self, strategy: str, ledger: VenueLedger) -> int:
        """Return what a strategy may use on a venue."""
        return ledger.book_equity_raw() * self._share_ppb[ledger.venue, strategy] // PPB

    # --- events ---

    def on_start(self, ts_ns: int) -> Sequence[CapitalIntent]:
        """Ask for the alarms of price limits, drill and samples; say where everyone begins."""
        out = [*self._bands.on_start(ts_ns), *self._kill.on_start()]
        out += self.stages.on_start(ts_ns)
        self._rebalanced_ns = ts_ns
        self._share_out()
        if self._config.sample_ns:
            for venue, strategy in self._share_ppb:
                out.append(self._allocation_set(venue, strategy))
            out += self._next_sample(ts_ns)
        return out

    def on_timer(self, timer: TimerFired) -> Sequence[CapitalIntent]:
        """Sample, let brakes go, run the drill, or fix the day's price limits."""
        match timer.name:
            case name if name == SAMPLE_TIMER:
                return self._sample(timer.ts_ns)
            case name if name == BRAKE_TIMER:
                return self._then_share_out(self.board.on_time(timer.ts_ns))
            case name if name in {PULL_TIMER, RELEASE_TIMER}:
                return self._then_share_out(self._kill.on_timer(name))
            case _:
                return self._bands.on_timer(timer)

    def on_intent(
        self, strategy: str, intent: MoneyIntent, order_id: ClientOrderId, ts_ns: int
    ) -> Grant | Refusal:
        """Answer one intent with a grant, or with the first limit that says no."""
        ledger = self._ledger_of.get(intent.instrument_id)
        if ledger is None:
            return self._only_observed(strategy, intent)
        ledger.settlement.arrive(ts_ns)
        return self._granting.answer(strategy, intent, order_id, ts_ns)

    def _only_observed(self, strategy: str, intent: MoneyIntent) -> Refusal:
        asked, allowed = f"an order in {intent.instrument_id}", "none: it can only be observed"
        return Refusal(
            strategy, intent.instrument_id, Limit.NOT_TRADABLE, asked, allowed, intent.reason
        )

    def on_fill(self, fill: Fill) -> Sequence[CapitalIntent]:
        """Book an execution; it may pull a brake. One that was booked already does nothing."""
        ledger = self._ledger_of[fill.instrument_id]
        if (fill.order_id, fill.trade_id) in ledger.trades:
            return ()
        lives = fill.order_id in ledger.given_up
        out = self._book(fill)
        if lives:
            out += self._revoke_living(fill.strategy, fill.order_id, fill.instrument_id)
        if self._daily.is_on:
            made = profit_raw(ledger, self._marks, fill.strategy)
            self._profits_raw[fill.strategy, ledger.venue] = made
            out += self._daily.look(self._profits_raw, fill.ts_ns)
        if self._kill.flattens:
            out += self._kill.flatten(fill.strategy, fill.instrument_id)
        return self._then_share_out(out)

    def on_position(self, update: PositionUpdate) -> Sequence[CapitalIntent]:
        """Book realised P&L on margin venues."""
        self._ledger_of[update.instrument_id].position(update)
        return ()

    def on_order(self, update: OrderUpdate) -> Sequence[CapitalIntent]:
        """Release what an ended order held; hold it again where the venue took it after all."""
        if self._follow(update):
            return self._revoke_living(update.strategy, update.order_id, update.instrument_id)
        # A rejected order is not sent again at once: the next sample tries again.
        if self._kill.flattens and update.state is OrderState.CANCELED:
            return tuple(self._kill.flatten(update.strategy, update.instrument_id))
        return ()

    def on_kill(self, switch: KillSwitch) -> Sequence[CapitalIntent]:
        """Do with the kill switch what people ask."""
        return self._then_share_out(self._kill.act(switch.action, switch.reason))

    def on_cash(self, correction: CashCorrection) -> Sequence[CapitalIntent]:
        """Take a venue's correction of its cash over."""
        self._ledger_at(correction.venue).correct(correction.amount)
        return ()

    def on_stopped(self, stopped: StrategyStopped) -> Sequence[CapitalIntent]:
        """Take no new risk for a strategy that failed; what it holds can still be closed."""
        scope, reason = of_strategy(stopped.strategy), f"the strategy failed: {stopped.error}"
        return self._then_share_out(self.board.pull(BrakePulled(FAILED, scope, 0, 0, reason)))

    def fold(self, message: object, ts_ns: int) -> None:
        """Take one journalled entry over, in the journal's order, and decide nothing.

        Everything but Grant, reports and the manager's own changes is passed over.
        """
        match message:
            case Grant():
                self._ledger_of[message.instrument_id].settlement.arrive(ts_ns)
                self._granting.fold(message, ts_ns)
            case Fill():
                self._book(message)
            case PositionUpdate():
                self.on_position(message)
            case OrderUpdate():
                self._follow(message)
            case CashCorrection():
                self._ledger_at(message.venue).correct(message.amount)
            case BrakePulled() | BrakeReleased():
                self.board.fold(message)
            case StageChanged():
                profits = self._profit_by_code(message.strategy, self._sampled())
                self.stages.fold(message, ts_ns, self._trips.get(message.strategy, 0), profits)
            case AllocationSet():
                key = (message.venue, message.strategy)
                self._base_ppb[key], self._share_ppb[key] = message.base_ppb, message.share_ppb
            case StrategySample():
                self._note(message, ts_ns)
            case VenueSample():
                ledger = self.ledgers[message.venue]
                ledger.settlement.arrive(ts_ns)
                self._drawdown.look(message.venue, message.marked.raw, ledger.currency, ts_ns)
            case _:
                pass  # changes nothing here

    # --- booking ---

    def _ledger_at(self, venue: str) -> VenueLedger:
        ledger = self.ledgers.get(venue)
        if ledger is None:
            raise InvariantBroken(
                f"venue {venue} corrected its cash, and this run has no money there; report only "
                "venues of the scenario."
            )
        return ledger

    def _follow(self, update: OrderUpdate) -> bool:
        """Release or hold what an order takes; tell whether one that was given up lives."""
        ledger = self._ledger_of[update.instrument_id]
        if update.state is OrderState.REJECTED:
            ledger.give_up(update.order_id)
        elif update.state in ENDED:
            ledger.release(update.order_id)
        elif update.state is OrderState.ACCEPTED and update.order_id in ledger.given_up:
            ledger.take_up(update.order_id)
            return True
        return False

    def _revoke_living(
        self, strategy: str, order_id: ClientOrderId, symbol: InstrumentId
    ) -> list[CapitalIntent]:
        """Cancel an order that lives after all, where resting orders were cancelled meanwhile."""
        scope, held = of_strategy(strategy), self._ledger_of[symbol].reservations
        if order_id not in held or not (
            self._kill.is_pulled or self.board.is_pulled(FAILED, scope)
        ):
            return []
        return [Revoke(strategy, order_id, symbol, "it was given up, and its venue has it")]

    def _book(self, fill: Fill) -> list[CapitalIntent]:
        ledger = self._ledger_of[fill.instrument_id]
        ledger.settlement.arrive(fill.ts_ns)
        before = ledger.holding(fill.strategy, fill.instrument_id).net_raw
        earned = ledger.settle(fill, self._facts[fill.instrument_id])
        if earned is None:
            return []
        key = (fill.strategy, fill.instrument_id)
        self._trip_raw[key] = self._trip_raw.get(key, 0) + earned
        after = ledger.holding(*key).net_raw
        if before == 0 or (after and (after > 0) == (before > 0)):
            return []
        self._trips[fill.strategy] = self._trips.get(fill.strategy, 0) + 1
        profit = self._trip_raw.pop(key)
        return list(self._streak.on_trip(fill.strategy, profit, fill.ts_ns))

    # --- samples ---

    def _sample(self, ts_ns: int) -> Sequence[CapitalIntent]:
        out: list[CapitalIntent] = []
        profits = self._profits_raw = self._profits()
        self._samples.add_prices(ts_ns, self._marks)
        for venue, ledger in self.ledgers.items():
            if self._is_open(venue, ts_ns):
                out += self._sample_venue(venue, ledger, profits, ts_ns)
        out += self._sample_total(profits)
        out += self._daily.look(profits, ts_ns)
        for strategy in self.stages.standings:
            out += self._look_at_stage(strategy, ts_ns)
        out += self.board.on_time(ts_ns)
        if self._kill.flattens:
            out += self._kill.flatten()
        period = self._config.allocation.rebalance_ns
        if ts_ns // period != self._rebalanced_ns // period:
            self._rebalance(ts_ns)
        return (*self._then_share_out(out), *self._next_sample(ts_ns))

    def _sample_venue(
        self,
        venue: str,
        ledger: VenueLedger,
        profits: Mapping[tuple[str, str], int],
        ts_ns: int,
    ) -> Iterator[CapitalIntent]:
        ledger.settlement.arrive(ts_ns)
        currency = ledger.currency
        for strategy in self._traders[venue]:
            sample = StrategySample(
                venue,
                strategy,
                *(
                    Money.from_raw(raw - raw % unit_raw(currency), currency)
                    for raw in (
                        self.allocation_raw(strategy, ledger),
                        ledger.reserved_raw.get(strategy, 0),
                        ledger.committed_raw.get(strategy, 0),
                        profits[strategy, venue],
                    )
                ),
            )
            self._note(sample, ts_ns)
            yield sample
        marked = self._marked_raw(venue, ledger, profits)
        marked -= marked % unit_raw(currency)
        amounts = (
            ledger.book_equity_raw(),
            ledger.free_raw(),
            ledger.total_reserved_raw(),
            ledger.total_committed_raw(),
            ledger.unsettled_raw(),
            marked,
        )
        yield VenueSample(venue, *(Money.from_raw(raw, currency) for raw in amounts))
        yield from self._drawdown.look(venue, marked, currency, ts_ns)

    def _marked_raw(
        self, venue: str, ledger: VenueLedger, profits: Mapping[tuple[str, str], int]
    ) -> int:
        """Return a venue's equity at the last prices."""
        made = sum(profit for (_, at), profit in profits.items() if at == venue)
        return self._started_raw[venue] + ledger.corrected_raw + made

    def _sample_total(self, profits: Mapping[tuple[str, str], int]) -> Iterator[CapitalIntent]:
        """Say what all venues hold together, where the scenario gives a base currency."""
        if not self._config.conversion.base:
            return
        parts: tuple[dict[str, int], ...] = ({}, {}, {}, {}, {})
        for venue, ledger in self.ledgers.items():
            amounts = (
                ledger.free_raw(),
                ledger.total_reserved_raw(),
                ledger.total_committed_raw(),
                ledger.unsettled_raw(),
                self._marked_raw(venue, ledger, profits),
            )
            for part, raw in zip(parts, amounts, strict=True):
                code = ledger.currency.code
                part[code] = part.get(code, 0) + raw
        totals = [self._conversion.total(part) for part in parts]
        known = [total for total in totals if total is not None]
        if len(known) == len(totals):
            equity = Money.from_raw(sum(total.raw for total in known[:4]), known[0].currency)
            yield TotalSample(self._conversion.words(parts[0]), equity, *known)

    def _note(self, sample: StrategySample, ts_ns: int) -> None:
        """Take a sample in: for returns, and for where the day began."""
        profit, allocation = sample.profit.raw, sample.allocation.raw
        self._samples.add_profit(sample.venue, sample.strategy, profit, allocation)
        self._daily.begin(sample.strategy, sample.venue, profit, ts_ns)

    def _look_at_stage(self, strategy: str, ts_ns: int) -> Sequence[CapitalIntent]:
        full: dict[str, int] = {}
        for venue, ledger in self.ledgers.items():
            base = self._base_ppb.get((venue, strategy))
            if base is not None:
                code = ledger.currency.code
                full[code] = full.get(code, 0) + ledger.book_equity_raw() * base // PPB
        made = self._profit_by_code(strategy, self._sampled())
        return self.stages.look(strategy, made, full, self._trips.get(strategy, 0), ts_ns)

    def _next_sample(self, ts_ns: int) -> Iterator[CapitalIntent]:
        every = self._config.sample_ns
        at_ns = (ts_ns // every + 1) * every
        if not any(self._is_open(venue, at_ns) for venue in self.ledgers):
            sessions = [fact.market.sessions.next_after(at_ns) for fact in self._facts.values()]
            opens = [session.open_ns for session in sessions if session is not None]
            if not opens:
                return
            at_ns = min(opens)
        yield Wake(SAMPLE_TIMER, at_ns, "look at prices for shares, brakes and stages")

    def _is_open(self, venue: str, ts_ns: int) -> bool:
        market = next(f.market for f in self._facts.values() if f.market.venue == venue)
        return market.sessions.at(ts_ns) is not None

    def _profits(self) -> dict[tuple[str, str], int]:
        """Return what every strategy has made on every venue it trades on, at the last prices."""
        return {
            (strategy, venue): profit_raw(ledger, self._marks, strategy)
            for venue, ledger in self.ledgers.items()
            for strategy in self._traders[venue]
        }

    def _sampled(self) -> dict[tuple[str, str], int]:
        return {
            (strategy, venue): self._samples.profit_raw(venue, strategy)
            for venue, strategy in self._base_ppb
        }

    def _profit_by_code(
        self, strategy: str, profits: Mapping[tuple[str, str], int]
    ) -> dict[str, int]:
        found: dict[str, int] = {}
        for (owner, venue), profit in profits.items():
            if owner == strategy:
                code = self.ledgers[venue].currency.code
                found[code] = found.get(code, 0) + profit
        return found

    # --- shares ---

    def _rebalance(self, ts_ns: int) -> None:
        self._rebalanced_ns = ts_ns
        for venue, names in self._traders.items():
            weights = {name: self._config.weights[name] for name in names}
            found = venue_shares(weights, self._samples.returns(venue), self._config.allocation)
            for name, (share, why) in found.items():
                self._base_ppb[venue, name], self._why[venue, name] = ppb(share), why

    def _then_share_out(self, out: Sequence[CapitalIntent]) -> Sequence[CapitalIntent]:
        """Let changed brakes, stages and shares reach the allocations, and say which changed."""
        if not out:
            return out
        before = self._share_ppb
        self._share_out()
        if before == self._share_ppb or not self._config.sample_ns:
            return out
        changed = [key for key, share in self._share_ppb.items() if before.get(key) != share]
        return (*out, *(self._allocation_set(*key) for key in changed))

    def _share_out(self) -> None:
        self._share_ppb = {
            (venue, strategy): base
            * self.stages.factor_ppb(strategy)
            // PPB
            * self.board.factor_ppb(venue)
            // PPB
            for (venue, strategy), base in self._base_ppb.items()
        }

    def _allocation_set(self, venue: str, strategy: str) -> AllocationSet:
        ledger = self.ledgers[venue]
        base, share = self._base_ppb[venue, strategy], self._share_ppb[venue, strategy]
        stage, brake = self.stages.factor_ppb(strategy), self.board.factor_ppb(venue)
        words = self._why[venue, strategy]
        if stage != PPB:
            words += f", times {stage / PPB:.2%} of its stage"
        if brake != PPB:
            words += f", times {brake / PPB:.2%} of the drawdown step"
        raw, currency = self.allocation_raw(strategy, ledger), ledger.currency
        amount = Money.from_raw(raw - raw % unit_raw(currency), currency)
        return AllocationSet(venue, strategy, base, share, amount, words)
