"""Where things are: settings from the environment, read once and handed down."""

import os
from dataclasses import dataclass
from pathlib import Path

BINANCE_DATA_URL = "https://data.binance.vision"
"""Binance's public host of dumps; no key is needed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Places of one installation. ``home`` holds catalog, journal, tokens and reports."""

    home: Path
    journal_url: str
    binance_data_url: str = BINANCE_DATA_URL
    catalog_root: Path | None = None

    @property
    def catalog(self) -> Path:
        """Root of the Parquet catalog, which may lie in an S3 bucket."""
        return self.catalog_root or self.home / "catalog"

    @property
    def downloads(self) -> Path:
        """Where pulled files are kept, a folder per source."""
        return self.home / "downloads"

    @property
    def kis_folder(self) -> Path:
        """Where KIS's token and master files are kept between runs."""
        return self.home / "tokens"

    @property
    def reports(self) -> Path:
        """Where reports are written."""
        return self.home / "reports"


def read_settings() -> Settings:
    """Read the environment.

    ``ONETAPE_HOME`` (default ./data), ``ONETAPE_JOURNAL`` (default SQLite in it),
    ``ONETAPE_CATALOG`` (default ``catalog`` in it; a folder or ``s3://bucket/prefix``) and
    ``ONETAPE_BINANCE_DATA_URL`` (default Binance's public host). Raises BadInput.
    """
    home = Path(os.environ.get("ONETAPE_HOME") or "data").expanduser().absolute()
    url = os.environ.get("ONETAPE_JOURNAL") or f"sqlite:///{home / 'journal.sqlite'}"
    binance_data_url = os.environ.get("ONETAPE_BINANCE_DATA_URL") or BINANCE_DATA_URL
    return Settings(home, url, binance_data_url, _catalog_root(os.environ.get("ONETAPE_CATALOG")))


def _catalog_root(text: str | None) -> Path | None:
    if not text:
        return None
    from catalog.places import parse_root  # slow to import, and only needed here

    return parse_root(text)
