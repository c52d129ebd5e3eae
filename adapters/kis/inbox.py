"""What waits between the socket and whoever takes its messages: bounded, measured, in order.

Rule: nothing is thrown away; where the queue is full the socket is read no further, until it has
room again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

_TURN = 256
"""Messages delivered before the event loop gets a turn."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message with its receive time (UTC) and a stamp of the steady clock, nanoseconds."""

    text: str | bytes = field(repr=False)
    received_ns: int
    hop_ns: int


class Inbox:
    """The queue of one socket. ``deepest`` and ``most_behind_ns`` are the worst so far."""

    def __init__(
        self, most: int, deliver: Callable[[Arrival], None], steady_ns: Callable[[], int]
    ) -> None:
        self._queue: asyncio.Queue[Arrival] = asyncio.Queue(most)
        self._deliver = deliver
        self._steady_ns = steady_ns
        self.arrived = 0
        self.deepest = 0
        self.most_behind_ns = 0

    @property
    def depth(self) -> int:
        """Return how many messages wait."""
        return self._queue.qsize()

    async def put(self, arrival: Arrival) -> None:
        """Queue a message; waits while the queue is full."""
        await self._queue.put(arrival)
        self.arrived += 1
        self.deepest = max(self.deepest, self._queue.qsize())

    async def run(self) -> None:
        """Deliver for ever, in order."""
        while True:
            self._hand_over(await self._queue.get())
            self.flush(_TURN)
            await asyncio.sleep(0)

    def flush(self, most: int | None = None) -> None:
        """Deliver what waits, at once (``most`` messages of it)."""
        for _ in range(self.depth if most is None else min(most, self.depth)):
            self._hand_over(self._queue.get_nowait())

    def _hand_over(self, arrival: Arrival) -> None:
        self.most_behind_ns = max(self.most_behind_ns, self._steady_ns() - arrival.hop_ns)
        self._deliver(arrival)
