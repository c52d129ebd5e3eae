"""A host of dumps on loopback that fails as told: refuses, drops, cuts short and lies."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Fault:
    """What one request for a path gets instead of its file.

    ``status`` answers with it; ``cut`` sends so many bytes and drops the connection; ``body`` is
    sent instead of the file's.
    """

    status: int = 0
    retry_after: str = ""
    cut: int | None = None
    body: bytes | None = None


@dataclass(slots=True)
class Host:
    """Files by path, faults by path (used up one per request) and what was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    ranges: bool = True
    hold_s: float = 0  # how long each answer takes
    busiest: int = 0
    url: str = ""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, path: str, body: bytes) -> None:
        """Offer a file and its checksum."""
        name = path.rpartition("/")[2]
        self.files[path] = body
        self.files[f"{path}.CHECKSUM"] = f"{hashlib.sha256(body).hexdigest()}  {name}\n".encode()

    def requests_for(self, path: str) -> list[str]:
        """Return the Range headers of all requests for a path."""
        return [ranged for asked, ranged in self.asked if asked == path]

    def enter(self, path: str, ranged: str) -> Fault | None:
        """Count a request and return its fault."""
        with self._lock:
            self.asked.append((path, ranged))
            self._now += 1
            self.busiest = max(self.busiest, self._now)
            waiting = self.faults.get(path, [])
            return waiting.pop(0) if waiting else None

    def leave(self) -> None:
        """Count a request out."""
        with self._lock:
            self._now -= 1


@contextmanager
def serving() -> Iterator[Host]:
    """Serve a host while the block runs."""
    host = Host()

    class Handler(_Handler):
        of = host

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    of: Host
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a small answer would wait for an acknowledgement

    def do_GET(self) -> None:
        path, ranged = self.path.lstrip("/"), self.headers.get("Range", "")
        fault = self.of.enter(path, ranged) or Fault()
        try:
            time.sleep(self.of.hold_s)
            self._answer(fault, path, ranged)
        finally:
            self.of.leave()

    def _answer(self, fault: Fault, path: str, ranged: str) -> None:
        body = self.of.files.get(path) if fault.body is None else fault.body
        if fault.status or body is None:
            self._head(fault.status or 404, 0, {"Retry-After": fault.retry_after})
            return
        begin = int(ranged.removeprefix("bytes=").split("-")[0]) if ranged else 0
        if not self.of.ranges:
            begin = 0
        if begin and begin >= len(body):
            self._head(416, 0, {"Content-Range": f"bytes */{len(body)}"})
            return
        span = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        self._head(
            206 if begin else 200, len(body) - begin, {"Content-Range": span if begin else ""}
        )
        if fault.cut is None:
            self.wfile.write(body[begin:])
        else:
            self.wfile.write(body[begin : begin + fault.cut])
            self.close_connection = True

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""
