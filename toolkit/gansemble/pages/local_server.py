"""What small servers of this toolkit share, which show a page to browsers of this machine: who may ask, and how is answered."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from urllib.parse import urlsplit

from gansemble.errors import GansembleError

#: How long a client may say nothing [s].
PATIENCE = 30.0
TEXT = "text/plain; charset=utf-8"
#: What every answer says: it is kept nowhere, is of no other kind than it says, and is shown within no other page.
HEADERS = MappingProxyType(
    {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
)


@contextmanager
def listening_at(host: str, port: int) -> Iterator[None]:
    """Within it a server begins to listen; what prevents that is told in words.

    Raises:
        GansembleError: if the port cannot be had.
    """
    try:
        yield
    except (OSError, OverflowError) as error:
        raise GansembleError(
            f"cannot listen at {host}, port {port} ({error}); give another --port or --host"
        ) from error


def is_local(host: str) -> bool:
    """Whether only programs of this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def from_own_page(headers: Message, local: bool) -> bool:
    """Whether a browser sends a request from a page of the server that it is sent to.

    A page of another site may know a name that leads to this machine; its requests name that host.

    Args:
        headers: of the request.
        local: whether the server listens to this machine only.
    """
    host = headers.get("Host", "")
    origin = headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return False
    return not local or is_local(urlsplit(f"//{host}").hostname or "")


def length_of(headers: Message, largest: int) -> int | None:
    """The length of a request's body [bytes]; None where none is stated, or it is more than ``largest``."""
    length = headers.get("Content-Length", "")
    if not length.isascii() or not length.isdigit() or len(length) > 9 or int(length) > largest:
        return None
    return int(length)


def say(handler: BaseHTTPRequestHandler, status: HTTPStatus, text: str) -> None:
    """Answers a request with a line of plain text."""
    if status >= HTTPStatus.BAD_REQUEST:
        handler.close_connection = True  # what was not read of this request would be taken for the next one
    send(handler, status, f"{text}\n".encode("utf-8", "replace"), TEXT)


def send(
    handler: BaseHTTPRequestHandler,
    status: HTTPStatus,
    content: bytes,
    kind: str,
    more: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Answers a request.

    Args:
        handler: of the request.
        status: of the answer.
        content: the whole body.
        kind: its media type.
        more: further headers.
    """
    begin(handler, status, kind, {"Content-Length": str(len(content)), **more})
    handler.wfile.write(content)


def begin(handler: BaseHTTPRequestHandler, status: HTTPStatus, kind: str, more: Mapping[str, str]) -> None:
    """Begins an answer, whose body the caller writes; without a stated length it ends with the connection."""
    handler.send_response(status)
    for name, value in {"Content-Type": kind, **HEADERS, **more}.items():
        handler.send_header(name, value)
    handler.end_headers()
