"""The thin shell: aiohttp on 127.0.0.1, a pump that plays the market, sockets with bounded queues.

Rule: it waits and moves bytes; what is answered is decided by the pure modules. Only this file
asks what time it is.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from scenarios.venues.kis import admin, masters
from scenarios.venues.kis.control import pingpong
from scenarios.venues.kis.faults import (
    AT_ONCE,
    Fault,
    FaultKind,
    FaultSchedule,
    parse_fault,
)
from scenarios.venues.kis.market_time import SECOND_NS, hms
from scenarios.venues.kis.outgoing import FrameMaker, Outgoing
from scenarios.venues.kis.sessions import Session
from scenarios.venues.kis.socket_desk import SocketDesk
from scenarios.venues.kis.venue import Request, Venue
from strategies.errors import BadInput, RunFailed

HOST = "127.0.0.1"
MARKER = "X-Onetape-Simulator"
TIME_HEADER = "X-Onetape-Market-Time"
PUMP_S = 0.01
SOCKET_PATHS = ("/", "/tryitout")


@dataclass(slots=True)
class Connection:
    """One socket with what waits to be sent; None asks the writer to stop."""

    session: Session
    socket: web.WebSocketResponse
    request: web.Request
    outbox: asyncio.Queue[str | None]
    is_cut: bool = False

    def cut(self) -> None:
        """Break the connection without a closing handshake."""
        self.is_cut = True
        if self.request.transport is not None:
            self.request.transport.abort()


@dataclass(slots=True)
class KisServer:
    """One server for REST, sockets, master files and the admin page on one port."""

    venue: Venue
    desk: SocketDesk
    schedule: FaultSchedule
    clock: Callable[[], int] = time.time_ns
    port: int = 0
    _maker: FrameMaker = field(init=False)
    _connections: dict[int, Connection] = field(default_factory=dict)
    _runner: web.AppRunner | None = None
    _pump_task: asyncio.Task[None] | None = None
    _started_ns: int = 0
    _next_ping_ns: int = 0

    def __post_init__(self) -> None:
        venue = self.venue
        self._maker = FrameMaker(venue.numbers, venue.notice_tr, venue.faults, venue.witness)

    async def start(self) -> None:
        """Listen on ``port`` (0: any free one). Raises RunFailed where it is taken."""
        self._started_ns = self.clock()
        self._next_ping_ns = self._started_ns + self.venue.numbers.ping_every_s * SECOND_NS
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            reason = error.strerror or str(error)
            raise RunFailed(
                f"port {self.port} of {HOST} cannot be used ({reason}): choose another --port."
            ) from error
        self.port = int(self._runner.addresses[0][1])
        self._pump_task = asyncio.create_task(self._pump())

    async def stop(self) -> None:
        """Close every socket and stop listening."""
        if self._pump_task is not None:
            self._pump_task.cancel()
            await asyncio.gather(self._pump_task, return_exceptions=True)
        self.venue.exchange.end()
        for connection in list(self._connections.values()):
            await connection.socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def wait(self) -> None:
        """Wait until the pump ends; it only ends by an error, which is raised."""
        if self._pump_task is not None:
            await asyncio.shield(self._pump_task)

    # --- the market's time ---

    async def _pump(self) -> None:
        while True:
            self.step()
            await asyncio.sleep(PUMP_S)

    def step(self) -> None:
        """Play the market up to now, let scheduled faults happen and send what there is."""
        wall_ns = self.clock()
        market_ns = self.venue.time.market_ns(wall_ns)
        for fault in self.schedule.due(wall_ns - self._started_ns, hms(market_ns)):
            self.arm(fault)
        self.venue.move(wall_ns)
        emissions = self.venue.exchange.drain()
        for connection in list(self._connections.values()):
            for outgoing in self._maker.frames(connection.session, emissions):
                self._post(connection, outgoing)
        if wall_ns >= self._next_ping_ns:
            self._next_ping_ns = wall_ns + self.venue.numbers.ping_every_s * SECOND_NS
            self._ping(market_ns)

    def arm(self, fault: Fault) -> None:
        """Let a fault happen: at once where it needs no event, else when one comes."""
        if fault.kind not in AT_ONCE:
            self.venue.faults.arm(fault)
        elif fault.kind in {FaultKind.DROPPED_SOCKET, FaultKind.SILENT_SOCKET}:
            self.venue.faults.note(fault.kind)
            self._strike_sockets(fault)
        else:
            self.venue.strike(fault, self.clock())

    def _strike_sockets(self, fault: Fault) -> None:
        for connection in list(self._connections.values()):
            if fault.kind is FaultKind.DROPPED_SOCKET:
                connection.cut()
            else:
                silence_ns = int((fault.seconds or 3_600) * SECOND_NS)
                connection.session.silent_until_ns = self.clock() + silence_ns

    def _ping(self, market_ns: int) -> None:
        if self.venue.faults.take(FaultKind.NO_PINGPONG):
            return
        for connection in list(self._connections.values()):
            if self.desk.must_cut(connection.session):
                wall_ns, session = self.clock(), connection.session
                detail = f"socket {session.number} answers no PINGPONG"
                self.venue.witness.see_violation(wall_ns, "no_pong", detail)
                connection.cut()
            else:
                self._post(connection, Outgoing(pingpong(market_ns)))

    def _post(self, connection: Connection, outgoing: Outgoing) -> None:
        if outgoing.delay_s:
            later = Outgoing(outgoing.text)
            loop = asyncio.get_running_loop()
            loop.call_later(outgoing.delay_s, self._post, connection, later)
            return
        if connection.is_cut or self.clock() < connection.session.silent_until_ns:
            return
        try:
            connection.outbox.put_nowait(outgoing.text)
        except asyncio.QueueFull:  # a reader this slow is cut off, as KIS does
            self.venue.witness.see_violation(self.clock(), "slow_reader", "its queue is full")
            connection.cut()

    # --- HTTP ---

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = _plain(request.path)
        is_socket = path in SOCKET_PATHS or path.startswith("/tryitout/")
        if is_socket and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        if path == "/admin/faults" and request.method == "POST":
            return await self._take_faults(request)
        if path.startswith("/common/master/"):
            return self._master(path.rsplit("/", 1)[-1])
        return self._own_page(path) or await self._serve_rest(request)

    def _own_page(self, path: str) -> web.Response | None:
        """Return a page that KIS does not have, None for all others."""
        match path:
            case "/" | "/admin":
                seen = admin.values(self.venue, self.desk.sessions, self.clock())
                return self._marked(web.Response(text=admin.page(seen), content_type="text/html"))
            case "/admin.json":
                return self._json(admin.values(self.venue, self.desk.sessions, self.clock()))
            case "/simulator":
                return self._json(self._announcement())
        return None

    def _announcement(self) -> dict[str, object]:
        environment = self.venue.environment.value
        told = self.venue.time.announced()
        return {"simulator": "onetape venue kis", "environment": environment, **told}

    def _marked(self, response: web.Response) -> web.Response:
        response.headers.update(self._marks())
        return response

    def _marks(self) -> dict[str, str]:
        told = self.venue.time.announced()
        return {MARKER: "kis", TIME_HEADER: ";".join(f"{k}={v}" for k, v in told.items())}

    def _json(self, body: object, status: int = 200) -> web.Response:
        text = json.dumps(body, ensure_ascii=False)
        response = web.Response(text=text, status=status, content_type="application/json")
        return self._marked(response)

    def _master(self, name: str) -> web.Response:
        known = {f"{each}.zip": each for each in masters.FILES}
        if name not in known:
            return self._marked(web.Response(status=404, text="no such master file"))
        symbols = list(self.venue.exchange.symbols.values())
        body = masters.master_zip(known[name], symbols)
        return self._marked(web.Response(body=body, content_type="application/zip"))

    async def _take_faults(self, request: web.Request) -> web.Response:
        try:
            given = json.loads(await request.text())
        except ValueError:
            return self._json({"error": "the body is no JSON: send a fault or a list."}, 400)
        tables = given if isinstance(given, list) else [given]
        try:
            faults = [parse_fault(table, f"fault {i}") for i, table in enumerate(tables, 1)]
        except BadInput as error:
            return self._json({"error": str(error)}, 400)
        for fault in faults:
            if fault.at or fault.after_s:
                self.schedule.faults.append(fault)
            else:
                self.arm(fault)
        return self._json({"armed": len(faults)})

    async def _serve_rest(self, request: web.Request) -> web.Response:
        asked = Request(
            request.method,
            _plain(request.path),
            {name.lower(): value for name, value in request.headers.items()},
            {name.upper(): value for name, value in request.query.items()},
            _texts(await request.text()),
        )
        reply = self.venue.answer(asked, self.clock())
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.is_lost and request.transport is not None:
            request.transport.abort()
        text = reply.text or json.dumps(reply.body, ensure_ascii=False)
        response = web.Response(text=text, status=reply.status, content_type="application/json")
        response.headers.update(reply.headers | {"gt_uid": ""})
        return self._marked(response)

    # --- sockets ---

    async def _serve_socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False, compress=False, timeout=1.0)
        socket.headers.update(self._marks())
        await socket.prepare(request)
        outbox: asyncio.Queue[str | None] = asyncio.Queue(self.venue.numbers.outbox_frames)
        session = self.desk.open(self.clock())
        connection = Connection(session, socket, request, outbox)
        self._connections[session.number] = connection
        writer = asyncio.create_task(_write(connection))
        is_clean = False
        try:
            is_clean = await self._read(connection)
        finally:
            del self._connections[session.number]
            self.desk.close(session, self.clock(), clean=is_clean)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    async def _read(self, connection: Connection) -> bool:
        """Answer messages until the socket ends; True where it was closed with a handshake."""
        while True:
            message = await connection.socket.receive()
            if message.type is WSMsgType.TEXT:
                self._receive(connection, message.data)
            elif message.type is WSMsgType.PONG:
                connection.session.unanswered_pings = 0
            elif message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING}:
                return True
            elif message.type in {WSMsgType.CLOSED, WSMsgType.ERROR}:
                return connection.socket.close_code == 1000

    def _receive(self, connection: Connection, text: str) -> None:
        answer = self.desk.receive(connection.session, text, self.clock())
        if answer.text:
            self._post(connection, Outgoing(answer.text))
        for number in answer.cut:
            loser = self._connections.get(number)
            if loser is not None:
                # The answer is written first; then the socket goes without a word.
                asyncio.get_running_loop().call_later(PUMP_S, loser.cut)


async def _write(connection: Connection) -> None:
    while True:
        text = await connection.outbox.get()
        if text is None:
            return
        try:
            await connection.socket.send_str(text)
        except ConnectionError:
            return  # the reader sees the same end and cleans up


def _plain(path: str) -> str:
    """Return a path with one slash at its head: clients of KIS are seen to send two."""
    return f"/{path.lstrip('/')}"


def _texts(body: str) -> Mapping[str, str] | None:
    """Return a JSON body's scalars as texts, None where it is no object."""
    try:
        given: Any = json.loads(body)
    except ValueError:
        return None
    if not isinstance(given, dict):
        return None
    return {
        str(name): value if isinstance(value, str) else str(value) for name, value in given.items()
    }
