"""Every place in which the host calls a strategy, each reached in the shortest way."""

from collections.abc import Callable

from hosted import Stage

from strategies.messages import OrderState


def _start(stage: Stage) -> None:
    stage.start()


def _trade(stage: Stage) -> None:
    stage.trade()


def _timer(stage: Stage) -> None:
    stage.venue.wakes["b", "w"] = 0
    stage.ring("b", "w")


def _fill(stage: Stage) -> None:
    stage.trade()
    stage.fill(stage.venue.sent[-1].order_id)


def _order(stage: Stage) -> None:
    stage.trade()
    stage.update(stage.venue.sent[-1].order_id, OrderState.ACCEPTED)


def _refusal(stage: Stage) -> None:
    stage.purse.closed = True
    stage.trade()


PLACES: dict[str, Callable[[Stage], None]] = {
    "start": _start,
    "trade": _trade,
    "timer": _timer,
    "fill": _fill,
    "order": _order,
    "refusal": _refusal,
}
