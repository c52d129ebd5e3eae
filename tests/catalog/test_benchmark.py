"""What holding would have earned: equal money in each instrument, no look ahead."""

from dataclasses import replace

import numpy as np
import pytest
import report_sample as sample

from catalog.benchmark import Benchmark
from catalog.equity import Book
from catalog.thinning import PriceMarks


def marks(*pairs: tuple[int, float]) -> PriceMarks:
    return PriceMarks(np.array([t for t, _ in pairs], np.int64), np.array([p for _, p in pairs]))


@pytest.fixture(scope="module")
def book() -> Book:
    books = sample.two_venues().equity.books
    return next(book for book in books if book.venue == "KRX")  # starts with 50,000,000 KRW


HELD = Benchmark(
    {
        "A.KRX": marks((10, 100.0), (20, 110.0), (30, 90.0)),
        "B.KRX": marks((20, 50.0), (30, 100.0)),
        "C.BINANCE": marks((10, 1.0), (20, 9.0)),
        "D.KRX": marks(),
    }
)


def test_the_same_money_in_each_from_its_first_price(book: Book) -> None:
    values = HELD.values(book, np.array([5, 10, 19, 20, 30, 99]))
    assert values is not None
    growth = [1.0, 1.0, 1.0, (1.1 + 1.0) / 2, (0.9 + 2.0) / 2, (0.9 + 2.0) / 2]
    assert values.tolist() == pytest.approx([50_000_000 * each for each in growth])


def test_a_book_holds_the_instruments_of_its_venue(book: Book) -> None:
    assert HELD.held("KRX") == ["A.KRX", "B.KRX"]
    assert HELD.held("BINANCE") == ["C.BINANCE"]
    assert HELD.held("all venues") == ["A.KRX", "B.KRX", "C.BINANCE"]
    assert HELD.values(replace(book, venue="NOWHERE"), np.array([10])) is None


def test_an_index_stands_for_every_venue(book: Book) -> None:
    index = Benchmark({"KOSPI.KRX": marks((10, 2.0), (20, 3.0))}, "KOSPI.KRX")
    assert index.name == "KOSPI.KRX"
    for venue in ("KRX", "BINANCE", "all venues"):
        values = index.values(replace(book, venue=venue), np.array([20]))
        assert values is not None
        assert values.tolist() == [75_000_000]
