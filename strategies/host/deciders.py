"""Asks the strategies of a run, which are foreign code: calls handlers and reads what they return.

Rule: whatever a strategy raises, or returns that is no list of intents, becomes a DeciderFailed
that names it; an error of ours never does.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from strategies.decider import Params, Strategy
from strategies.errors import DeciderFailed
from strategies.host.faults import one_line, place_of, reproducible
from strategies.host.intents import wrong_with
from strategies.messages import Intent, StrategyStopped

type AnyStrategy = Strategy[Params]

INTENTS_PER_ANSWER_MAX = 100_000
"""More than this from one handler is a loop without an end."""


class Deciders:
    """The strategies of one run by name, in scenario order; ``stopped`` are those that failed."""

    def __init__(self, by_name: Mapping[str, AnyStrategy], seq: Callable[[], int]) -> None:
        self.by_name = by_name
        self.stopped: dict[str, StrategyStopped] = {}
        self._seq = seq

    def stop(self, name: str, failure: DeciderFailed, ts_ns: int) -> StrategyStopped:
        """Note that a strategy failed, in words that a re-execution reproduces."""
        what, place = reproducible(failure.what), reproducible(failure.place)
        stopped = self.stopped[name] = StrategyStopped(name, what, place, ts_ns)
        return stopped

    def call[T, R](self, name: str, handler: Callable[[T], R], value: T) -> R:
        """Return what a handler of a strategy returns; raises DeciderFailed where it raises."""
        try:
            return handler(value)
        # A decider is foreign code: whatever it raises is its failure, said by name.
        except BaseException as error:
            raise self.blame(name, error, f"in {handler.__name__} on {value}") from error

    def read(self, name: str, batch: Iterable[Intent]) -> tuple[Intent, ...]:
        """Take what a handler returned out of its list, set or generator, and look at its form."""
        # The usual answer is a tuple; asking for the protocol costs as much as the whole look.
        if type(batch) is not tuple and not isinstance(batch, Iterable):
            raise self._wrong(
                name, f"returned {one_line(repr(batch))}", "; return a list of intents, or None."
            )
        try:
            intents = tuple(islice(batch, INTENTS_PER_ANSWER_MAX + 1))
        # As in call: the generator is the decider's code.
        except BaseException as error:
            raise self.blame(name, error, "while its intents were read") from error
        if len(intents) > INTENTS_PER_ANSWER_MAX:
            many = f"returned more than {INTENTS_PER_ANSWER_MAX:,} intents"
            raise DeciderFailed(
                f"strategy {name} {many} at delivery {self._seq()}; end its loop.", many
            )
        for intent in intents:
            wrong = wrong_with(intent, self.by_name[name].instruments)
            if wrong is not None:
                raise self._wrong(name, f"returned {one_line(repr(intent))}", f": {wrong}.")
        return intents

    def _wrong(self, name: str, what: str, advice: str) -> DeciderFailed:
        text = f"strategy {name} {what} (delivery {self._seq()}){advice}"
        return DeciderFailed(text, f"{what}{advice}")

    def blame(self, name: str, error: BaseException, where: str) -> DeciderFailed:
        """Return a decider's error as its failure; raises the user's Ctrl-C, which is nobody's."""
        if isinstance(error, KeyboardInterrupt):
            raise error
        place = place_of(error, type(self.by_name.get(name)).__module__) + one_line(where)
        what = f"{type(error).__name__}: {one_line(str(error))}"
        return DeciderFailed(
            f"strategy {name} raised {what} {place} (delivery {self._seq()}); mend the strategy "
            "and run again (--debug shows the traceback).",
            what,
            place,
        )
