"""What a recording may tell twice or too early: ids of a second connection, snapshots before diffs.

Rule: a trade counts once by its id, a best bid and offer only while its update id rises; a snapshot
without a symbol belongs to the depth whose ids and prices it meets.
"""

from catalog.book import DepthDiff, DepthSnapshot

_IDS_KEPT = 1 << 17
_LATE_IDS_MOST = 100_000
"""How many update ids a snapshot may be ahead of the first diff that was received after it."""


class Seen:
    """Ids that a stream told of late, to know what a second connection tells again."""

    def __init__(self) -> None:
        self._last = -1
        self._ids: set[int] = set()

    def again(self, number: int, *, is_state: bool) -> bool:
        """Say whether an id came before; of a state, an older one is as good as told."""
        if number > self._last:
            self._last = number
        elif number in self._ids or (is_state and number < self._last):
            return True
        if not is_state:
            self._ids.add(number)
            if len(self._ids) >= 2 * _IDS_KEPT:
                self._ids = {each for each in self._ids if each > self._last - _IDS_KEPT}
        return False


def meets(snapshot: DepthSnapshot, diff: DepthDiff) -> bool:
    """Say whether a snapshot is of the book that a diff received after it goes on with."""
    before = diff.first_id - 1 if diff.previous_id is None else diff.previous_id
    if not before <= snapshot.last_id <= diff.last_id + _LATE_IDS_MOST:
        return False
    levels = [*diff.bids, *diff.asks]
    stood = [*snapshot.bids[:1], *snapshot.asks[:1]]
    # Two symbols may count alike; no book moves by half between a snapshot and the next diff.
    return bool(levels and stood) and 0.5 < float(levels[0][0]) / float(stood[0][0]) < 2
