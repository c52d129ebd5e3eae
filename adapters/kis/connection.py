"""One exchange over HTTP: a ``Wire`` goes out; a reply comes back, or how it was lost.

Rule: an error of the HTTP library never leaves this file: it knows the headers, and they hold
secrets. Nothing is repeated here, because whoever repeats has to count.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp

from adapters.kis.requests import Wire
from adapters.kis.timing import Timing, first_of

KEEP_ALIVE_S = 15
"""An idle connection older than this is not used: an order that meets one KIS has just closed
would be of unknown fate."""
BODY_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What KIS answered, whatever it means."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Loss:
    """No whole answer came. ``written`` is False only where nothing can have reached KIS."""

    how: str
    written: bool


class _Trace:
    """Notes when the bytes of one request began to go out."""

    written = False


async def _note_written(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.written = True


class Connections:
    """A pool of connections that are kept alive; to be used within one event loop.

    ``setting`` names the address in what is said of a server that is another than meant.
    """

    def __init__(
        self,
        base_url: str,
        timing: Timing,
        timeout_ns: int,
        setting: str = "ONETAPE_KIS_REST_URL",
    ) -> None:
        self._base_url = base_url
        self._place = f"{urlsplit(base_url).netloc} ({setting})"
        self._timing = timing
        self._timeout_ns = timeout_ns
        self._session: aiohttp.ClientSession | None = None

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_note_written)
            self._session = aiohttp.ClientSession(
                # no limit: the request budget is one, and an order must not wait for a connection
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                trace_configs=[trace],
            )
            # the library would send a lost GET once more by itself, uncounted
            self._session._retry_connection = False
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, wire: Wire) -> Reply | Loss:
        """Send a request and return its reply, or its loss within the time limit."""
        trace = _Trace()
        exchange: asyncio.Future[object] = asyncio.ensure_future(self._exchange(wire, trace))
        if not await first_of(exchange, self._timing.sleep_ns(self._timeout_ns)):
            return Loss("did not come in time", trace.written)
        outcome = exchange.result()
        return outcome if isinstance(outcome, Reply) else Loss(str(outcome), trace.written)

    async def _exchange(self, wire: Wire, trace: _Trace) -> Reply | str:
        """Return the reply, or in words how it was lost."""
        try:
            async with self._pool().request(
                wire.method,
                self._base_url + wire.target,
                data=wire.body or None,
                headers=wire.headers,
                allow_redirects=False,  # the headers are for KIS and nobody else
                trace_request_ctx=trace,
            ) as response:
                body = await _body(response)
                return (
                    "was too long"
                    if body is None
                    else Reply(response.status, dict(response.headers), body)
                )
        except aiohttp.ClientSSLError:
            return f"cannot come: {self._place} does not prove with TLS that it is KIS"
        except aiohttp.ClientResponseError:  # what came is not read as HTTP
            return f"is no HTTP: {self._place} is another kind of server"
        except (aiohttp.ClientError, OSError, ValueError):
            if trace.written:
                return "was lost with its connection"
            return f"cannot come: there is no connection to {self._place}"


async def _body(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the whole body, None where it is longer than any of KIS."""
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_chunked(_CHUNK_BYTES):
        size += len(part)
        if size > BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
