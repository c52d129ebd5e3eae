"""What KIS's clients tell beside market data and orders, as messages of the run.

Rule: everything told is journalled, a flood of one kind thinned out with its count; nothing here
repeats what a frame or an answer held, because they can hold an HTS id.
"""

from collections import Counter
from collections.abc import Callable

from nautilus_trader.model import Money

from adapters.kis.data_events import DataEvent, Doubled, GapFound, NotServed, SlotsShort
from adapters.kis.errors import BadRecord
from adapters.kis.frames import WidthChange
from adapters.kis.order_events import Foreign
from adapters.kis.reconciliation import Reconciled
from adapters.kis.registrations import Acked
from adapters.kis.socket import Link, Unreadable
from strategies.markets import krx
from strategies.messages import CashCorrection, Gap, Notice, NoticeLevel, Provenance, Report

ALL_UP_TO = 20
ONE_IN = 1_000
"""Of one kind of news the first are journalled one by one, then one in so many."""

FOREIGN_ALOUD = 3
"""A day can hold hundreds of orders that were placed by hand or by an earlier run."""
STOPPED = "stopped"
"""Why a connection ended that we closed ourselves."""

_LEVELS = {
    Acked: NoticeLevel.INFO,
    Link: NoticeLevel.INFO,
    Doubled: NoticeLevel.INFO,
    SlotsShort: NoticeLevel.FAULT,
}


class KisMessages:
    """Turns one node's news into messages; ``say`` shows people what matters."""

    def __init__(
        self,
        report: Callable[[Report], None],
        now_ns: Callable[[], int],
        say: Callable[[str], None],
    ) -> None:
        self._report = report
        self._now_ns = now_ns
        self._say = say
        self._told: Counter[str] = Counter()
        self._corrected_krw = 0
        self._links = 0
        self._foreign = 0
        self.reconciled: Reconciled | None = None
        self.mismatches: list[str] = []

    def notice(self, level: NoticeLevel, text: str, *, aloud: bool = False) -> None:
        """Journal something people should find, and say it aloud where it matters now."""
        self._report(Notice("KIS", level, text, self._now_ns()))
        if aloud:
            self._say(text)

    # --- market data ---

    def on_gap(self, gap: GapFound) -> None:
        """Journal a span in which market data did not stream."""
        shares = "" if gap.missing_quantity is None else f", {gap.missing_quantity} shares of it"
        text = f"{gap.observed} did not stream{shares}"
        self._report(
            Gap(
                gap.instrument_id,
                "KIS",
                Provenance(gap.provenance.value),
                gap.from_ns,
                gap.to_ns,
                text,
                self._now_ns(),
            )
        )

    def on_event(self, event: DataEvent) -> None:
        """Journal what the connection went through."""
        kind = type(event).__name__
        self._told[kind] += 1
        count = self._told[kind]
        if count > ALL_UP_TO and count % ONE_IN:
            return
        text = _words(event)
        if count > ALL_UP_TO:
            text = f"{text} ({count:,} of this kind so far)"
        level = _LEVELS.get(type(event), NoticeLevel.WARNING)
        if isinstance(event, Link):
            self._links += event.is_open
            level = level if event.is_open else NoticeLevel.WARNING
        self.notice(level, text, aloud=self._matters(event))

    def _matters(self, event: DataEvent) -> bool:
        """Tell whether people want to see it now: a connection lost or found again."""
        if not isinstance(event, Link) or event.why == STOPPED:
            return False
        return not event.is_open or self._links > 1

    # --- orders and money ---

    def on_foreign(self, order: Foreign) -> None:
        """Journal an order of the account that this run did not place; say the first few aloud."""
        self._foreign += 1
        self.notice(
            NoticeLevel.WARNING,
            f"the account has order {order.number} in {order.code}, which this run did not place: "
            "it is left alone",
            aloud=self._foreign <= FOREIGN_ALOUD,
        )
        if self._foreign == FOREIGN_ALOUD:
            self._say("more orders that this run did not place are in its journal only.")

    def on_mismatch(self, order_id: str, what: str) -> None:
        """Journal that KIS and our book disagree about an order."""
        self.notice(NoticeLevel.FAULT, f"order {order_id}: {what}", aloud=True)

    def on_reconciled(self, found: Reconciled) -> None:
        """Take what fees KIS charged otherwise into the ledger; say what nothing explains."""
        self.reconciled = found
        if not found.settled:
            return
        for text in found.mismatches:
            if text not in self.mismatches:
                self.notice(NoticeLevel.FAULT, text, aloud=True)
        self.mismatches = list(found.mismatches)
        amount_krw = found.cash.difference_krw - self._corrected_krw
        if amount_krw and not found.mismatches:
            self._corrected_krw += amount_krw
            self._report(
                CashCorrection(
                    krx.VENUE,
                    Money.from_str(f"{amount_krw} KRW"),
                    "KIS charges fees and taxes otherwise than reckoned",
                    self._now_ns(),
                )
            )


def _words(event: DataEvent) -> str:
    match event:
        case WidthChange():
            text = (
                f"frames of {event.tr_id} now hold {event.width} fields a record instead of "
                f"{event.before}: the known ones are read on; look for a notice of KIS"
            )
        case Link(is_open=is_open, why=why):
            text = "the connection is open" if is_open else f"the connection ended: {why}"
        case Acked():
            state = "is observed" if event.held else "is not observed"
            text = f"{event.stream!r} {state} ({event.ack}, {event.code})"
        case SlotsShort():
            names = ", ".join(repr(stream) for stream in event.left_out)
            text = f"KIS registers {event.registrations} streams; these wait for a slot: {names}"
        case NotServed():
            text = f"{event.subject} is not served: {event.why}"
        case Doubled():
            text = f"trade {event.trade_id} of {event.instrument_id} came twice and counted once"
        case Unreadable():
            text = f"a message cannot be read: {event.error}"
        case BadRecord():
            text = f"a record cannot be read: {event}"
    return text
