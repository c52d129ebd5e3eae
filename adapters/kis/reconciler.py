"""Asks for account and order list together and compares them with what was told.

Rule: two questions cannot be asked at one moment, so a comparison counts only where no fill was
learned of between them; a difference counts only where it stays.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from adapters.kis.account import AccountSnapshot, KisAccount
from adapters.kis.errors import IllegalTransition, KisError, MalformedAnswer, Stop
from adapters.kis.execution import KisOrders
from adapters.kis.gateway import KisGateway
from adapters.kis.order_events import ENDED, Filled
from adapters.kis.reconciliation import (
    Baseline,
    CostOf,
    Reconciled,
    Trades,
    compare,
    trades_of,
)
from adapters.kis.timing import SECOND, wait_until

RECONCILE_EVERY_NS = 60 * SECOND
"""How often account and fills are compared. Our own choice: three account requests each."""
TRIES = 3
LEDGER_LAG_NS = 2 * SECOND
"""Between two looks at a difference: KIS keeps orders and holdings apart. Our own choice."""


class Reconciler:
    """Compares one account with the orders placed here since ``begin``."""

    def __init__(
        self,
        gateway: KisGateway,
        orders: KisOrders,
        cost_of: CostOf,
        tell: Callable[[AccountSnapshot, Reconciled], None],
        every_ns: int = RECONCILE_EVERY_NS,
    ) -> None:
        self._gateway = gateway
        self._orders = orders
        self.account = KisAccount(gateway)
        self._cost_of = cost_of
        self._tell = tell
        self._every_ns = every_ns
        self._ours = Trades()
        self._agreed: Trades | None = None
        self._baseline: Baseline | None = None
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._is_wanted = False
        self._is_told = False

    def filled(self, fill: Filled) -> None:
        """Count a fill of ours."""
        won = fill.quantity * fill.price
        fees = self._cost_of(fill.side, fill.quantity, fill.price)
        self._ours = self._ours.plus(fill.code, fill.side, fill.quantity, won, fees)

    def want(self) -> None:
        """Compare soon, as after a reconnect."""
        self._is_wanted = True
        self._woken.set()

    @property
    def agrees(self) -> bool:
        """Tell whether the account agreed with the fills, and nothing was filled since."""
        return self._agreed == self._ours and not self._orders.open_ids

    async def begin(self) -> None:
        """Read what all later comparisons start from, and tell of it. Raises what KIS answers.

        Raises MalformedAnswer where the account cannot be read whole, or others trade in it all
        the time.
        """
        for _ in range(TRIES):
            before = self._foreign()
            account = await self.account.read()
            found = await self._orders.list.ask()
            if account.complete and found.complete and before == self._foreign():
                self._baseline, self._is_wanted = Baseline(account, before), False
                self._tell(account, self._compare(account))
                return
        raise MalformedAnswer(
            "The account cannot be read whole from KIS: its pages are cut short, or others trade "
            "in it right now; try again."
        )

    async def reconcile(self) -> Reconciled:
        """Compare now, and tell of it; raises an error of the tree."""
        async with self._lock:
            self._is_wanted = False
            for _ in range(TRIES):
                before = (self._ours, self._foreign())
                account = await self.account.read()
                found = await self._orders.list.ask()
                is_quiet = before == (self._ours, self._foreign())
                is_settled = is_quiet and account.complete and found.complete
                result = self._compare(account)
                if is_settled and not result.mismatches:
                    break
                await self._gateway.timing.sleep_ns(LEDGER_LAG_NS)
            if not is_settled:
                result = replace(result, mismatches=(), settled=False)
            self._agreed = self._ours if is_settled and not result.mismatches else None
            self._tell(account, result)
            return result

    async def run(self) -> None:
        """Compare for ever: on the timer and when wanted; a defect of ours ends the node."""
        try:
            await self._run()
        # The engine would log it and go on without comparisons.
        except Exception as error:  # noqa: BLE001 - see above
            self._gateway.fail(error)

    async def _run(self) -> None:
        timing = self._gateway.timing
        last_ns = timing.steady_ns()
        while True:
            if not self._is_wanted and timing.steady_ns() < last_ns + self._every_ns:
                await wait_until(timing, last_ns + self._every_ns, self._woken)
                continue
            try:
                await self.reconcile()
                self._is_told = False
            except (Stop, IllegalTransition):
                raise
            except KisError as error:
                self._is_wanted = False
                if not self._is_told:  # the first of a row of failures is enough
                    self._gateway.say(f"The account cannot be compared with KIS: {error}")
                self._is_told = True
            last_ns = timing.steady_ns()

    def _compare(self, account: AccountSnapshot) -> Reconciled:
        if self._baseline is None:
            raise MalformedAnswer("The account was not read at the start.")
        return compare(
            self._baseline,
            account,
            self._ours,
            self._foreign(),
            self._orders.open_ids,
            self._still_open(),
        )

    def _foreign(self) -> Trades:
        return trades_of(self._orders.foreign_rows.values(), self._cost_of)

    def _still_open(self) -> list[str]:
        """Return what KIS lists as open although it ended here."""
        return [
            f"order {row.number} has ended and KIS lists {row.remaining} of it as open."
            for order, row in self._orders.own_rows()
            if order.state in ENDED and row.remaining > 0 and not order.over_lists
        ]
