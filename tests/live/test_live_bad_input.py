"""Whatever is wrong before a live run trades is one sentence, and nothing was changed by then."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_day import scenario
from live_desk import CODES, NAMES, Desk, Typed, not_announcing, serving

from kis_serving import hand_made  # isort: skip - on live_desk's path

from scenarios import market_clock, venue_health

SECRETS = ("APP_KEY", "APP_SECRET", "ACCOUNT", "HTS_ID")
CHANGES = {"order-cash", "order-rvsecncl", "Approval"}
"""What a run that nobody agreed to may not ask; the approval key is what opens a socket."""


@pytest.fixture(scope="module")
def venue() -> Iterator[object]:
    with serving() as served:
        yield served


@pytest.fixture
def desk(tmp_path: Path, monkeypatch, capsys, venue) -> Desk:
    one = Desk(tmp_path, monkeypatch, capsys)
    one.point_at(venue)
    return one


def no_change(venue) -> bool:
    return not CHANGES & set(venue.requests) and not venue.server.desk.sessions.sessions


def told(typed: Typed, code: int, *words: str) -> None:
    assert typed.code == code, typed.said
    assert typed.summary["exit"] == code
    for word in words:
        assert word in typed.sentence
    assert typed.sentence.count("\n") == 0
    assert "Traceback" not in typed.said + typed.out
    assert "defect" not in typed.sentence


# --- settings ---


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_secret_is_named(name: str, desk: Desk) -> None:
    desk.set(**{f"KIS_{name}": " "})
    told(desk.trade(), 2, f"ONETAPE_KIS_{name} is not set")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("APP_KEY", "key with-blanks"),
        ("APP_SECRET", 'quoted"secret'),
        ("ACCOUNT", "12345678"),
        ("ACCOUNT", "12345678-ab"),
        ("HTS_ID", "my id!"),
        ("HTS_ID", "letters-more-than-twenty"),
    ],
)
def test_a_malformed_secret_is_named_and_never_shown(name: str, text: str, desk: Desk) -> None:
    desk.set(**{f"KIS_{name}": text})
    typed = desk.trade()
    told(typed, 2, f"ONETAPE_KIS_{name}")
    assert text not in typed.out + typed.said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("KIS_ENV", "paper"),
        ("KIS_REST_URL", "127.0.0.1:9"),
        ("KIS_WS_URL", "http://127.0.0.1:9"),
        ("KIS_MASTER_URL", "ftp://127.0.0.1"),
        ("MARKET_TIME", "tomorrow"),
        ("MARKET_TIME", "2026-03-09T09:00:00+09:00@"),
    ],
)
def test_a_malformed_setting_is_named(name: str, text: str, desk: Desk) -> None:
    desk.set(**{name: text})
    told(desk.trade(), 2, f"ONETAPE_{name}")


def test_a_market_time_for_a_real_venue_is_refused(desk: Desk) -> None:
    desk.set(KIS_REST_URL="https://kis.invalid", MARKET_TIME="2026-03-09T09:00:00+09:00")
    told(desk.trade(), 2, "ONETAPE_MARKET_TIME", "not on this machine")


def env_file(folder: Path, mode: int, **settings: str) -> None:
    path = folder / ".env"
    path.write_text("".join(f"ONETAPE_KIS_{name}={text}\n" for name, text in settings.items()))
    path.chmod(mode)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_of_secrets_that_others_can_read_is_refused(mode: int, desk: Desk) -> None:
    env_file(desk.home, mode, HTS_ID="othersread")
    typed = desk.trade()
    told(typed, 2, ".env can be read by others", "chmod 600")
    assert "othersread" not in typed.said + typed.out


def test_secrets_come_from_the_file_where_the_environment_has_none(desk: Desk, venue) -> None:
    account = venue.settings["ONETAPE_KIS_ACCOUNT"]
    env_file(desk.home, 0o600, ACCOUNT=f"'{account}'", APP_KEY="the-environments-wins")
    desk.unset("KIS_ACCOUNT")
    told(desk.trade(instruments="990009.KRX"), 2, "990009")  # it got as far as the shares


def test_the_environment_wins_over_the_file(desk: Desk) -> None:
    env_file(desk.home, 0o600, ENV="nonsense")
    desk.set(KIS_ENV="rubbish")
    told(desk.trade(), 2, "ONETAPE_KIS_ENV", "'rubbish'")
    desk.unset("KIS_ENV")
    told(desk.trade(), 2, "ONETAPE_KIS_ENV", "'nonsense'")


# --- the venue's address, keys and kind ---


def test_keys_of_the_other_servers(desk: Desk) -> None:
    desk.set(KIS_ENV="mock")
    told(desk.trade(), 2, "EGW02004", "ONETAPE_KIS_ENV")


@pytest.mark.parametrize(
    ("name", "text"), [("APP_KEY", "a" * 36), ("APP_SECRET", "b" * 180), ("ACCOUNT", "1234567801")]
)
def test_a_wrong_secret_is_named_and_never_shown(name: str, text: str, desk: Desk, venue) -> None:
    desk.set(**{f"KIS_{name}": text})
    typed = desk.trade()
    told(typed, 2, f"ONETAPE_KIS_{name}")
    for secret in (text, *(venue.settings[f"ONETAPE_KIS_{each}"] for each in SECRETS)):
        assert secret not in typed.out + typed.said
    assert no_change(venue)


def test_a_port_where_nobody_listens(desk: Desk) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, so that nobody else takes it, and not listening
        desk.set(KIS_REST_URL=f"http://127.0.0.1:{taken.getsockname()[1]}")
        told(desk.trade(), 1, "127.0.0.1", "ONETAPE_KIS_REST_URL")


@pytest.mark.parametrize(
    "answers",
    [{}, {"": (200, {"hello": 1})}, {"": (200, b"<html>")}, {"": (500, b"")}, {"": (302, b"")}],
    ids=["404", "other JSON", "a page", "500", "elsewhere"],
)
def test_a_port_that_answers_something_else(answers, desk: Desk, venue) -> None:
    with hand_made(answers) as (url, seen):
        desk.set(KIS_REST_URL=url)
        typed = desk.trade()
    told(typed, 1, "ONETAPE_KIS_REST_URL")
    assert not any("order" in each.split()[0] for each in seen)


def test_a_server_that_hangs_is_not_waited_for_long(desk: Desk, monkeypatch) -> None:
    for module, name in ((market_clock, "TIMEOUT_S"), (venue_health, "PATIENCE_S")):
        monkeypatch.setattr(module, name, 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        desk.set(KIS_REST_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
        typed = desk.trade(limits="request_timeout_ns = 200_000_000")
    told(typed, 1, "ONETAPE_KIS_REST_URL")


def test_a_token_folder_that_cannot_be_written(desk: Desk) -> None:
    (desk.home / "tokens").write_text("no folder")
    told(desk.trade(), 2, "token", str(desk.home), "ONETAPE_HOME")


def test_a_journal_that_cannot_be_opened(desk: Desk, venue) -> None:
    desk.set(JOURNAL=f"sqlite:///{desk.home}/none/journal.sqlite")
    (desk.home / "none").write_text("no folder")
    typed = desk.trade()
    assert typed.code in {1, 2}
    assert "none" in typed.sentence
    assert no_change(venue)


# --- the scenario ---


@pytest.mark.parametrize(
    ("instruments", "words"),
    [
        ("990009.KRX", "KIS knows no share 990009"),
        ("77*.KRX", "77*.KRX"),
        ('990001.KRX", "77*.KRX', "77*.KRX"),
        ("BTCUSDT.BINANCE", "BTCUSDT.BINANCE"),
        ("990001", "990001"),
    ],
)
def test_a_share_that_there_is_not(instruments: str, words: str, desk: Desk, venue) -> None:
    typed = desk.trade(instruments=instruments)
    told(typed, 2, words)
    assert "import" not in typed.sentence  # that is how a catalog gets one
    assert no_change(venue)


def test_another_venue_beside(desk: Desk) -> None:
    path = scenario(desk.home)
    path.write_text(path.read_text() + '[venues.BINANCE]\nbalances = ["1_000 USDT"]\n')
    told(desk.run(path), 2, "BINANCE", "KRX")


@pytest.mark.parametrize("stream", ["funding", "-1-MINUTE", "2-DAY", "1-WEEK", "100-TICK"])
def test_a_stream_that_kis_has_not(stream: str, desk: Desk) -> None:
    told(desk.trade(streams=stream), 2, repr(stream), "1-MINUTE")


@pytest.mark.parametrize(("cash", "words"), [(0, "no money"), (-5, "start with 0 or more")])
def test_no_money(cash: int, words: str, desk: Desk, venue) -> None:
    told(desk.trade(cash=cash), 2, words)
    assert no_change(venue)


def test_money_that_the_venue_does_not_take(desk: Desk, venue) -> None:
    path = scenario(desk.home, instruments=NAMES)
    path.write_text(path.read_text().replace("100000000 KRW", "1_000 USD"))
    told(desk.run(path), 2, "USD", "KRW")
    assert no_change(venue)


def test_more_streams_than_registrations(desk: Desk) -> None:
    typed = desk.trade(limits="registrations = 2")
    told(typed, 2, "hear 2 streams", "notices take 1", "registers 2")


def test_a_limit_that_there_is_not(desk: Desk) -> None:
    told(desk.trade(limits="registration = 2"), 2, "registration")


@pytest.mark.parametrize("on", ["paper", "latency"])
def test_what_is_not_there_yet(on: str, desk: Desk) -> None:
    told(desk.trade("--on", on), 2, f"--on {on}")


def test_a_window_that_is_over_or_has_not_begun(desk: Desk, venue) -> None:
    told(desk.trade("--to", "2026-03-09T08:00:00+09:00"), 2, "--to", "KST")
    told(desk.trade("--from", "2026-03-09T10:00:00+09:00"), 2, "--from")
    assert no_change(venue)


def test_a_strategy_that_cannot_be_made(desk: Desk, venue) -> None:
    (desk.home / "unmade.py").write_text(
        "from strategies.decider import Params, Setup, Strategy\n"
        "class Unmade(Strategy[Params]):\n"
        "    params_type = Params\n"
        "    def __init__(self, setup: Setup[Params]) -> None:\n"
        "        super().__init__(setup)\n"
        "        self.x = {}['threshold']\n"
        "    def on_trade(self, trade):\n"
        "        return ()\n"
    )
    path = scenario(desk.home, instruments=NAMES)
    text = path.read_text().replace("churn:Churn", "unmade:Unmade")
    path.write_text(text.replace("params = { step = 1 }", ""))
    told(desk.run(path), 2, "churn", "unmade.py, line 6", "threshold")
    assert no_change(venue)


@pytest.mark.parametrize("speed", ["0", "-1", "1e999999999", "nan", "1/0", "10001", "fast"])
def test_a_speed_that_no_market_has(speed: str, desk: Desk) -> None:
    told(desk.type("venue", "kis", f"--speed={speed}", "--json"), 2, "--speed")


# --- a day without a market, and consent ---


def test_a_day_on_which_kis_stays_closed(tmp_path: Path, monkeypatch, capsys) -> None:
    with serving(open_days=frozenset({"20260310"})) as closed:
        desk = Desk(tmp_path, monkeypatch, capsys)
        desk.point_at(closed)
        told(desk.trade(), 2, "stays closed on 2026-03-09")
        assert no_change(closed)


@pytest.mark.parametrize("time", ["2026-03-09T09:00:10+09:00"])
def test_without_consent_nothing_is_sent_that_changes_anything(time: str, desk, venue) -> None:
    with not_announcing(venue) as proxy:
        desk.set(MARKET_TIME=time, **{f"KIS_{k}": v for k, v in proxy.settings(venue).items()})
        typed = desk.trade()
    told(typed, 2, "--yes-trade-real-money", "real money")
    assert no_change(venue)
    account = venue.settings["ONETAPE_KIS_ACCOUNT"]
    assert account[:8] not in typed.out + typed.said
    assert f"****{account[6:8]}-{account[8:]}" in typed.said
    for word in ("cash of the account", "100,000,000 KRW", *CODES, "most that can be lost", "yes"):
        assert word in typed.said
    assert desk.type("runs").out.startswith("No run yet")
