"""Where things are: settings from the environment, read once and handed down."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Places of one installation. ``home`` holds catalog, journal, tokens and reports."""

    home: Path
    journal_url: str

    @property
    def catalog(self) -> Path:
        """Root of the Parquet catalog."""
        return self.home / "catalog"

    @property
    def reports(self) -> Path:
        """Where reports are written."""
        return self.home / "reports"


def read_settings() -> Settings:
    """Read ``ONETAPE_HOME`` (default ./data) and ``ONETAPE_JOURNAL`` (default SQLite in it)."""
    home = Path(os.environ.get("ONETAPE_HOME") or "data").expanduser().absolute()
    url = os.environ.get("ONETAPE_JOURNAL") or f"sqlite:///{home / 'journal.sqlite'}"
    return Settings(home, url)
