"""Which orders of events the pinned engine takes from an execution client, and which it drops."""

import asyncio

from kis_node import SharesFactory, Trader, in_thread, node_config
from nautilus_trader.config import DataClientConfig, ExecutionClientConfig
from nautilus_trader.live import LiveNodeBuilder
from nautilus_trader.live.clients import ExecutionClient, ExecutionClientFactory
from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AccountType,
    LiquiditySide,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    TradeId,
    Venue,
    VenueOrderId,
)
from nautilus_trader.trading import StrategyConfig

from strategies.markets import krx

from kis_market import CODE  # isort: skip - on the path of live_kis

TAKEN = {
    "accept fill4": ("PARTIALLY_FILLED", 4, 2),
    "fill4": ("PARTIALLY_FILLED", 4, 1),
    "cancel": ("CANCELED", 0, 1),
    "accept cancel fill4": ("CANCELED", 4, 3),
    "cancel fill4": ("CANCELED", 4, 2),
    "accept fill4 cancel fill6": ("FILLED", 10, 4),
    "accept expire fill4": ("EXPIRED", 4, 3),
    "update accept": ("ACCEPTED", 0, 2),
    "accept cancel_rejected": ("ACCEPTED", 0, 2),
    "accept reject": ("REJECTED", 0, 2),
}
"""Status, shares filled and number of events that arrive: all of them. Fills count after an end."""

DROPPED = {
    "reject accept": ("REJECTED", 0, 1),
    "reject fill4": ("REJECTED", 0, 1),
    "reject cancel": ("REJECTED", 0, 1),
    "accept cancel accept": ("CANCELED", 0, 2),
    "accept cancel cancel_rejected": ("CANCELED", 0, 2),
    "accept accept": ("ACCEPTED", 0, 1),
    "accept again4 again4": ("PARTIALLY_FILLED", 4, 2),
    "accept fill6 fill4 fill4": ("FILLED", 10, 3),
    "accept fill6 fill4 cancel": ("FILLED", 10, 3),
}
"""The last event of each is dropped without a word."""

MISTAKEN = {"fill4 accept": ("ACCEPTED", 4, 2)}
"""An acceptance after a fill is taken and hides the fill in the status: accept first."""


class Puppet(ExecutionClient):
    """Tells of each order the events that the test listed for it."""

    def __init__(self, *, name, config, cache, clock, trader_id):
        super().__init__(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            trader_id=trader_id,
            venue=Venue(krx.VENUE),
            account_id=AccountId("KIS-001"),
            account_type=AccountType.CASH,
            oms_type=OmsType.NETTING,
            base_currency=krx.KRW,
        )

    async def _connect(self):
        total = Money.from_str("100000000 KRW")
        balance = AccountBalance(total, Money.from_str("0 KRW"), total)
        self.generate_account_state([balance], [], reported=True, ts_event=1)

    async def _disconnect(self):
        """Have nothing to close."""

    async def _submit_order(self, command):
        order = command.order
        self.generate_order_submitted(order)
        number = VenueOrderId(f"V-{order.client_order_id}")
        words = order.tags[0].split("_then_")
        for place, word in enumerate(words):
            self._tell(order, number, word, place)

    def _tell(self, order, number, word, place):
        match word:
            case "accept":
                self.generate_order_accepted(order, number, 1)
            case "reject":
                self.generate_order_rejected(order, "no", 1, due_post_only=False)
            case "cancel":
                self.generate_order_canceled(order, number, 1)
            case "expire":
                self.generate_order_expired(order, number, 1)
            case "cancel_rejected":
                self.generate_order_cancel_rejected(order, number, "no", 1)
            case "update":
                price = Price.from_int(9_990)
                self.generate_order_updated(order, number, order.quantity, price, None, None, 1)
            case _:
                name = "again" if word.startswith("again") else place
                trade_id = TradeId(f"{order.client_order_id}-{name}")
                self.generate_order_filled(
                    order,
                    number,
                    None,
                    trade_id,
                    Quantity.from_int(int(word[-1])),
                    Price.from_int(10_000),
                    krx.KRW,
                    Money.from_str("1 KRW"),
                    LiquiditySide.NO_LIQUIDITY_SIDE,
                    1,
                )


class PuppetFactory(ExecutionClientFactory):
    @staticmethod
    def create(**parts):
        return Puppet(**parts)


def outcome(trader, cache, order):
    """Return status, shares filled and how many events of the client arrived."""
    now = cache.order(order.client_order_id)
    return now.status.name, int(now.filled_qty.as_decimal()), len(trader.kinds(order)) - 1


async def told(sequences):
    """Return the outcome of each sequence of events."""
    node = (
        LiveNodeBuilder.from_config("NODE", node_config())
        .add_data_client("KRX", SharesFactory(), DataClientConfig())
        .add_exec_client("KIS", PuppetFactory(), ExecutionClientConfig())
        .build()
    )
    handle, cache = node.handle(), node.cache
    trader = Trader(StrategyConfig())
    node.add_strategy(trader)
    running = asyncio.create_task(node.run_async())
    try:
        async with asyncio.timeout(10):
            while not trader.started:
                await asyncio.sleep(0.005)
            orders = {}
            for words in sequences:
                order = trader.order_factory.limit(
                    krx.equity(CODE).id,
                    OrderSide.BUY,
                    Quantity.from_int(10),
                    Price.from_int(10_000),
                    tags=[words.replace(" ", "_then_")],
                )
                orders[words] = order
                trader.submit_order(order)
            last = list(orders.values())[-1]
            while trader.kinds(last) != ["Submitted", "Accepted"]:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)  # what is dropped sends no word
        return {words: outcome(trader, cache, order) for words, order in orders.items()}
    finally:
        handle.stop()
        await running
        node.dispose()


def test_the_engine_takes_fills_after_an_end_but_nothing_after_a_rejection():
    def work():
        found = asyncio.run(told([*TAKEN, *DROPPED, *MISTAKEN, "accept"]))
        assert {words: found[words] for words in TAKEN} == TAKEN
        assert {words: found[words] for words in DROPPED} == DROPPED
        assert {words: found[words] for words in MISTAKEN} == MISTAKEN

    in_thread(work)
