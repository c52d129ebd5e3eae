"""The adapter's settings from ``ONETAPE_KIS_*``: found wrong before anything connects.

Rule: a secret is named by its setting and never shown: not in errors, ``repr`` or logs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from adapters.kis.limits import Limits, Servers, limits_for
from strategies.errors import BadInput

HOSTS = {
    Servers.REAL: (
        "https://openapi.koreainvestment.com:9443",
        "ws://ops.koreainvestment.com:21000/tryitout",
    ),
    Servers.MOCK: (
        "https://openapivts.koreainvestment.com:29443",
        "ws://ops.koreainvestment.com:31000/tryitout",
    ),
}
"""REST and WebSocket address by servers. Source: KIS's sample repository, kis_devlp.yaml,
2026-07-09. The WebSocket is plain ``ws://``: KIS offers no other."""

MASTER_URL = "https://new.real.download.dws.co.kr/common/master"
"""Folder of the master files. Source: KIS's sample repository, stocks_info, 2026-07-09."""

OWN_DOMAINS = ("koreainvestment.com", "dws.co.kr")

PREFIX = "ONETAPE_KIS_"


class Secret:
    """A text that does not show itself."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for a request and nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True)
class Account:
    """An account: eight digits and the product's two (``01`` for shares)."""

    number: str
    product: str

    def __repr__(self) -> str:
        return f"Account(****{self.number[-2:]}-{self.product})"


@dataclass(frozen=True, slots=True, kw_only=True)
class KisConfig:
    """Everything one node needs to speak to KIS."""

    servers: Servers
    rest_url: str
    ws_url: str
    master_url: str
    app_key: Secret
    app_secret: Secret
    account: Account
    hts_id: Secret
    limits: Limits

    @property
    def is_kis(self) -> bool:
        """Tell whether the REST address is KIS's own."""
        return _is_own(self.rest_url)

    @property
    def plain_text_notice(self) -> str | None:
        """Return what is to be said once at start about an unencrypted socket, None if it is."""
        if urlsplit(self.ws_url).scheme == "wss":
            return None
        return (
            "KIS's WebSocket is not encrypted (ws://): approval key and market data travel in "
            "clear text; fill notices are encrypted with a key sent in clear text."
        )


def read_config(
    environ: Mapping[str, str], limits: Mapping[str, object] | None = None
) -> KisConfig:
    """Read ``ONETAPE_KIS_*`` from ``environ``; ``limits`` are a scenario's overrides.

    Addresses default to those of ``ONETAPE_KIS_ENV`` (``real`` or ``mock``). Lengths of keys are
    checked against KIS's own hosts only; another server with the same protocol may issue others.
    Raises BadInput naming the setting, never its value.
    """
    servers = _servers(environ)
    rest, ws = HOSTS[servers]
    rest_url = _url(environ, "REST_URL", rest, ("http", "https"))
    numbers = limits_for(servers, limits)
    exact = _is_own(rest_url)
    return KisConfig(
        servers=servers,
        rest_url=rest_url,
        ws_url=_url(environ, "WS_URL", ws, ("ws", "wss")),
        master_url=_url(environ, "MASTER_URL", MASTER_URL, ("http", "https")),
        app_key=_key(environ, "APP_KEY", numbers.app_key_chars if exact else None),
        app_secret=_key(environ, "APP_SECRET", numbers.app_secret_chars if exact else None),
        account=_account(environ),
        hts_id=_hts_id(environ),
        limits=numbers,
    )


def _required(environ: Mapping[str, str], name: str, what: str) -> str:
    text = environ.get(PREFIX + name, "").strip()
    if not text:
        raise BadInput(f"{PREFIX}{name} is not set: give {what} in the environment or in .env.")
    return text


def _servers(environ: Mapping[str, str]) -> Servers:
    text = environ.get(f"{PREFIX}ENV", "").strip() or Servers.REAL.value
    try:
        return Servers(text)
    except ValueError:
        raise BadInput(
            f"{PREFIX}ENV is {text!r}: give real, or mock for KIS's mock-investment servers."
        ) from None


def _url(environ: Mapping[str, str], name: str, default: str, schemes: tuple[str, ...]) -> str:
    text = environ.get(PREFIX + name, "").strip() or default
    parts = _split(text)
    if parts is None or parts.scheme not in schemes or not parts.hostname or parts.username:
        kinds = " or ".join(f"{scheme}://" for scheme in schemes)
        raise BadInput(f"{PREFIX}{name} is no address: give {kinds}host:port.")
    return text.rstrip("/")


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_own(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return any(host == domain or host.endswith(f".{domain}") for domain in OWN_DOMAINS)


def _key(environ: Mapping[str, str], name: str, chars: int | None) -> Secret:
    text = _required(environ, name, "what KIS Developers issued")
    if not re.fullmatch(r"[!#-&(-;=?-~]+", text):
        raise BadInput(
            f"{PREFIX}{name} holds a blank, a quote or a sign no key has: copy it again whole."
        )
    if chars is not None and len(text) != chars:
        raise BadInput(
            f"{PREFIX}{name} has {len(text)} characters, KIS issues {chars}: copy it again whole."
        )
    return Secret(text)


def _account(environ: Mapping[str, str]) -> Account:
    text = _required(environ, "ACCOUNT", "the account as 8+2 digits").replace("-", "")
    if not (len(text) == 10 and text.isascii() and text.isdecimal()):
        raise BadInput(
            f"{PREFIX}ACCOUNT is no account: give eight digits and the product's two, as in "
            "00000000-01."
        )
    return Account(text[:8], text[8:])


def _hts_id(environ: Mapping[str, str]) -> Secret:
    text = _required(environ, "HTS_ID", "the HTS login id (fill notices are sent to it)")
    if not re.fullmatch(r"[A-Za-z0-9_@.\-]{1,20}", text):
        raise BadInput(
            f"{PREFIX}HTS_ID is no HTS login id: letters and digits, at most 20; with a wrong one "
            "KIS closes the connection without a word."
        )
    return Secret(text)
