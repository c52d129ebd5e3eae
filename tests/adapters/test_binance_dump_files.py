"""Which dump files a request needs: Binance's paths, whole months, and what is there already."""

from datetime import date

import pytest

from adapters.binance.dump_files import DumpFile, DumpKind, DumpRequest, files_for
from strategies.errors import BadInput


def request(
    kind: str = "klines",
    first: str = "2025-01-01",
    last: str = "2025-01-01",
    market: str = "spot",
    symbol: str = "BTCUSDT",
    interval: str = "1m",
) -> DumpRequest:
    days = date.fromisoformat(first), date.fromisoformat(last)
    return DumpRequest(market, DumpKind(kind), symbol, *days, interval)


def files(of: DumpRequest, *have: str) -> list[DumpFile]:
    return list(files_for(of, lambda path: path in have))


def paths(of: DumpRequest, *have: str) -> list[str]:
    return [file.path for file in files(of, *have)]


@pytest.mark.parametrize(
    ("market", "kind", "path"),
    [
        ("spot", "klines", "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-01.zip"),
        ("usdm", "klines", "data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-01.zip"),
        ("spot", "trades", "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2025-01-01.zip"),
        ("spot", "aggTrades", "data/spot/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2025-01-01.zip"),
        (
            "usdm",
            "bookTicker",
            "data/futures/um/daily/bookTicker/BTCUSDT/BTCUSDT-bookTicker-2025-01-01.zip",
        ),
        (
            "usdm",
            "fundingRate",
            "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-01.zip",
        ),
    ],
)
def test_paths_are_binances(market: str, kind: str, path: str) -> None:
    assert paths(request(kind, market=market)) == [path]


def test_whole_months_are_one_file_with_their_days_instead() -> None:
    found = files(request(first="2024-01-31", last="2024-03-01"))
    assert [file.name for file in found] == [
        "BTCUSDT-1m-2024-01-31.zip",
        "BTCUSDT-1m-2024-02.zip",
        "BTCUSDT-1m-2024-03-01.zip",
    ]
    assert "/monthly/" in found[1].path
    assert [len(file.instead) for file in found] == [0, 29, 0]
    assert found[1].instead[-1].days == (date(2024, 2, 29),)


def test_what_is_there_decides_for_its_month() -> None:
    day = "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02-10.zip"
    month = "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-02.zip"
    whole = request(first="2024-02-01", last="2024-02-29")
    assert len(paths(whole, day)) == 29
    assert paths(request(first="2024-02-05", last="2024-02-06"), month) == [month]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (request("bookTicker"), "no bookTicker dumps of spot"),
        (request("fundingRate"), "add --market usdm"),
        (request(interval="7m"), "'7m' is no interval"),
        (request(symbol="../BTC"), "no symbol of Binance"),
        (request(market="coinm"), "choose spot or usdm"),
        (request(first="2025-01-02"), "exchange --from and --to"),
    ],
)
def test_what_binance_does_not_offer_is_refused(wrong: DumpRequest, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        files(wrong)
