"""The execution client in a live node: commands of a strategy, events of the engine."""

from kis_node import run_node
from nautilus_trader.model import (
    LiquiditySide,
    Money,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderSide,
)

from kis_market import CODE  # isort: skip - on the path of live_kis


def test_orders_of_a_strategy_are_placed_filled_and_cancelled(tmp_path):
    async def body(one):
        bought = one.limit(OrderSide.BUY, 10, 10_000)
        rests = one.limit(OrderSide.BUY, 5, 9_900)
        await one.until(lambda: one.kinds(bought)[-1:] == ["Filled"])
        await one.until(lambda: one.kinds(rests)[-1:] == ["Accepted"])
        one.trader.cancel_order(rests.client_order_id)
        await one.until(lambda: one.kinds(rests)[-1:] == ["Canceled"])
        assert one.kinds(bought) == ["Initialized", "Submitted", "Accepted", "Filled"]

    one = run_node(tmp_path, body)
    assert [each.mismatches for each in one.results] == [(), ()]
    assert [(each.code, each.now, each.ours) for each in one.results[-1].holdings] == [
        (CODE, 10, 10)
    ]
    assert one.results[-1].cash.now_krw == 100_000_000 - 100_015
    assert one.results[-1].cash.unexplained_krw == 0
    assert len(one.named) == 2
    filled = next(each for each in one.trader.events if isinstance(each, OrderFilled))
    assert filled.venue_order_id.value == "20260309-00950-0000010001"
    assert filled.commission == Money.from_str("15 KRW")
    assert filled.liquidity_side is LiquiditySide.NO_LIQUIDITY_SIDE
    ours = (OrderAccepted, OrderFilled, OrderCanceled)  # the engine stamps the others itself
    times = [each.ts_event for each in one.trader.events if isinstance(each, ours)]
    assert len(times) == 4
    assert times == sorted(times)
