"""`onetape data pull kis` as it is typed, against the simulated KIS on loopback."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from kis_serving import TOKEN, hand_made, kis_serving, refused
from nautilus_trader.model import InstrumentId

from catalog.layout import file_span
from catalog.read import stream_tables
from catalog.resample import bars_from_trades
from catalog.store import Store
from scenarios import kis_bars
from scenarios.calendars import krx_sessions
from scenarios.cli import main
from scenarios.kis_pull import read_codes
from scenarios.venues.kis.compose import generate
from scenarios.venues.kis.market_time import ymd
from scenarios.venues.kis.symbols import DayBar, MinuteBar
from strategies.errors import BadInput
from strategies.ports import StreamKind

from kis_market import CODE, OPEN_NS, SESSION, quote, trade  # isort: skip - found on the path of kis_serving

OTHER = "0002A0"
CODES = (CODE, OTHER)
SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
AFTER_CLOSE = 24_000
EVENTS = [quote(1), trade(2, 10_000, 5)]
MINUTES = f"{CODE}.KRX-1-MINUTE-LAST-EXTERNAL"
DAYS = f"{CODE}.KRX-1-DAY-LAST-EXTERNAL"
PRICES = ("--kind", "minutes", "--from", "2026-03-09", "--to", "2026-03-09")
FRIDAY = ("--kind", "minutes", "--from", "2026-03-06", "--to", "2026-03-06")
PAST, TODAY = "inquire-time-dailychartprice", "inquire-time-itemchartprice"


def minute_bars(symbol, *numbers, day="20260309"):
    """Give a share minutes of one price each; number 390 is the closing auction's."""
    symbol.minutes = [
        MinuteBar(day, f"{9 + n // 60:02d}{n % 60:02d}00", *(10_000 + n,) * 4, 100 + n, 1)
        for n in numbers
    ]


def day_bars(symbol, count):
    """Give a share daily bars of the sessions before the one that is played."""
    calendar = krx_sessions(OPEN_NS - 2 * count * DAY, OPEN_NS)
    days, at = [], OPEN_NS - 2 * count * DAY
    while (session := calendar.next_after(at)).open_ns < OPEN_NS:
        at = session.open_ns
        price = 9_000 + len(days)
        days.append(DayBar(ymd(at), *(price,) * 4, 1_000 + len(days), 1, price))
    symbol.days = days[-count:]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def kis(home, monkeypatch):
    with kis_serving(*EVENTS, codes=CODES, now=AFTER_CLOSE) as served:
        served.set(monkeypatch)
        symbols = served.server.venue.exchange.symbols
        served.one, served.other = symbols[CODE], symbols[OTHER]
        yield served


def pull(capsys, *args, code=0):
    assert main(["data", "pull", "kis", *args, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def rows(home, kind, topic):
    tables = list(stream_tables(Store(home / "catalog"), kind, topic))
    return pa.concat_tables(tables).to_pylist() if tables else []


def closes(home, topic=MINUTES):
    """Return minutes after the open of each bar, and its close."""
    found = rows(home, StreamKind.BARS, topic)
    return [((row["ts_init"].value - OPEN_NS) // MINUTE, int(row["close"])) for row in found]


# --- minutes ---


def test_minutes_come_in_pages_are_stamped_at_their_close_and_asked_once(kis, home, capsys):
    numbers = [*range(380), 390]
    minute_bars(kis.one, *numbers, day="20260306")
    values = pull(capsys, CODE, *FRIDAY)
    assert values["rows_added"] == 381
    friday = 3 * 24 * 60
    assert closes(home) == [(n + 1 - friday, 10_000 + n) for n in numbers]
    assert (kis.requests[PAST], kis.requests[TODAY]) == (4, 0)
    assert kis.requests["inquire-price"] == 1  # without a key: is this KIS?
    again = pull(capsys, CODE, *FRIDAY)
    assert (again["rows_added"], again["requests"]) == (0, 0)
    assert kis.requests[PAST] == 4


def test_minutes_of_the_running_day_come_from_their_own_service(kis, home, capsys):
    minute_bars(kis.one, *range(391))
    assert pull(capsys, CODE, *PRICES)["rows_added"] == 391
    assert (kis.requests[PAST], kis.requests[TODAY]) == (0, 14)
    assert pull(capsys, CODE, *PRICES)["requests"] == 0


def test_a_running_session_is_taken_to_its_last_whole_minute(home, capsys, monkeypatch):
    # the first is over by our clock, and perhaps not by KIS's
    for now_s, minutes in ((60 * 60 + 1, 59), (90 * 60 + 30, 90), (120 * 60 + 59, 120)):
        with kis_serving(*EVENTS, codes=CODES, now=now_s) as served:
            served.set(monkeypatch)
            minute_bars(served.server.venue.exchange.symbols[CODE], *range(391))
            pull(capsys, CODE, *PRICES)
        assert [minute for minute, _ in closes(home)] == list(range(1, minutes + 1))


def test_minutes_before_and_after_what_is_held_are_filled_in(kis, home, capsys):
    minute_bars(kis.one, *range(100, 150))
    pull(capsys, CODE, *PRICES)
    minute_bars(kis.one, *range(391))
    values = pull(capsys, CODE, *PRICES)
    assert values["rows_added"] == 341
    assert [minute for minute, _ in closes(home)] == list(range(1, 392))
    assert pull(capsys, CODE, *PRICES)["requests"] == 0


def test_several_shares_and_codes_from_a_file(kis, home, capsys, tmp_path):
    minute_bars(kis.one, *range(391))
    minute_bars(kis.other, *range(200), 390)
    (tmp_path / "codes.txt").write_text(f"# mine\n{CODE}, {OTHER}.KRX  # both\n\n{CODE}\n")
    values = pull(capsys, "@codes.txt", *PRICES)
    assert (values["shares"], values["rows_added"]) == (2, 391 + 201)
    known = Store(home / "catalog").instruments()
    assert {str(each) for each in known} == {f"{CODE}.KRX", f"{OTHER}.KRX"}
    assert {each.info["name"] for each in known.values()} == {f"가상{CODE}", f"가상{OTHER}"}


def test_shares_are_written_in_groups_and_the_rest_at_the_end(kis, home, capsys, monkeypatch):
    monkeypatch.setattr(kis_bars, "_BARS_AT_ONCE", 100)
    minute_bars(kis.one, *range(391))
    minute_bars(kis.other, 390)
    assert pull(capsys, *CODES, *PRICES)["rows_added"] == 392
    assert len(closes(home)) == 391


def test_all_shares_together_stay_within_the_request_limit(home, capsys, monkeypatch):
    with kis_serving(*EVENTS, codes=CODES, now=AFTER_CLOSE, limits={"requests_per_s": 18}) as one:
        one.set(monkeypatch)
        for symbol in one.server.venue.exchange.symbols.values():
            minute_bars(symbol, *range(391))
        assert pull(capsys, *CODES, *PRICES)["requests"] == 28 + 1  # and the token
        assert not one.server.venue.witness.violation_counts


def test_a_limit_can_be_set(kis, home, capsys):
    day_bars(kis.one, 5)
    options = ("--from", "2026-03-02", "--limit", "requests=3", "--limit", "page_orders=5")
    assert pull(capsys, CODE, *options)["rows_added"] == 10


def test_minutes_without_a_trade_are_no_bars(kis, home, capsys):
    minute_bars(kis.one, *range(391))
    for bar in kis.one.minutes[10:20]:
        bar.volume = 0
    assert pull(capsys, CODE, *PRICES)["rows_added"] == 381
    assert len(closes(home)) == 381


def test_a_pull_that_breaks_off_keeps_what_it_has_and_goes_on_there(kis, home, capsys):
    minute_bars(kis.one, *range(391), day="20260306")
    newer = list(kis.one.minutes)
    minute_bars(kis.one, *range(391), day="20260305")
    kis.one.minutes += newer
    kis.arm("garbage_reply", count=1, match="dailychartprice", every=6)
    options = ("--kind", "minutes", "--from", "2026-03-05", "--to", "2026-03-06")
    values = pull(capsys, CODE, *options, code=1)
    assert "past_minute_bars" in values["error"]
    assert len(closes(home)) == 391
    asked = kis.requests[PAST]
    assert pull(capsys, CODE, *options)["rows_added"] == 391
    assert kis.requests[PAST] == asked + 4
    assert len(closes(home)) == 782


def test_more_than_a_year_of_minutes_is_said_and_not_searched_for_ever(kis, home, capsys):
    minute_bars(kis.one, *range(391))
    options = ("--kind", "minutes", "--from", "2020-03-02", "--to", "2020-03-31")
    assert main(["data", "pull", "kis", CODE, *options]) == 2
    shown = capsys.readouterr()
    assert "KIS serves about one year of minutes" in shown.out
    assert "KIS has no minutes of 990001 for these days" in shown.err
    assert kis.requests[PAST] == 1


# --- days ---

YEAR = ("--kind", "days", "--from", "2025-09-01", "--to", "2026-03-08")


def test_days_become_an_opening_print_and_a_bar(kis, home, capsys):
    day_bars(kis.one, 250)
    values = pull(capsys, CODE, *YEAR)
    bars = rows(home, StreamKind.BARS, DAYS)
    prints = rows(home, StreamKind.TRADES, f"{CODE}.KRX")
    assert values["rows_added"] == len(bars) + len(prints)
    assert kis.requests["inquire-daily-itemchartprice"] == 2
    last = bars[-1]["ts_init"].to_pydatetime().astimezone(UTC)
    assert last == datetime(2026, 3, 6, 6, 30, tzinfo=UTC)
    opened = prints[-1]["ts_init"].to_pydatetime().astimezone(UTC)
    assert opened == datetime(2026, 3, 6, 0, 0, tzinfo=UTC)
    assert prints[-1]["trade_id"] == "open-20260306"
    sizes = [int(each["size"]) for each in prints]
    volumes = [int(each["volume"]) for each in bars]
    assert sizes[1:] == volumes[:-1]
    assert sizes[0] == volumes[0] - 1  # the day before was asked for its volume alone
    again = pull(capsys, CODE, *YEAR)
    assert (again["rows_added"], again["requests"]) == (0, 0)


def test_a_series_pulled_in_parts_equals_the_one_pulled_whole(kis, home, capsys, monkeypatch):
    day_bars(kis.one, 100)
    for first, last in (("2026-01-05", "2026-01-16"), ("2026-02-02", "2026-02-27")):
        pull(capsys, CODE, "--kind", "days", "--from", first, "--to", last)
    pull(capsys, CODE, "--kind", "days", "--from", "2026-01-05", "--to", "2026-03-06")
    parts = [rows(home, kind, topic) for kind, topic in (
        (StreamKind.BARS, DAYS), (StreamKind.TRADES, f"{CODE}.KRX"))]  # fmt: skip
    whole = home.parent / "whole"
    monkeypatch.setenv("ONETAPE_HOME", str(whole))
    (whole / "tokens").mkdir(parents=True)
    for path in (home / "tokens").iterdir():
        path.rename(whole / "tokens" / path.name)
    pull(capsys, CODE, "--kind", "days", "--from", "2026-01-05", "--to", "2026-03-06")
    assert [rows(whole, StreamKind.BARS, DAYS), rows(whole, StreamKind.TRADES, f"{CODE}.KRX")] == (
        parts
    )


def test_days_whose_trades_are_held_get_no_print(kis, home, capsys):
    day_bars(kis.one, 40)
    with Store(home / "catalog").importing() as batch:
        from catalog.generate.market import generate_krx
        from strategies.markets.sessions import Session

        day = OPEN_NS - 3 * 86_400 * SECOND  # Friday, 2026-03-06
        session = Session(day, day + 23_400 * SECOND)
        generate_krx(batch, [session], symbols=1, seed=1, trades_per_day=100)
    pull(capsys, CODE, "--kind", "days", "--from", "2026-03-02", "--to", "2026-03-08")
    spans = [file_span(path.name) for path in Store(home / "catalog").files(
        StreamKind.TRADES, f"{CODE}.KRX")]  # fmt: skip
    assert len(spans) == 2
    assert spans[0][1] < day
    ids = [each["trade_id"] for each in rows(home, StreamKind.TRADES, f"{CODE}.KRX")]
    assert [each for each in ids if each.startswith("open-")] == [
        f"open-2026030{day}" for day in (3, 4, 5)
    ]  # the second is a holiday
    assert len(rows(home, StreamKind.BARS, DAYS)) == 4


def test_a_price_that_differs_from_the_catalogs_is_refused(kis, home, capsys):
    day_bars(kis.one, 40)
    options = ("--kind", "days", "--adjusted", "--from", "2026-02-23")
    pull(capsys, CODE, *options, "--to", "2026-02-27")
    kis.one.days = [
        DayBar(bar.day, *(bar.close // 2,) * 4, bar.volume, 1, 1) for bar in kis.one.days
    ]
    values = pull(capsys, CODE, *options, "--to", "2026-03-06", code=2)
    assert "as after a split" in values["error"]
    assert len(rows(home, StreamKind.BARS, DAYS)) == 5
    known = Store(home / "catalog").instruments()
    assert next(iter(known.values())).info["adjusted"] is True
    values = pull(capsys, CODE, *options[:2], *options[3:], code=2)
    assert "is in the catalog with adjusted prices" in values["error"]


# --- bad input ---


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["12", "--from", "2026-03-02"], "'12' is no KRX share code"),
        (["@none.txt", "--from", "2026-03-02"], "none.txt cannot be read"),
        ([CODE, "--from", "2026-03-02", "--to", "2026-03-01"], "exchange them"),
        ([CODE, "--from", "yesterday"], "is no date like"),
        ([CODE, "--from", "2026-03-02", "--adjusted", "--kind", "minutes"], "--kind days"),
        (["123456", "--from", "2026-03-02"], "KIS knows no share 123456"),
        ([CODE, "--from", "2026-03-02", "--limit", "requests"], "is no NAME=N"),
        ([CODE, "--from", "2026-03-02", "--limit", "request=3"], "did you mean requests"),
        ([CODE, "--from", "2026-03-02", "--limit", "requests=0"], "at least 1"),
        ([CODE, "--from", "2026-03-07", "--to", "2026-03-08"], "KIS has no days of 990001"),
    ],
)
def test_bad_input_is_one_sentence(kis, home, capsys, args, words):
    error = pull(capsys, *args, code=2)["error"]
    assert words in error
    assert not (home / "catalog" / "data").exists()


def test_a_running_day_is_no_daily_bar_yet(home, capsys, monkeypatch):
    options = ("--kind", "days", "--from", "2026-03-09")
    with kis_serving(*EVENTS, codes=CODES, now=23_400) as served:  # 15:30:00
        served.set(monkeypatch)
        day_bars(served.server.venue.exchange.symbols[CODE], 5)
        assert "a day appears after its close" in pull(capsys, CODE, *options, code=2)["error"]
    with kis_serving(*EVENTS, codes=CODES, now=AFTER_CLOSE) as served:
        served.set(monkeypatch)
        assert pull(capsys, CODE, *options)["rows_added"] == 2


@pytest.mark.parametrize("name", ["APP_KEY", "APP_SECRET", "ACCOUNT", "HTS_ID"])
def test_a_missing_key_is_named(kis, home, capsys, monkeypatch, name):
    monkeypatch.delenv(f"ONETAPE_KIS_{name}")
    error = pull(capsys, CODE, *YEAR, code=2)["error"]
    assert f"ONETAPE_KIS_{name} is not set" in error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("APP_KEY", "two words here"),
        ("APP_SECRET", '"quoted-secret"'),
        ("ACCOUNT", "1234-5678"),
        ("HTS_ID", "no id at all"),
        ("ENV", "paper"),
        ("REST_URL", "127.0.0.1:80"),
    ],
)
def test_a_malformed_setting_is_named_and_not_shown(kis, home, capsys, monkeypatch, name, text):
    monkeypatch.setenv(f"ONETAPE_KIS_{name}", text)
    error = pull(capsys, CODE, *YEAR, code=2)["error"]
    assert error.startswith(f"ONETAPE_KIS_{name} ")
    assert text not in error or name == "ENV"


NO_KEY = {"inquire-price": refused("EGW00121", "no token"), "tokenP": (200, TOKEN)}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"": refused("EGW02004", "실전투자 TR 이 아닙니다.")}, "ONETAPE_KIS_ENV"),
        ({"": refused("EGW00207", "no right")}, "lasts one year"),
        ({"": refused("EGW09999", "API 서비스 신청기간이 만료되었습니다.")}, "has ended"),
        ({"tokenP": (403, {"error_code": "EGW00103", "error_description": "x"})}, "has expired"),
        ({"tokenP": (403, {"error_code": "EGW00105", "error_description": "x"})}, "_APP_SECRET"),
        ({"tokenP": (200, {"access_token": ""})}, "no token with a lifetime"),
        ({"tokenP": (404, b"<html>")}, "ONETAPE_KIS_REST_URL"),
        ({"": (200, b"<html>")}, "ONETAPE_KIS_REST_URL"),
    ],
)
def test_what_people_must_act_on_is_one_sentence(kis, home, capsys, monkeypatch, answers, words):
    with hand_made(NO_KEY | answers) as (url, seen):
        monkeypatch.setenv("ONETAPE_KIS_REST_URL", url)
        error = pull(capsys, CODE, *YEAR, code=1)["error"]
    assert words in error
    assert error.endswith(".")
    assert not error.endswith("..")
    assert not any(kis.settings[f"ONETAPE_KIS_{name}"] in error for name in ("APP_KEY", "HTS_ID"))
    assert sum("tokenP" in each for each in seen) <= 1
    assert not (home / "catalog" / "data").exists()


@pytest.mark.parametrize("content", [{"": (501, b"<html>")}, {"": (200, {"status": "up"})}, None])
def test_another_server_is_told_at_once_and_gets_no_key(kis, home, capsys, monkeypatch, content):
    with hand_made(content or {}) as (url, seen):
        place = url if content else "http://127.0.0.1:1"
        monkeypatch.setenv("ONETAPE_KIS_REST_URL", place)
        error = pull(capsys, CODE, *YEAR, code=1)["error"]
    assert place in error
    assert "ONETAPE_KIS_REST_URL" in error
    assert not any(kis.settings["ONETAPE_KIS_APP_KEY"] in each for each in seen)


def test_a_token_that_cannot_be_kept_is_one_sentence(kis, home, capsys):
    home.mkdir()
    (home / "tokens").touch()
    error = pull(capsys, CODE, *YEAR, code=2)["error"]
    assert "cannot be kept" in error
    assert "ONETAPE_HOME" in error


def test_codes_are_read_from_files(tmp_path):
    path = tmp_path / "codes"
    path.write_text("A005930 000660.KRX # two\n0001a0,005930\n")
    assert read_codes([f"@{path}", "035720"]) == ["005930", "000660", "0001A0", "035720"]
    path.write_text("005930\n# two\n12\n")
    with pytest.raises(BadInput, match="line 3: '12' is no KRX share code"):
        read_codes([f"@{path}"])
    path.write_text("# nothing\n")
    with pytest.raises(BadInput, match="names no code"):
        read_codes([f"@{path}"])
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="it is no text"):
        read_codes([f"@{path}"])


def test_pulled_minutes_equal_those_folded_from_the_tape(home, capsys, monkeypatch, tmp_path):
    tape = Store(tmp_path / "tape")
    generate(tape, SESSION, 1, seed=3, trades=400)
    with kis_serving(store=tape, now=AFTER_CLOSE) as served:
        served.set(monkeypatch)
        pull(capsys, CODE, *PRICES)
    instrument = tape.instruments()[InstrumentId.from_str(f"{CODE}.KRX")]
    end_ns = SESSION.close_ns + MINUTE
    trades = stream_tables(tape, StreamKind.TRADES, f"{CODE}.KRX")
    parts = bars_from_trades(trades, instrument, MINUTE, SESSION.open_ns, end_ns)
    folded = pa.concat_tables(parts).to_pylist()
    assert rows(home, StreamKind.BARS, MINUTES) == folded
    assert len(folded) > 100
