"""How long to wait: between attempts, between connections, and while an endpoint fails.

Rule: time and jitter are arguments; no sequence of failures connects faster than the limits say,
because KIS blocks addresses and appkeys that do (notice of 2026-02-24).
"""

from collections import deque
from enum import StrEnum

from adapters.kis.errors import (
    KisError,
    LedgerBusy,
    RateRefused,
    Reauthenticate,
    Retry,
)
from adapters.kis.limits import Limits
from adapters.kis.machine import Machine
from adapters.kis.requests import Endpoint

PPM = 1_000_000


def delay_ns(limits: Limits, attempt: int, jitter_ppm: int) -> int:
    """Return the wait before attempt ``attempt`` (0 is the first repetition).

    Doubles from ``backoff_first_ns`` to ``backoff_cap_ns``; the upper half is scaled by the
    jitter (0 to 1,000,000), and no wait is shorter than the first.
    """
    whole = min(limits.backoff_first_ns << min(max(attempt, 0), 40), limits.backoff_cap_ns)
    half = whole // 2
    waited = half + half * min(max(jitter_ppm, 0), PPM) // PPM
    return max(waited, min(limits.backoff_first_ns, limits.backoff_cap_ns))


def retry_wait_ns(
    endpoint: Endpoint, error: KisError, attempt: int, limits: Limits, jitter_ppm: int
) -> int | None:
    """Return how long to wait before asking again, None where asking again is wrong.

    Requests that change something are repeated only when the gateway refused them at its door
    (too fast, token rejected): then nothing was placed.
    """
    if attempt >= limits.retries:
        return None
    if isinstance(error, Reauthenticate):
        return 0 if attempt == 0 else None
    if isinstance(error, RateRefused):
        return _jittered(limits.rate_wait_ns << attempt, jitter_ppm)
    if endpoint.changes or not isinstance(error, Retry):
        return None
    wait = limits.ledger_wait_ns if isinstance(error, LedgerBusy) else error.wait_ns
    return _jittered(wait << attempt, jitter_ppm)


def _jittered(wait_ns: int, jitter_ppm: int) -> int:
    return wait_ns + wait_ns * min(max(jitter_ppm, 0), PPM) // (2 * PPM)


class ConnectGate:
    """Counts connections in a sliding window: at most ``limits.connects`` within it."""

    def __init__(self, limits: Limits) -> None:
        self._window_ns = limits.connects_window_ns
        self._spacing_ns = limits.backoff_first_ns
        self._times: deque[int] = deque(maxlen=limits.connects)

    def open_at(self, now_ns: int) -> int:
        """Return the earliest time of the next connection, ``now_ns`` at the soonest."""
        earliest = now_ns
        if self._times:
            earliest = max(earliest, self._times[-1] + self._spacing_ns)
        if len(self._times) == self._times.maxlen:
            earliest = max(earliest, self._times[0] + self._window_ns)
        return earliest

    def connecting(self, now_ns: int) -> None:
        """Note that a connection is attempted now."""
        self._times.append(now_ns)


class BreakerState(StrEnum):
    """Whether an endpoint is asked."""

    CLOSED = "closed"
    OPEN = "open"
    TRIAL = "trial"


class BreakerEvent(StrEnum):
    """What an endpoint's answers mean to its breaker."""

    WORKED = "worked"
    FAILED = "failed"
    TRIPPED = "tripped"
    COOLED = "cooled"


BREAKER: dict[BreakerState, dict[BreakerEvent, BreakerState]] = {
    BreakerState.CLOSED: {
        BreakerEvent.WORKED: BreakerState.CLOSED,
        BreakerEvent.FAILED: BreakerState.CLOSED,
        BreakerEvent.TRIPPED: BreakerState.OPEN,
    },
    # answers of requests that were under way when the breaker opened still come in
    BreakerState.OPEN: {
        BreakerEvent.WORKED: BreakerState.OPEN,
        BreakerEvent.FAILED: BreakerState.OPEN,
        BreakerEvent.COOLED: BreakerState.TRIAL,
    },
    BreakerState.TRIAL: {
        BreakerEvent.WORKED: BreakerState.CLOSED,
        BreakerEvent.FAILED: BreakerState.OPEN,
    },
}


class Breaker:
    """Stops asking one endpoint after a row of failures; one trial after a pause."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._machine = Machine(BREAKER, BreakerState.CLOSED)
        self._failures = 0
        self._opened_ns = 0
        self._trial_is_out = False

    @property
    def state(self) -> BreakerState:
        """Return the present state."""
        return self._machine.state

    def allows(self, now_ns: int) -> bool:
        """Tell whether a request may go now; in a trial one at a time."""
        if self.state is BreakerState.OPEN and now_ns >= self.cools_at_ns:
            self._machine.on(BreakerEvent.COOLED)
            self._trial_is_out = False
        if self.state is BreakerState.TRIAL:
            if self._trial_is_out:
                return False
            self._trial_is_out = True
        return self.state is not BreakerState.OPEN

    @property
    def cools_at_ns(self) -> int:
        """Return when an open breaker allows its trial."""
        return self._opened_ns + self._limits.breaker_open_ns

    def worked(self) -> None:
        """Note an answer, a refusal with a reason among them."""
        if self._machine.on(BreakerEvent.WORKED) is BreakerState.CLOSED:
            self._failures = 0

    def failed(self, now_ns: int) -> None:
        """Note a request without a usable answer."""
        self._failures += 1
        was = self.state
        if was is BreakerState.CLOSED and self._failures >= self._limits.breaker_failures:
            self._machine.on(BreakerEvent.TRIPPED)
        else:
            self._machine.on(BreakerEvent.FAILED)
        if self.state is BreakerState.OPEN and was is not BreakerState.OPEN:
            self._opened_ns = now_ns
            self._failures = 0
