"""KIS's work in a process of its own: `python -m bench.kis_tasks NAME JSON`, one JSON line out.

Rule: times are medians over batches, of this thread's processor time so that neighbours on the
machine do not count; a message is decoded anew each time, from its text to the engine's value.
"""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import thread_time_ns

from adapters.kis.frames import Decoder, Frame
from adapters.kis.ticks import TickReader
from bench import kis_frames as sent
from bench.measures import Facts

SEED = 20261117
BATCH = 500
FOUR_TRADES = f"0|H0STCNT0|004|{'^'.join([sent.TRADE[15:]] * 4)}"


def decode(home: Path, batches: int) -> Facts:  # noqa: ARG001 - tasks share one shape
    """Decode trade and book frames to engine values."""
    decoder, reader = Decoder(), TickReader(sent.IDS)

    def trades(message: str) -> None:
        reader.trades(_frame(decoder, message), 1)

    def depth(message: str) -> None:
        reader.depth(_frame(decoder, message), sent.DAY, 1)

    return {
        "trade_us": _median_us(trades, sent.TRADE, batches),
        "record_us": _median_us(trades, FOUR_TRADES, batches) / 4,
        "book_us": _median_us(depth, sent.BOOK, batches),
    }


def mutate(home: Path, count: int) -> Facts:  # noqa: ARG001 - tasks share one shape
    """Read damaged messages; what is neither a value nor a typed error is counted."""
    rng, reading = random.Random(SEED), sent.Reading()  # noqa: S311 - repeatable on purpose
    failures, slowest_ns = 0, 0
    for _ in range(count):
        message = sent.mutated(rng)
        start = thread_time_ns()
        try:
            reading.read(message)
        except Exception:  # noqa: BLE001 - the figure is how many of these there are
            failures += 1
        slowest_ns = max(slowest_ns, thread_time_ns() - start)
    return {"failures": failures, "slowest_ms": slowest_ns / 1e6, "outcomes": reading.outcomes}


def _frame(decoder: Decoder, message: str) -> Frame:
    frame = decoder.decode(message)
    if not isinstance(frame, Frame):
        raise TypeError(f"{message[:15]} was read as {type(frame).__name__}")
    return frame


def _median_us(read: Callable[[str], None], message: str, batches: int) -> float:
    times = []
    for _ in range(batches):
        start = thread_time_ns()
        for _ in range(BATCH):
            read(message)
        times.append((thread_time_ns() - start) / BATCH / 1_000)
    return median(times)


TASKS: dict[str, Callable[..., Facts]] = {task.__name__: task for task in (decode, mutate)}

if __name__ == "__main__":
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(TASKS[name](Path(arguments.pop("home")), **arguments)))
