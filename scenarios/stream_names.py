"""How a scenario names streams: ``trades``, ``quotes``, ``book``, ``funding``, bars by their step.

Rule: one table, read by scenarios and notebooks alike; what a name means in the catalog is here.
"""

from nautilus_trader.model import BarType, InstrumentId

from strategies.errors import BadInput
from strategies.ports import StreamKind

NAMED = {
    "trades": StreamKind.TRADES,
    "quotes": StreamKind.QUOTES,
    "book": StreamKind.DELTAS,
    "funding": StreamKind.FUNDING,
    "deltas": StreamKind.DELTAS,
}
"""``deltas`` is what the catalog lists a book's stream as; both names mean the same."""
LAST = "-LAST-EXTERNAL"


def stream_of(text: str, instrument_id: InstrumentId | str) -> tuple[StreamKind, str]:
    """Return kind and topic of a stream as the catalog knows it; raises BadInput for no name."""
    if text in NAMED:
        return NAMED[text], str(instrument_id)
    try:
        return StreamKind.BARS, str(BarType.from_str(f"{instrument_id}-{text}{LAST}"))
    except (ValueError, RuntimeError) as error:
        raise BadInput(
            f"{text!r} is no stream; write trades, quotes, book (changes of the order book), "
            "funding, or bars by their step such as 1-MINUTE or 1-DAY."
        ) from error


def stream_text(kind: StreamKind, topic: str, instrument_id: InstrumentId) -> str:
    """Return the name of a stream of the catalog, to be written in a scenario."""
    if kind is StreamKind.BARS:
        return topic.removeprefix(f"{instrument_id}-").removesuffix(LAST)
    return next(name for name, named in NAMED.items() if named is kind)
