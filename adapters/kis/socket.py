"""The WebSocket: does what ``Session`` asks for, and hands typed values to a callback.

Rule: the session decides, this shell connects, sends and reads; only ``run`` closes a connection,
and all that came through it is delivered before its keys are forgotten.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

import aiohttp

from adapters.kis.config import KisConfig, Secret
from adapters.kis.errors import KisError, MalformedFrame
from adapters.kis.frames import Ack, Control, Decoder, Frame, Lack, NeedMore, PingPong, WidthChange
from adapters.kis.inbox import Arrival, Inbox
from adapters.kis.reading import FrameReader, Reading
from adapters.kis.registrations import Acked, Registrations, Send, Stream
from adapters.kis.requests import registration
from adapters.kis.session import (
    Action,
    AskKey,
    Connect,
    Disconnect,
    Session,
    SessionState,
)
from adapters.kis.timing import Timing, wait_until

QUEUE_FRAMES = 20_000
_CLOSE_S = 1.0
_SEALED_MOST = 1_000
_OVER = frozenset({SessionState.OFF, SessionState.STOPPED})


@dataclass(frozen=True, slots=True)
class Link:
    """The connection opened, or ended with a reason: what is missed from now on is a gap."""

    is_open: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that cannot be read, kept as it came."""

    error: MalformedFrame
    raw: str | bytes = field(repr=False)


type Value = Reading | WidthChange | Acked | Link | Unreadable


@dataclass(frozen=True, slots=True)
class Heard:
    """One value with the receive time of its message (UTC) and its steady stamp, nanoseconds."""

    value: Value
    received_ns: int
    hop_ns: int


class KisSocket:
    """The one socket of an appkey; everything happens within ``run``."""

    def __init__(
        self,
        config: KisConfig,
        reader: FrameReader,
        ask_key: Callable[[], Awaitable[Secret]],
        on_heard: Callable[[Heard], None],
        say: Callable[[str], None],
        timing: Timing | None = None,
        queue_frames: int = QUEUE_FRAMES,
    ) -> None:
        self._config = config
        self._reader = reader
        self._ask_key = ask_key
        self._on_heard = on_heard
        self._say = say
        self._timing = timing or Timing()
        self._registrations = Registrations(config.limits)
        self._session = Session(config.limits, self._registrations)
        self._decoder = Decoder(config.limits.known_widths, config.limits.frame_bytes)
        self._sealed: list[Arrival] = []
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._closings: list[asyncio.Task[None]] = []
        self._crash: BaseException | None = None
        self._advised = False
        self.inbox = Inbox(queue_frames, self._deliver, self._timing.steady_ns)

    # --- what is wanted ---

    def want(self, stream: Stream, rank: int) -> None:
        """Ask for a stream; see ``Registrations.want``."""
        self._registrations.want(stream, rank)
        self._woken.set()

    def unwant(self, stream: Stream) -> None:
        """Give a stream up."""
        self._registrations.unwant(stream)
        self._woken.set()

    def market(self, *, is_open: bool) -> None:
        """Say whether the session is on: outside it no market data is registered."""
        self._session.market(is_open=is_open)
        self._woken.set()

    def orders(self, *, live: bool) -> None:
        """Say whether orders may live: the fill notice stays while they do."""
        self._registrations.orders(live=live)
        self._woken.set()

    def stop(self) -> None:
        """Let ``run`` close the connection and return."""
        self._session.stop()
        self._woken.set()

    # --- what is ---

    @property
    def state(self) -> SessionState:
        """Return where the session is."""
        return self._session.state

    @property
    def held(self) -> frozenset[Stream]:
        """Return the streams KIS has acknowledged."""
        return self._registrations.held

    @property
    def beyond(self) -> tuple[Stream, ...]:
        """Return the wanted streams that all slots are taken before, the least urgent last."""
        return self._registrations.beyond

    @property
    def quiet_ns(self) -> int:
        """Return how long ago anything was heard, a PINGPONG included (steady clock)."""
        return self._session.quiet_ns(self._timing.steady_ns())

    def readable(self, stream: Stream) -> bool:
        """Tell whether a stream is held, and its key with it where it is encrypted."""
        return self._registrations.readable(stream)

    @property
    def connections(self) -> int:
        """Return how often a connection was asked for."""
        return self._session.connections

    # --- the life of it ---

    async def run(self) -> None:
        """Keep the session until ``stop``. Raises what people must act on."""
        if self._config.plain_text_notice is not None:
            self._say(self._config.plain_text_notice)
        self._session.start(self._timing.steady_ns())
        self._task(self.inbox.run())
        client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        try:
            await self._drive(client)
        finally:
            self._session.stop()
            try:
                await self._hang_up("stopped")
            finally:
                await self._end_tasks()
                await client.close()
        if self._session.failure is not None:
            raise self._session.failure

    async def _drive(self, client: aiohttp.ClientSession) -> None:
        while self._crash is None:
            now = self._timing.steady_ns()
            action = self._session.next(now, self._timing.jitter_ppm())
            if action is not None:
                await self._do(action, client)
            elif self._reading is not None and self._reading.done():
                await self._lost("KIS ended the connection")
            elif self._session.state in _OVER:
                return
            else:
                await wait_until(self._timing, self._session.wake_at(now), self._woken)
        raise self._crash

    async def _do(self, action: Action, client: aiohttp.ClientSession) -> None:
        match action:
            case AskKey():
                self._task(self._key())
            case Connect():
                self._opening = self._task(self._open(client))
            case Disconnect(why):
                await self._hang_up(why)
            case Send(stream, register):
                await self._register(stream, register=register)

    async def _key(self) -> None:
        try:
            approval = await self._ask_key()
        except KisError as error:
            now, jitter = self._timing.steady_ns(), self._timing.jitter_ppm()
            self._session.key_failed(error, now, jitter)
        else:
            self._session.key(approval, self._timing.steady_ns())

    async def _open(self, client: aiohttp.ClientSession) -> None:
        try:
            socket = await client.ws_connect(
                self._config.ws_url,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                max_msg_size=4 * self._config.limits.frame_bytes,  # a character has up to 4 bytes
                compress=0,
            )
        except (aiohttp.ClientError, OSError):
            self._session.closed(self._timing.steady_ns(), self._timing.jitter_ppm())
            return
        self._session.opened(self._timing.steady_ns())
        self._socket = socket
        self._reading = self._task(self._read(socket))
        self._tell(Link(is_open=True))

    async def _register(self, stream: Stream, *, register: bool) -> None:
        approval, socket = self._session.approval, self._socket
        text = registration(approval, stream.tr_id, stream.key, register=register)
        try:
            if socket is not None:
                await socket.send_str(text)
        except ConnectionError:
            await self._lost("the connection broke")

    async def _lost(self, why: str) -> None:
        self._session.closed(self._timing.steady_ns(), self._timing.jitter_ppm())
        await self._hang_up(why)
        if self._session.advice is not None and not self._advised:
            self._advised = True
            self._say(self._session.advice)

    async def _hang_up(self, why: str) -> None:
        """Deliver what came, forget the connection and close it in the background."""
        for task in (self._opening, self._reading):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._opening = self._reading = None
        socket, self._socket = self._socket, None
        if socket is None:
            return
        self._closings = [each for each in self._closings if not each.done()]
        self._closings.append(self._task(_close(socket)))
        self.inbox.flush()
        self._give_up_sealed()
        self._decoder.forget_keys()
        self._tell(Link(is_open=False, why=why))

    # --- what comes in ---

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Stamp and queue messages until the socket ends; answers to us are taken at once."""
        while True:
            message = await socket.receive()
            if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                return
            arrival = Arrival(message.data, self._timing.wall_ns(), self._timing.steady_ns())
            self._session.heard(arrival.hop_ns)
            if arrival.text[:1] in {"{", b"{"}:
                # what came before an answer is read with the keys and the streams of before
                self.inbox.flush()
                await self._answer(arrival, socket)
            else:
                await self.inbox.put(arrival)

    async def _answer(self, arrival: Arrival, socket: aiohttp.ClientWebSocketResponse) -> None:
        match self._decoded(arrival):
            case PingPong(reply):
                try:
                    await socket.send_str(reply)
                except ConnectionError:
                    return  # the next receive tells that the socket ended
            case Control() as control:
                self._control(control, arrival)

    def _control(self, control: Control, arrival: Arrival) -> None:
        acked = self._session.on_control(control, arrival.hop_ns, self._timing.jitter_ppm())
        if acked is not None:
            if acked.ack in {Ack.UNREGISTERED, Ack.NOT_FOUND}:
                self._reader.left(acked.stream)
            self._hear(acked, arrival)
        if control.key:
            sealed, self._sealed = self._sealed, []
            for earlier in sealed:
                self._deliver(earlier)
        self._woken.set()

    def _deliver(self, arrival: Arrival) -> None:
        frame = self._decoded(arrival)
        if not isinstance(frame, Frame):
            return
        if frame.width_change is not None:
            self._hear(frame.width_change, arrival)
        for value in self._reader.read(frame, arrival.received_ns):
            self._hear(value, arrival)

    def _decoded(self, arrival: Arrival) -> Frame | Control | PingPong | None:
        """Return a message that is whole; tell of one that is not, or keep it for its key."""
        try:
            message = self._decoder.decode(arrival.text)
        except MalformedFrame as error:
            self._hear(Unreadable(error, arrival.text), arrival)
            return None
        if not isinstance(message, NeedMore):
            return message
        if message.lack is Lack.KEY and len(self._sealed) < _SEALED_MOST:
            self._sealed.append(arrival)
        else:
            self._not_whole(arrival, f"A message of {message.tr_id or 'KIS'} is not whole.")
        return None

    def _give_up_sealed(self) -> None:
        sealed, self._sealed = self._sealed, []
        for arrival in sealed:
            self._not_whole(arrival, "An encrypted message came, and its key never did.")

    def _not_whole(self, arrival: Arrival, why: str) -> None:
        self._hear(Unreadable(MalformedFrame(why), arrival.text), arrival)

    def _tell(self, value: Value) -> None:
        self._on_heard(Heard(value, self._timing.wall_ns(), self._timing.steady_ns()))

    def _hear(self, value: Value, arrival: Arrival) -> None:
        self._on_heard(Heard(value, arrival.received_ns, arrival.hop_ns))

    # --- tasks ---

    def _task(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash = self._crash or error
        self._woken.set()

    async def _end_tasks(self) -> None:
        for task in self._tasks.difference(self._closings):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _close(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.close()
