"""Which streams are registered for whom: one registration serves trades and bars, one the book.

Rule: a stream is asked for with its first use and given up with its last; its rank is the order
of asking.
"""

from collections.abc import Callable, Hashable

from adapters.kis.registrations import Stream


class Wants:
    """Counts the uses of streams; ``want`` and ``unwant`` are the socket's."""

    def __init__(
        self, want: Callable[[Stream, int], None], unwant: Callable[[Stream], None]
    ) -> None:
        self._want = want
        self._unwant = unwant
        self._uses: dict[Stream, set[Hashable]] = {}
        self._asked = 0

    def __contains__(self, stream: Stream) -> bool:
        return stream in self._uses

    def uses(self, stream: Stream, use: Hashable) -> bool:
        """Tell whether a stream is wanted for this use."""
        return use in self._uses.get(stream, ())

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Return all wanted streams in the order of asking."""
        return tuple(self._uses)

    def use(self, stream: Stream, use: Hashable) -> None:
        """Want a stream for one more use; the same use again changes nothing."""
        if stream not in self._uses:
            self._want(stream, self._asked)
            self._asked += 1
        self._uses.setdefault(stream, set()).add(use)

    def leave(self, stream: Stream, use: Hashable) -> None:
        """End one use of a stream; one that is not in use is left alone."""
        uses = self._uses.get(stream, set())
        uses.discard(use)
        if stream in self._uses and not uses:
            del self._uses[stream]
            self._unwant(stream)
