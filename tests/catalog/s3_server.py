"""A small S3 on loopback, in memory: objects, ranges, listings and multipart uploads.

Rule: it knows nothing of the project; what it was asked is kept, and it can refuse.
"""

import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4
from xml.sax.saxutils import escape


@dataclass(slots=True)
class Bucket:
    """Objects by key (bucket and name) and every request; ``refuse`` says which ones fail."""

    objects: dict[str, bytes] = field(default_factory=dict)
    changed: dict[str, datetime] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    refuse: Callable[[str, str], bool] = lambda _method, _key: False
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    endpoint: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def names(self, part: str = "") -> list[str]:
        """Return the keys that contain a text, markers of empty folders left out."""
        return sorted(key for key in self.objects if part in key and not key.endswith("/"))

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        with self.lock:
            self.objects[key] = body
            self.changed[key] = datetime.now(UTC)

    def root(self, prefix: str = "catalog") -> str:
        """Return the address of a catalog in it."""
        return f"s3://bucket/{prefix}?endpoint_override={self.endpoint}&scheme=http&region=x"


@contextmanager
def serving() -> Iterator[Bucket]:
    """Serve an empty bucket while the block runs."""
    bucket = Bucket()

    class Handler(_Handler):
        of = bucket

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    bucket.endpoint = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    of: Bucket
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a small answer would wait for an acknowledgement

    def do_GET(self) -> None:
        self._handle(self._get)

    def do_HEAD(self) -> None:
        self._handle(self._get)

    def do_PUT(self) -> None:
        self._handle(self._put)

    def do_POST(self) -> None:
        self._handle(self._post)

    def do_DELETE(self) -> None:
        self._handle(self._delete)

    def _handle(self, answer: Callable[[str, dict[str, str], bytes], None]) -> None:
        parts = urlsplit(self.path)
        key = unquote(parts.path).lstrip("/")
        options = {k: v[0] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self._body()
        self.of.asked.append((self.command, key))
        if self.of.refuse(self.command, key):
            self._send(403, b"<Error><Code>AccessDenied</Code></Error>")
        else:
            answer(key, options, body)

    def _get(self, key: str, options: dict[str, str], body: bytes) -> None:
        if "list-type" in options:
            self._send(200, _listing(self.of, key.rstrip("/"), options))
        elif "/" not in key.rstrip("/"):
            self._send(200, b"")
        elif key not in self.of.objects:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._object(key)

    def _object(self, key: str) -> None:
        whole = self.of.objects[key]
        stamp = self.of.changed[key].strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"Last-Modified": stamp, "ETag": _etag(whole), "Accept-Ranges": "bytes"}
        ranged = self.headers.get("Range")
        if ranged is None:
            self._send(200, whole, headers)
            return
        first, _, last = ranged.removeprefix("bytes=").partition("-")
        part = whole[int(first) : int(last) + 1] if first else whole[-int(last) :]
        begin = int(first) if first else len(whole) - len(part)
        span = f"bytes {begin}-{begin + len(part) - 1}/{len(whole)}"
        self._send(206, part, headers | {"Content-Range": span})

    def _put(self, key: str, options: dict[str, str], body: bytes) -> None:
        if "uploadId" in options:
            self.of.uploads[options["uploadId"]][int(options["partNumber"])] = body
        else:
            self.of.put(key, body)
        self._send(200, b"", {"ETag": _etag(body)})

    def _post(self, key: str, options: dict[str, str], body: bytes) -> None:
        if "uploads" in options:
            number = uuid4().hex
            self.of.uploads[number] = {}
            self._send(200, _xml("InitiateMultipartUploadResult", f"<UploadId>{number}</UploadId>"))
            return
        parts = self.of.uploads.pop(options["uploadId"])
        self.of.put(key, b"".join(parts[number] for number in sorted(parts)))
        self._send(200, _xml("CompleteMultipartUploadResult", f"<ETag>{_etag(b'x')}</ETag>"))

    def _delete(self, key: str, options: dict[str, str], body: bytes) -> None:
        self.of.objects.pop(key, None)
        self._send(204, b"")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            raw = _unchunked(self.rfile)
            while self.rfile.readline().strip():
                pass  # trailers
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        signed = "aws-chunked" in (self.headers.get("Content-Encoding") or "")
        return _unchunked(io.BytesIO(raw)) if signed else raw

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


def _unchunked(stream: IO[bytes]) -> bytes:
    """Read chunks, each after its size in hex, to the empty one."""
    plain = b""
    while size := int(stream.readline().split(b";")[0], 16):
        plain += stream.read(size)
        stream.readline()
    return plain


def _listing(bucket: Bucket, name: str, options: dict[str, str]) -> bytes:
    prefix, delimiter = options.get("prefix", ""), options.get("delimiter", "")
    found, folders = "", set()
    with bucket.lock:
        keys = sorted(bucket.objects)
    for key in keys:
        own, _, rest = key.partition("/")
        if own != name or not rest.startswith(prefix):
            continue
        tail = rest[len(prefix) :]
        if delimiter and delimiter in tail:
            folders.add(prefix + tail.split(delimiter)[0] + delimiter)
            continue
        stamp = bucket.changed[key].strftime("%Y-%m-%dT%H:%M:%S.000Z")
        size = len(bucket.objects[key])
        found += f"<Contents><Key>{escape(rest)}</Key><LastModified>{stamp}</LastModified>"
        found += f"<Size>{size}</Size></Contents>"
    for each in sorted(folders):
        found += f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>"
    return _xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{found}")


def _xml(name: str, inside: str) -> bytes:
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<?xml version="1.0"?><{name} xmlns="{space}">{inside}</{name}>'.encode()


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
