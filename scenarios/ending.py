"""Why and when a live run ends: a signal, its time, or a failure; the first reason stands.

Rule: asking twice is told apart from asking once: a second signal does not wait for the venue.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The last one comes when the terminal is closed; where it is ignored (nohup) it stays so.

SIGINT is heeded even there: shells ignore it for what they start in the background, and who sends
it by hand wants the run to end.
"""


class Ending:
    """The end of one run; to be used within one event loop."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self._now = asyncio.Event()
        self.reason = ""
        self.signal: signal.Signals | None = None
        self.failure: BaseException | None = None
        self._is_final = False

    def end(self, reason: str) -> None:
        """End the run for a reason."""
        if not self._over.is_set():
            self.reason = reason
            self._over.set()

    def fail(self, failure: BaseException) -> None:
        """End the run because something failed; the first failure stands."""
        if self.failure is None and not self._is_final:
            self.failure = failure
        self.end("it failed")

    def finish(self) -> None:
        """Take no failure from now on: it would be one that the end itself caused."""
        self._is_final = True

    def hurry(self) -> None:
        """Wait for nothing any more."""
        self._now.set()

    async def over(self) -> None:
        """Wait until the run is to end."""
        await self._over.wait()

    async def hurried(self) -> None:
        """Wait until nothing is to be waited for."""
        await self._now.wait()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """End the run at a signal to stop while the block runs; at once with the second one."""
        heeded = [
            one
            for one in STOP_SIGNALS
            if one is not signal.SIGHUP or signal.getsignal(one) is not signal.SIG_IGN
        ]
        loop = asyncio.get_running_loop()

        def asked(number: signal.Signals) -> None:
            # of a closed terminal both the system and the shell tell: that is asking once
            if self.signal is not None and number is not signal.SIGHUP:
                self.hurry()
            self.signal = number
            self.end(f"{number.name} asked for it")

        for number in heeded:
            loop.add_signal_handler(number, asked, number)
        try:
            yield
        finally:
            for number in heeded:
                loop.remove_signal_handler(number)
