"""The catalog's measurements, each in a process of its own: `python -m bench.catalog_tasks`.

Rule: inputs are written by ``make`` in another process, so that they cost the measured one
neither time nor memory.
"""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

from bench.stopwatch import Facts, Stopwatch
from catalog.generate.market import DEMO_SESSIONS, generate_krx
from catalog.ingest.importer import Options, import_files
from catalog.ingest.recordings import Market
from catalog.read import to_arrow
from catalog.store import Store
from strategies.ports import StreamKind

START_MS = 1_735_689_600_000  # 2025-01-01
NAMES = {"frames": "recording", "trades": "BTCUSDT-trades-2025-01-01.csv"}


def make(home: Path, frames: int, trades: int) -> Facts:
    """Write a raw recording and a trade dump, as Binance sends and publishes them."""
    draw = random.Random(1).randrange  # noqa: S311 - a sample, no secret
    with (home / NAMES["frames"]).open("w", encoding="utf-8") as out:
        out.writelines(_frame(number, draw) for number in range(frames))
    with (home / NAMES["trades"]).open("w", encoding="utf-8") as out:
        for number in range(trades):
            price, size = 900_000 + draw(5_000), 1 + draw(9_000)
            sizes = f"{price / 10:.1f},{size / 1_000:.3f},{price * size / 10_000:.4f}"
            out.write(
                f"{number + 1},{sizes},{START_MS + number},{'true' if draw(2) else 'false'}\n"
            )
    return {}


def _frame(number: int, draw: Callable[[int], int]) -> str:
    """Return one line of a recording: trades and best prices, as often as each other."""
    at_ms = START_MS + number
    price, size = f"{90_000 + draw(900) / 10:.1f}", f"{1 + draw(9_000) / 1_000:.3f}"
    if number % 2:
        data = f'"e":"trade","E":{at_ms},"T":{at_ms},"s":"BTCUSDT","t":{number},"p":"{price}"'
        data += f',"q":"{size}","X":"MARKET","m":{"true" if draw(2) else "false"}'
        stream = "btcusdt@trade"
    else:
        data = f'"e":"bookTicker","u":{number},"s":"BTCUSDT","b":"{price}","B":"{size}"'
        data += f',"a":"{90_100 + draw(900) / 10:.1f}","A":"{size}","T":{at_ms},"E":{at_ms}'
        stream = "btcusdt@bookTicker"
    return f'{at_ms * 1_000_000} {{"stream":"{stream}","data":{{{data}}}}}\n'


def load(home: Path, what: str, catalog: str) -> Facts:
    """Import one of the files into a catalog of its own."""
    store = Store(home / f"{what}-{catalog}")
    options = Options(market=Market.USDM)
    timed = Stopwatch()
    report = import_files(store, [str(home / NAMES[what])], options, lambda _done, _total: None)
    rows = sum(result.rows for result in report.results)
    return timed.stop() | {"rows": rows, "frames": sum(file.frames for file in report.files)}


def generate(home: Path, symbols: int, trades: int) -> Facts:
    """Generate a day of shares."""
    store = Store(home / "catalog")
    timed = Stopwatch()
    with store.importing() as batch:
        generate_krx(batch, DEMO_SESSIONS[:1], symbols=symbols, seed=1, trades_per_day=trades)
    facts = timed.stop()
    counts = dict.fromkeys(StreamKind, 0)
    for result in batch.results:
        counts[result.kind] += result.rows
    events = counts[StreamKind.TRADES] + counts[StreamKind.QUOTES]
    return facts | {"events": events, "trades": counts[StreamKind.TRADES]}


def query(home: Path) -> Facts:
    """Read the imported trades as Arrow."""
    store = Store(home / "trades-0")
    topic = next(info.topic for info in store.streams() if info.kind is StreamKind.TRADES)
    timed = Stopwatch()
    table = to_arrow(store, StreamKind.TRADES, topic)
    return timed.stop() | {"rows": table.num_rows}


TASKS: dict[str, Callable[..., Facts]] = {
    task.__name__: task for task in (make, load, generate, query)
}

if __name__ == "__main__":
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(TASKS[name](Path(arguments.pop("home")), **arguments)))
