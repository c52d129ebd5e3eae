"""How numbers, money and moments read."""

from decimal import Decimal

import numpy as np
import pytest

from catalog.report import wording
from catalog.report.html import Markup, el
from catalog.stats import Undefined, Unit

MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "code", "expected"),
    [
        ("1234567.4", "KRW", "1,234,567 KRW"),
        ("-1234.567", "USDT", f"{MINUS}1,234.57 USDT"),
        ("0.00123456", "USDT", "0.0012 USDT"),
        ("0.4", "KRW", "0.40 KRW"),
        ("0", "USDT", "0.00 USDT"),
        ("-0.000", "KRW", "0 KRW"),
        ("0.12345678", "BTC", "0.123457 BTC"),
        ("5", "NEWCOIN", "5.000000 NEWCOIN"),
    ],
)
def test_money(value: str, code: str, expected: str) -> None:
    assert wording.money(Decimal(value), code) == expected


def test_a_gain_carries_its_sign() -> None:
    assert wording.signed_money(Decimal(5), "KRW") == "+5 KRW"
    assert wording.signed_money(Decimal(-5), "KRW") == f"{MINUS}5 KRW"
    assert wording.signed_money(Decimal(0), "KRW") == "0 KRW"


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0.0123, "1.23 %"),
        (-0.5, f"{MINUS}50.00 %"),
        (12.5, "1,250.0 %"),
        (0.000123, "0.0123 %"),
        (1e-9, "0 %"),
        (-1e-9, "0 %"),
    ],
)
def test_percent(fraction: float, expected: str) -> None:
    assert wording.percent(fraction) == expected


@pytest.mark.parametrize(
    ("span_ns", "expected"),
    [
        (0, "0 s"),
        (5_000_000, "5 ms"),
        (59 * 10**9, "59 s"),
        (61 * 10**9, "1 min 1 s"),
        (23_400 * 10**9, "6 h 30 min"),
        (90 * 86_400 * 10**9, "90 d"),
    ],
)
def test_duration(span_ns: int, expected: str) -> None:
    assert wording.duration(span_ns) == expected


def test_a_moment_names_its_zone() -> None:
    assert wording.moment(1_732_060_805_250_000_000, "Asia/Seoul") == "2024-11-20 09:00:05.250 KST"
    assert wording.moment(1_732_060_805_000_000_000, "UTC") == "2024-11-20 00:00:05 UTC"


def test_a_local_axis_follows_clock_changes() -> None:
    before, after = 1_710_053_999_000_000_000, 1_710_054_000_000_000_000  # 01:59:59, 03:00:00
    first, second = wording.local_ms(np.array([before, after]), "America/New_York")
    assert second - first == 3_600_000 + 1_000


def test_an_undefined_number_gives_its_reason() -> None:
    assert wording.written(Undefined("no trade was closed"), Unit.RATIO, "KRW") == (
        "no trade was closed"
    )


def test_prices_keep_their_digits() -> None:
    assert wording.price(Decimal("94210.10")) == "94,210.1"
    assert wording.price(Decimal("71400")) == "71,400"
    assert wording.price(Decimal(1) / Decimal(3)) == "0.33333333"


def test_elements_escape_text_and_attributes() -> None:
    assert el("p", "<b>", title='"x"') == '<p title="&quot;x&quot;">&lt;b&gt;</p>'
    assert el("p", Markup("<b>ok</b>"), hidden=None) == "<p><b>ok</b></p>"
