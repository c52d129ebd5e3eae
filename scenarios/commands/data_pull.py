"""`onetape data pull SOURCE`: market data from where it is published, into the catalog.

A source is a module of SOURCES with ``register(sources, shared)``, which adds its parser, and
``pull(args, settings, screen)``, which downloads, imports and shows the result.
"""

import argparse
from typing import Any, Protocol

from scenarios import binance_pull, kis_pull
from scenarios.screen import Screen
from scenarios.settings import Settings, read_settings

_EPILOG = """example:
  onetape data pull binance BTCUSDT --kind klines --interval 1m --from 2025-01-01 --to 2025-01-31
  onetape data pull kis 005930 000660 --kind days --from 2024-01-02
"""


class PullSource(Protocol):
    """Where market data can be pulled from."""

    NAME: str

    def register(self, sources: Any, shared: argparse.ArgumentParser) -> None:
        """Add the source's parser, named by NAME."""

    def pull(self, args: argparse.Namespace, settings: Settings, screen: Screen) -> None:
        """Download and import what was asked for, and show the result."""


SOURCES: tuple[PullSource, ...] = (binance_pull, kis_pull)


def register(actions: Any, shared: argparse.ArgumentParser) -> None:
    """Add the action's parser."""
    parser = actions.add_parser(
        "pull",
        help="download market data and import it",
        description="Download market data from where it is published, and import it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    sources = parser.add_subparsers(dest="source", metavar="SOURCE", required=True)
    for source in SOURCES:
        source.register(sources, shared)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Pull from the source that was named; 0 when it is in the catalog."""
    source = next(each for each in SOURCES if args.source == each.NAME)
    source.pull(args, read_settings(), screen)
    return 0
