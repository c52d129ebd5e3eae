"""Reads an iterator of batches in a thread of its own, a few batches ahead of who consumes it.

Rule: the order and the values are the iterator's; an error in it is raised where it is consumed,
and a consumer that goes away ends the thread.
"""

from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread

BATCHES_AHEAD = 2
_WAIT_S = 0.1
_END_S = 1.0


class _End:
    """The last thing in the queue; ``error`` is what ended the iterator, if something did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead[T](batches: Iterator[list[T]]) -> Iterator[T]:
    """Yield the items of all batches, which are read in a thread meanwhile."""
    queue: Queue[list[T] | _End] = Queue(BATCHES_AHEAD)
    stopped = Event()
    thread = Thread(target=_fill, args=(batches, queue, stopped), daemon=True)
    thread.start()
    try:
        while not isinstance(batch := queue.get(), _End):
            yield from batch
        if batch.error is not None:
            raise batch.error
    finally:
        stopped.set()
        with suppress(Empty):
            queue.get_nowait()  # makes room, so that the thread sees at once that it is stopped
        thread.join(_END_S)


def _fill[T](batches: Iterator[list[T]], queue: Queue[list[T] | _End], stopped: Event) -> None:
    end = _End()
    try:
        for batch in batches:
            if not _put(queue, batch, stopped):
                return
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised in the other thread
        end = _End(error)
    _put(queue, end, stopped)


def _put[T](queue: Queue[list[T] | _End], item: list[T] | _End, stopped: Event) -> bool:
    while not stopped.is_set():
        try:
            queue.put(item, timeout=_WAIT_S)
        except Full:
            continue
        return True
    return False
