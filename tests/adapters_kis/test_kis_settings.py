"""Limits and settings: sourced, overridable, found wrong before connecting, never printed."""

import pickle
import re
from dataclasses import replace

import pytest

from adapters.kis.config import HOSTS, Account, Secret, read_config
from adapters.kis.limits import LIMIT_NAMES, TABLE, Servers, limits_for
from strategies.errors import BadInput

KEY, SECRET = "PS" + "k" * 34, "s" * 180
GOOD = {
    "ONETAPE_KIS_APP_KEY": KEY,
    "ONETAPE_KIS_APP_SECRET": SECRET,
    "ONETAPE_KIS_ACCOUNT": "12345678-01",
    "ONETAPE_KIS_HTS_ID": "simuser1",
}

# --- limits ------------------------------------------------------------------------------------


def test_every_limit_has_a_source_a_date_and_its_field():
    assert set(TABLE) == set(LIMIT_NAMES)
    for name, one in TABLE.items():
        assert re.match(r"\[[NXRPUS]\]", one.source), name
        assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", one.date), name


@pytest.mark.parametrize(
    ("name", "real", "mock"),
    [
        ("registrations", 41, 41),
        ("requests", 18, 1),
        ("page_orders", 100, 15),
        ("page_balance", 50, 20),
        ("token_spacing_ns", 60 * 10**9, 60 * 10**9),
    ],
)
def test_numbers_of_both_environments(name, real, mock):
    assert getattr(limits_for(Servers.REAL), name) == real
    assert getattr(limits_for(Servers.MOCK), name) == mock


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_each_limit_can_be_set(name):
    assert getattr(limits_for(Servers.REAL, {name: 7}), name) == 7


def test_new_customers_and_known_widths():
    limits = limits_for(Servers.REAL, {"new_customer": True, "known_widths": {"H0STCNT0": 48}})
    assert (limits.requests, limits.polling_requests) == (3, 3)
    assert limits.known_widths == {"H0STCNT0": (48,)}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"registration": 3}, "did you mean registrations"),
        ({"registrations": 0}, "at least 1"),
        ({"registrations": "41"}, "whole number"),
        ({"registrations": True}, "whole number"),
        ({"requests": 18.5}, "whole number"),
        ({"new_customer": 1}, "true or false"),
        ({"known_widths": 48}, "table"),
        ({"known_widths": {"H0STCNT0": "x"}}, "whole number"),
    ],
)
def test_wrong_limits_are_named_with_their_place(override, words):
    with pytest.raises(BadInput, match=words) as caught:
        limits_for(Servers.REAL, override, where="day.toml [venues.kis.limits]")
    assert "day.toml [venues.kis.limits]" in str(caught.value)


# --- settings ----------------------------------------------------------------------------------


def test_settings_default_to_the_real_servers():
    config = read_config(GOOD)
    assert (config.rest_url, config.ws_url) == HOSTS[Servers.REAL]
    assert config.account == Account("12345678", "01")
    assert (config.app_key.reveal(), config.app_secret.reveal()) == (KEY, SECRET)
    assert config.is_kis


def test_addresses_alone_point_to_another_server():
    here = {
        "ONETAPE_KIS_REST_URL": "http://127.0.0.1:9443/",
        "ONETAPE_KIS_WS_URL": "ws://127.0.0.1:21000",
        "ONETAPE_KIS_APP_KEY": "sim-key",
        "ONETAPE_KIS_APP_SECRET": "sim-secret",
        "ONETAPE_KIS_ENV": "mock",
    }
    config = read_config(GOOD | here, {"requests": 5})
    assert (config.rest_url, config.ws_url) == ("http://127.0.0.1:9443", "ws://127.0.0.1:21000")
    assert (config.servers, config.limits.requests) == (Servers.MOCK, 5)
    assert not config.is_kis


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_KEY", ""),
        ("APP_KEY", "short"),
        ("APP_KEY", "k" * 35 + " k"),
        ("APP_KEY", '"' + "k" * 34 + '"'),
        ("APP_KEY", "\u3131" * 36),
        ("APP_SECRET", "s" * 179),
        ("APP_SECRET", "   "),
        ("ACCOUNT", "1234567801x"),
        ("ACCOUNT", "12345678"),
        ("ACCOUNT", "\u0661" * 10),
        ("HTS_ID", ""),
        ("HTS_ID", "two words"),
        ("ENV", "paper"),
        ("REST_URL", "ws://x:1"),
        ("REST_URL", "http://"),
        ("REST_URL", "http://user:pass@x"),
        ("REST_URL", "http://x:notaport"),
        ("WS_URL", "http://127.0.0.1"),
        ("MASTER_URL", "nowhere"),
    ],
)
def test_a_wrong_setting_is_named_and_never_shown(name, value):
    with pytest.raises(BadInput) as caught:
        read_config(GOOD | {f"ONETAPE_KIS_{name}": value})
    text = str(caught.value)
    assert text.startswith(f"ONETAPE_KIS_{name} ")
    assert KEY not in text
    assert SECRET not in text
    if len(value) > 7:
        assert value not in text


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_setting_is_named(name):
    rest = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(BadInput, match=f"{name} is not set"):
        read_config(rest)


def test_secrets_do_not_show_themselves():
    config = read_config(GOOD)
    shown = f"{config} {config!r} {config.app_key} {[config.app_secret]} {config.account}"
    for secret in (KEY, SECRET, "simuser1", "12345678"):
        assert secret not in shown
    with pytest.raises(TypeError):
        pickle.dumps(config.app_key)
    assert replace(config, app_key=Secret("x")).app_key != config.app_key


def test_the_open_socket_is_said_and_an_encrypted_one_not():
    assert "not encrypted" in read_config(GOOD).plain_text_notice
    sealed = read_config(GOOD | {"ONETAPE_KIS_WS_URL": "wss://x:1"})
    assert sealed.plain_text_notice is None
