"""A run's end: its first reason stands, its first failure too, and a second signal hurries."""

import asyncio
import os
import signal

import pytest

from scenarios.ending import STOP_SIGNALS, Ending


def in_a_loop(work):
    async def run():
        async with asyncio.timeout(5):
            return await work()

    return asyncio.run(run())


def is_over(ending: Ending) -> bool:
    return _ready(ending.over())


def is_hurried(ending: Ending) -> bool:
    return _ready(ending.hurried())


def _ready(waiting) -> bool:
    """Tell whether something would return without waiting."""
    try:
        waiting.send(None)
    except StopIteration:
        return True
    waiting.close()
    return False


async def _signalled(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    await asyncio.sleep(0.01)


def test_the_first_reason_stands() -> None:
    async def work():
        ending = Ending()
        assert not is_over(ending)
        ending.end("its time is over")
        ending.end("something else")
        ending.fail(ValueError("too late to be the reason"))
        assert is_over(ending)
        return ending

    ending = in_a_loop(work)
    assert ending.reason == "its time is over"


def test_the_first_failure_stands_and_one_after_the_end_is_kept_as_well() -> None:
    async def work():
        ending, first = Ending(), ValueError("first")
        ending.end("its time is over")
        ending.fail(first)
        ending.fail(ValueError("second"))
        assert ending.failure is first
        other = Ending()
        other.fail(first)
        assert is_over(other)
        assert other.reason == "it failed"
        assert not is_hurried(other)

    in_a_loop(work)


def test_a_failure_that_the_end_itself_causes_is_none() -> None:
    async def work():
        ending = Ending()
        ending.end("SIGINT asked for it")
        ending.finish()
        ending.fail(ValueError("the connection was given up"))
        assert ending.failure is None

    in_a_loop(work)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_ends_it_and_only_a_second_one_hurries(number: signal.Signals) -> None:
    async def work():
        ending = Ending()
        with ending.on_signals():
            await _signalled(number)
            assert is_over(ending)
            assert not is_hurried(ending)
            await _signalled(number)
            assert is_hurried(ending) is (number is not signal.SIGHUP)
        assert number.name in ending.reason

    in_a_loop(work)


def test_a_closed_terminal_that_is_ignored_stays_so() -> None:
    async def work():
        ending = Ending()
        with ending.on_signals():
            await _signalled(signal.SIGHUP)
            assert not is_over(ending)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        in_a_loop(work)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_interrupt_is_heeded_where_a_shell_ignored_it_for_the_background() -> None:
    async def work():
        ending = Ending()
        with ending.on_signals():
            await _signalled(signal.SIGINT)
            assert is_over(ending)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        in_a_loop(work)
    finally:
        signal.signal(signal.SIGINT, before)


def test_two_different_signals_hurry_as_well_and_the_first_names_the_reason() -> None:
    async def work():
        ending = Ending()
        with ending.on_signals():
            await _signalled(signal.SIGTERM)
            await _signalled(signal.SIGINT)
        assert ending.reason == "SIGTERM asked for it"
        assert is_hurried(ending)

    in_a_loop(work)


def test_a_signal_after_a_failure_does_not_hide_it() -> None:
    async def work():
        ending = Ending()
        with ending.on_signals():
            ending.fail(ValueError("first"))
            await _signalled(signal.SIGINT)
            assert not is_hurried(ending)  # its orders are still being cancelled
        assert ending.reason == "it failed"

    in_a_loop(work)


def test_after_the_block_signals_are_the_programs_own_again() -> None:
    async def work():
        ending = Ending()
        with pytest.raises(ValueError, match="within"), ending.on_signals():
            raise ValueError("within")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert not is_over(ending)

    in_a_loop(work)
