"""A small server that shows one listening test and saves its answers. It serves the page and its sounds, and nothing else."""

from __future__ import annotations

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
from gansemble.pages.local_server import PATIENCE, from_own_page, is_local, length_of, listening_at, say, send

#: Largest answers that are taken [bytes]: thousands of trials.
LARGEST = 4_000_000
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
        with listening_at(host, port):
            super().__init__((host, port), Handler)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"


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
            say(self, HTTPStatus.FORBIDDEN, "open the address that the server printed")
        elif path in ("/", f"/{INDEX}"):
            self._file(self.server.page / INDEX, "text/html; charset=utf-8")
        elif sound:
            self._file(self.server.page / SOUNDS / sound[1], "text/javascript")
        else:
            say(self, HTTPStatus.NOT_FOUND, "nothing here")

    def do_POST(self) -> None:
        """Saves answers."""
        length = length_of(self.headers, LARGEST)
        if not self._from_here() or self.headers.get_content_type() != "application/json":
            # Pages of other sites may send plain text anywhere, but JSON only to those that permit it.
            say(self, HTTPStatus.FORBIDDEN, "answers are taken from the page of this test only")
        elif urlsplit(self.path).path != "/answers":
            say(self, HTTPStatus.NOT_FOUND, "nothing here")
        elif length is None:
            say(self, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a length of at most {LARGEST} bytes")
        else:
            self._save(length)

    def _save(self, length: int) -> None:
        body = self.rfile.read(length)
        try:
            if len(body) < length:
                raise ValueError("the answers did not arrive whole")
            self.server.store.save(body)
        except ValueError as error:
            say(self, HTTPStatus.BAD_REQUEST, str(error))
        except Conflict as error:
            say(self, HTTPStatus.CONFLICT, str(error))
        except OSError as error:
            self.log_error("answers could not be saved: %s", error)
            say(self, HTTPStatus.INSUFFICIENT_STORAGE, "the answers could not be saved on this machine")
        else:
            say(self, HTTPStatus.OK, "saved")

    def _from_here(self) -> bool:
        """Whether a browser sends this from the test's own page."""
        return from_own_page(self.headers, self.server.local)

    def _file(self, path: Path, kind: str) -> None:
        try:
            content = path.read_bytes()
        except OSError:
            say(self, HTTPStatus.NOT_FOUND, f"{path.name} is not there")
            return
        send(self, HTTPStatus.OK, content, kind)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing: what matters is told as an error, and answers lie in their folder."""
