"""The doctor at KIS: what answers, whose clock is right, which key does what, how many slots."""

import asyncio
import threading
import time
from contextlib import contextmanager
from email.utils import formatdate

import msgspec
import pytest
from kis_serving import hand_made, kis_serving, refused

from adapters.kis.config import read_config
from adapters.kis.connection import Reply
from scenarios import health
from scenarios.findings import State
from scenarios.scenario import ScenarioTable, load_scenario
from scenarios.settings import Settings
from scenarios.venue_health import (
    Probe,
    check_live,
    check_skew,
    check_slots,
    examine_kis,
    slots_needed,
)

from kis_market import WHO, quote, trade  # isort: skip - found on the path of kis_serving

EVENTS = [quote(1), trade(2, 10_000, 5)]
SECRETS = (WHO.app_key, WHO.app_secret, WHO.account, WHO.account[:8], WHO.hts_id)
ALL = ["KIS address", "KIS clock", "KIS token", "KIS account", "KIS WebSocket key"]
NOW = 1_790_000_000 * 10**9


def at(home):
    return Settings(home, f"sqlite:///{home / 'journal.sqlite'}")


def states(findings):
    shown = repr(findings)
    assert not any(secret in shown for secret in SECRETS)
    return {finding.what: finding.state for finding in findings}


@pytest.fixture
def kis():
    with kis_serving(*EVENTS) as served:
        yield served


def test_a_venue_in_order_is_all_ok_and_gives_its_token_once(kis, tmp_path):
    for _ in range(2):
        findings = examine_kis(at(tmp_path), kis.settings, None)
        assert states(findings) == dict.fromkeys(ALL, State.OK)
    assert kis.requests["tokenP"] == 1


def test_the_doctor_looks_at_kis_only_with_its_keys(kis, tmp_path):
    assert not [f for f in health.examine(at(tmp_path), {}, tmp_path) if f.what in ALL]
    found = states(health.examine(at(tmp_path), kis.settings, tmp_path))
    assert {found[name] for name in ALL} == {State.OK}
    broken = kis.settings | {"ONETAPE_KIS_ACCOUNT": "12"}
    assert not [f for f in health.examine(at(tmp_path), broken, tmp_path) if f.what in ALL]


@pytest.mark.parametrize(
    ("name", "text", "what", "words"),
    [
        ("APP_KEY", "x" * 36, "KIS token", "EGW00103"),
        ("APP_SECRET", "x" * 180, "KIS token", "EGW00105"),
        ("ACCOUNT", "1234567801", "KIS account", "OPSQ2000"),
        ("ENV", "mock", "KIS account", "EGW02004"),
        ("HTS_ID", "", "KIS settings", "ONETAPE_KIS_HTS_ID is not set"),
        ("REST_URL", "http://127.0.0.1:1", "KIS address", "nothing answers"),
    ],
)
def test_each_wrong_setting_is_found(kis, tmp_path, name, text, what, words):
    findings = examine_kis(at(tmp_path), kis.settings | {f"ONETAPE_KIS_{name}": text}, None)
    assert states(findings)[what] is State.FAIL
    last = findings[-1]
    assert last.what == what  # nothing more is asked after a failure
    assert words in last.found
    assert last.advice or what == "KIS settings"
    if name == "ENV":
        assert "ONETAPE_KIS_ENV" in last.advice


def test_a_second_token_within_a_minute_is_a_warning(kis, tmp_path):
    kis.server.venue.tokens.issue(WHO.app_key, time.time_ns())  # to a process of another machine
    findings = examine_kis(at(tmp_path), kis.settings, None)
    assert states(findings)["KIS token"] is State.WARN
    assert findings[-1].what == "KIS token"
    assert "once a minute" in findings[-1].advice


def test_a_token_that_cannot_be_kept_is_one_sentence(kis, tmp_path):
    (tmp_path / "tokens").touch()
    findings = examine_kis(at(tmp_path), kis.settings, None)
    assert states(findings)["KIS token"] is State.FAIL
    assert "ONETAPE_HOME" in findings[-1].found


# --- a port that answers something else ---


@contextmanager
def answering(content):
    """Serve the same bytes to whoever connects; gives the port and what was read."""
    seen = []

    async def end(reader, writer):
        seen.append(await reader.read(65_536))
        writer.write(content() if callable(content) else content)
        await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start():
        return await asyncio.start_server(end, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(5)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


@pytest.mark.parametrize("content", [b"SSH-2.0-OpenSSH_9.6\r\n", b""])
def test_a_port_of_something_else_is_named_and_gets_no_key(kis, tmp_path, content):
    with answering(content) as (port, seen):
        refuse_to_go_on(kis, tmp_path, f"http://127.0.0.1:{port}", "answers no HTTP")
    assert seen
    assert not any(secret.encode() in each for each in seen for secret in SECRETS)


@pytest.mark.parametrize("told", [b"<html>welcome</html>", {"status": "ok"}, [1, 2]])
@pytest.mark.parametrize("status", [200, 404, 501])
def test_another_server_is_named_and_gets_no_key(kis, tmp_path, told, status):
    with hand_made({"": (status, told)}) as (url, seen):
        refuse_to_go_on(kis, tmp_path, url, f"not as KIS does (status {status}, application/json)")
    assert seen
    assert not any(secret in each for each in seen for secret in SECRETS)


def refuse_to_go_on(kis, tmp_path, url, words):
    findings = examine_kis(at(tmp_path), kis.settings | {"ONETAPE_KIS_REST_URL": url}, None)
    assert states(findings) == {"KIS address": State.FAIL}
    assert words in findings[0].found
    assert "ONETAPE_KIS_REST_URL" in findings[0].advice


@pytest.mark.parametrize(
    ("ahead_s", "state", "words"),
    [
        (0.4, "ok", "behind"),
        (1.9, "ok", "1.4 s ahead"),
        (3.0, "warn", "2.5 s ahead"),
        (-3.0, "warn", "3.5 s behind"),
        (61.0, "fail", "60.5 s ahead"),
        (-3_600.0, "fail", "3600.5 s behind"),
    ],
)
def test_our_clock_is_held_against_the_date_of_an_answer(ahead_s, state, words):
    reply = Reply(200, {"date": formatdate(NOW // 10**9, usegmt=True)}, b"")
    finding = check_skew(Probe(reply, is_kis=True, wall_ns=NOW + int(ahead_s * 10**9)))
    assert finding.state == state
    assert words in finding.found


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}, {"Date": ""}])
def test_an_answer_without_a_date_leaves_the_skew_unknown(headers):
    probe = Probe(Reply(200, headers, b""), is_kis=True, wall_ns=NOW)
    assert check_skew(probe).state is State.WARN


def test_a_server_whose_clock_is_an_hour_off_is_found(kis, tmp_path):
    late = formatdate(time.time() - 3_600, usegmt=True)
    with hand_made({"": refused("EGW00121", "no token")}, date=late) as (url, _):
        findings = examine_kis(at(tmp_path), kis.settings | {"ONETAPE_KIS_REST_URL": url}, None)
    assert states(findings)["KIS clock"] is State.FAIL


# --- slots ---


def table(*strategies):
    return msgspec.convert(
        {
            "name": "x",
            "strategies": [
                {"name": f"s{n}", "class": "a:B", "instruments": i, "streams": s, "weight": "0.1"}
                for n, (i, s) in enumerate(strategies)
            ],
        },
        ScenarioTable,
        strict=False,
    )


@pytest.mark.parametrize(
    ("strategies", "slots"),
    [
        ([(["005930.KRX"], ["trades"])], 2),
        ([(["005930.KRX"], ["trades", "quotes"])], 3),
        ([(["005930.KRX"], ["trades", "1-MINUTE", "5-MINUTE"])], 2),
        ([(["005930.KRX"], ["quotes"]), (["005930.KRX", "000660.KRX"], ["quotes"])], 3),
        ([(["99*.KRX"], ["1-MINUTE"])], 4),
        ([(["BTCUSDT.BINANCE_SPOT"], ["trades"])], 0),
        ([(["BTCUSDT.BINANCE_SPOT", "005930.KRX"], ["trades"])], 2),
    ],
)
def test_registrations_are_counted_once_per_share_and_kind(strategies, slots):
    known = ["990001.KRX", "990002.KRX", "990003.KRX", "BTCUSDT.BINANCE_SPOT"]
    assert slots_needed(table(*strategies), known) == slots


@pytest.mark.parametrize(
    ("count", "most", "state"), [(40, 41, "ok"), (41, 41, "fail"), (5, 5, "fail")]
)
def test_a_scenario_that_needs_too_many_registrations_fails(tmp_path, kis, count, most, state):
    config = read_config(kis.settings, {"registrations": most})
    names = [f"{number:06d}.KRX" for number in range(count)]
    (finding,) = check_slots(table((names, ["1-MINUTE"])), at(tmp_path), config)
    assert (finding.what, finding.state) == ("KIS slots", state)
    assert f"needs {count + 1} of {most}" in finding.found


SCENARIO = """
name = "many"
[venues.KRX]
balances = ["100_000_000 KRW"]
limits = {limits}
[[strategies]]
name = "cross"
class = "strategies.sma_crossover:SmaCrossover"
instruments = ["005930.KRX", "000660.KRX"]
streams = ["1-MINUTE"]
weight = 0.5
"""


@pytest.mark.parametrize(
    ("limits", "what", "state", "words"),
    [
        ("{ registrations = 2 }", "KIS slots", "fail", "needs 3 of 2"),
        ("{ registration = 2 }", "KIS settings", "fail", "did you mean registrations"),
    ],
)
def test_a_scenarios_own_limits_count(kis, tmp_path, limits, what, state, words):
    path = tmp_path / "many.toml"
    path.write_text(SCENARIO.format(limits=limits))
    findings = examine_kis(at(tmp_path), kis.settings, str(path))
    finding = next(each for each in findings if each.what == what)
    assert finding.state == state
    assert words in finding.found


LIVE = """
name = "named"
[venues.KRX]
balances = ["100_000_000 KRW"]
[[strategies]]
name = "cross"
class = "strategies.sma_crossover:SmaCrossover"
instruments = {instruments}
streams = ["1-MINUTE"]
weight = 0.5
params = {{ fast = {fast}, slow = 30 }}
"""


def named(tmp_path, instruments, fast=10):
    path = tmp_path / "named.toml"
    path.write_text(LIVE.format(instruments=instruments, fast=fast))
    return path


@pytest.mark.parametrize(
    ("instruments", "fast", "live"),
    [
        ('["005930.KRX", "0001A0.KRX"]', 10, [State.OK]),
        ('["005930.KRX"]', 40, [State.FAIL]),
        ('["12.KRX"]', 10, [State.FAIL]),
        ('["99*.KRX"]', 10, []),
    ],
)
def test_a_scenario_that_names_its_shares_is_tried_without_a_tape(
    tmp_path, instruments, fast, live
):
    scenario = load_scenario(named(tmp_path, instruments, fast))
    assert [finding.state for finding in check_live(scenario)] == live


def test_what_is_fit_to_run_live_needs_no_catalog(kis, tmp_path):
    path = named(tmp_path, '["005930.KRX"]')
    findings = health.examine(at(tmp_path), kis.settings, tmp_path, str(path))
    found = states(findings)
    assert (found["live scenario"], found["scenario"]) == (State.OK, State.WARN)
    assert "a live run needs no catalog" in findings[-1].advice
    without_keys = states(health.examine(at(tmp_path), {}, tmp_path, str(path)))
    assert without_keys["scenario"] is State.FAIL
