"""The importer on real files; each is one call, as it is one command."""

from pathlib import Path

import pytest

from catalog.ingest.importer import ImportReport, Options, import_files
from catalog.store import Store
from strategies.ports import StreamKind

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here"),
]


def load(root: Path, pattern: str, instrument: str | None = None) -> tuple[Store, ImportReport]:
    store = Store(root)
    options = Options(instrument=instrument)
    return store, import_files(store, [str(DATA / pattern)], options, lambda _done, _total: None)


def test_one_minute_bars(tmp_path: Path) -> None:
    pattern = "bars/btc-perp-*.csv.gz"
    store, _ = load(tmp_path, pattern, "BTCUSDT-PERP.BINANCE")
    (info,) = store.streams()
    assert (info.topic, info.rows) == ("BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL", 45_031)
    _, again = load(tmp_path, pattern, "BTCUSDT-PERP.BINANCE")
    assert [result.added for result in again.results] == [False]


def test_feather_candles(tmp_path: Path) -> None:
    store, _ = load(tmp_path, "bars/*.feather")
    assert [(info.topic.split("-")[0], info.rows) for info in store.streams()] == [
        ("ADABTC.BINANCE_SPOT", 5_720),
        ("ETHBTC.BINANCE_SPOT", 5_760),
        ("LTCBTC.BINANCE_SPOT", 5_760),
        ("TRXBTC.BINANCE_SPOT", 5_754),
        ("UNITTESTBTC.BINANCE_SPOT", 5_760),
        ("XMRBTC.BINANCE_SPOT", 5_758),
        ("XRPETH.BINANCE_SPOT", 706),
    ]
    assert {each.price_precision for each in store.instruments().values()} == {8}


def test_sixty_shares_in_one_command(tmp_path: Path) -> None:
    store, report = load(tmp_path, "krx/daily")
    assert len(report.files) == 60
    assert sum(info.rows for info in store.streams()) == 2 * (331_424 - 60)


def test_five_minute_bars_of_a_share(tmp_path: Path) -> None:
    store, report = load(tmp_path, "krx/005930_5m_*.csv.gz")
    assert [info.rows for info in store.streams()] == [3_014]
    notes = "; ".join(report.files[0].notes)
    assert "1 row off the 5m grid" in notes
    assert "42 bars have a volume of 0, kept" in notes


@pytest.mark.parametrize(
    ("pattern", "instrument", "trades", "quotes", "deltas"),
    [
        ("binance_ws/usdm/*.gz", "ETHUSDT-PERP.BINANCE", 14_076, 53_992, 430_412),
        ("binance_ws/spot/*.gz", "BTCUSDT.BINANCE_SPOT", 9_757, 28_040, 126_074),
    ],
)
def test_raw_recordings(
    tmp_path: Path, pattern: str, instrument: str, trades: int, quotes: int, deltas: int
) -> None:
    store, _ = load(tmp_path, pattern)
    assert [(info.topic, info.kind, info.rows) for info in store.streams()] == [
        (instrument, StreamKind.TRADES, trades),
        (instrument, StreamKind.QUOTES, quotes),
        (instrument, StreamKind.DELTAS, deltas),
    ]


def test_combined_stream_recordings(tmp_path: Path) -> None:
    patterns = ("binance_ws/BINANCE*.gz", "binance_rest/*.http.*.gz")
    store = Store(tmp_path)
    paths = [str(DATA / pattern) for pattern in patterns]
    report = import_files(store, paths, Options(), lambda _done, _total: None)
    assert [file.frames for file in report.files] == [265, 1_535, 4, 4]
    rows = {(str(info.instrument_id), str(info.kind)): info.rows for info in store.streams()}
    assert rows["SUSHIUSDT-PERP.BINANCE", "quotes"] == 305
    assert rows["NKNUSDT.BINANCE_SPOT", "trades"] == 1
    assert rows["NKNUSDT.BINANCE_SPOT", "deltas"] == 1_986
    assert not any("snapshot" in note for file in report.files for note in file.notes)


def test_recordings_kept_as_csv(tmp_path: Path) -> None:
    store, report = load(tmp_path, "binance_quality/*positive*.gz")
    assert [(info.topic, info.kind, info.rows) for info in store.streams()] == [
        ("TRXUSDT.BINANCE_SPOT", StreamKind.TRADES, 10_000),
        ("BTCUSDT.BINANCE_SPOT", StreamKind.DELTAS, 20_002),
        ("TRXUSDT.BINANCE_SPOT", StreamKind.DELTAS, 10_000),
    ]
    assert "begins without a snapshot" in report.files[1].notes[0]
