"""A small server that shows one listening test and saves its answers. It serves the page and its sounds, and nothing else."""

from __future__ import annotations

import ipaddress
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from gansemble.audio.names import shown
from gansemble.errors import GansembleError
from gansemble.listening.answers import read_key
from gansemble.listening.places import INDEX, PAGE, SOUNDS
from gansemble.listening.store import Conflict, Store

#: Largest answers that are taken [bytes]: thousands of trials.
LARGEST = 4_000_000
#: How long a client may say nothing [s].
PATIENCE = 30.0
_SOUND = re.compile(rf"/{SOUNDS}/([0-9a-f]+\.js)")


class Server(ThreadingHTTPServer):
    """Serves one test.

    Args:
        folder: of the test.
        host: address to listen at.
        port: 0 chooses a free one.

    Raises:
        DataError: if the folder is no listening test.
        GansembleError: if the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.store = Store(folder, read_key(folder))
        self.page = folder / PAGE
        if not (self.page / INDEX).is_file():
            raise GansembleError(f"{shown(self.page / INDEX)}: is not there; bring it back, or make the test again")
        self.local = is_local(host)
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise GansembleError(
                f"cannot listen at {host}, port {port} ({error}); give another --port or --host"
            ) from error

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"


def is_local(host: str) -> bool:
    """Whether only programs of this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    server: Server
    timeout = PATIENCE
    server_version, sys_version = "gansemble", ""

    def do_GET(self) -> None:
        """The page or a sound."""
        path = urlsplit(self.path).path
        sound = _SOUND.fullmatch(path)
        if not self._from_here():
            self._say(HTTPStatus.FORBIDDEN, "open the address that the server printed")
        elif path in ("/", f"/{INDEX}"):
            self._file(self.server.page / INDEX, "text/html; charset=utf-8")
        elif sound:
            self._file(self.server.page / SOUNDS / sound[1], "text/javascript")
        else:
            self._say(HTTPStatus.NOT_FOUND, "nothing here")

    def do_POST(self) -> None:
        """Saves answers."""
        length = self.headers.get("Content-Length", "")
        if not self._from_here() or self.headers.get_content_type() != "application/json":
            # Pages of other sites may send plain text anywhere, but JSON only to those that permit it.
            self._say(HTTPStatus.FORBIDDEN, "answers are taken from the page of this test only")
        elif urlsplit(self.path).path != "/answers":
            self._say(HTTPStatus.NOT_FOUND, "nothing here")
        elif not length.isascii() or not length.isdigit() or len(length) > 9 or int(length) > LARGEST:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a length of at most {LARGEST} bytes")
        else:
            self._save(int(length))

    def _save(self, length: int) -> None:
        body = self.rfile.read(length)
        try:
            if len(body) < length:
                raise ValueError("the answers did not arrive whole")
            self.server.store.save(body)
        except ValueError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
        except Conflict as error:
            self._say(HTTPStatus.CONFLICT, str(error))
        except OSError as error:
            self.log_error("answers could not be saved: %s", error)
            self._say(HTTPStatus.INSUFFICIENT_STORAGE, "the answers could not be saved on this machine")
        else:
            self._say(HTTPStatus.OK, "saved")

    def _from_here(self) -> bool:
        """Whether a browser sends this from the test's own page.

        A page of another site may know a name that leads to this machine; its requests name that host.
        """
        host = self.headers.get("Host", "")
        origin = self.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return False
        return not self.server.local or is_local(urlsplit(f"//{host}").hostname or "")

    def _file(self, path: Path, kind: str) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            self._say(HTTPStatus.NOT_FOUND, f"{path.name} is not there")
            return
        self._send(HTTPStatus.OK, content, kind)

    def _say(self, status: HTTPStatus, text: str) -> None:
        if status >= HTTPStatus.BAD_REQUEST:
            self.close_connection = True  # what was not read of this request would be taken for the next one
        self._send(status, f"{text}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing: what matters is told as an error, and answers lie in their folder."""
