"""The server of a demonstration: its page and what the page asks for, for browsers of this machine, and nothing else."""

from __future__ import annotations

import json
import secrets
import select
import socket
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from traceback import format_exc
from urllib.parse import parse_qsl, urlsplit

from gansemble.demo.demonstration import Demonstration, Job
from gansemble.demo.page import POLICY, File
from gansemble.demo.recordings import Refused
from gansemble.demo.turns import Busy, Turns
from gansemble.errors import GansembleError
from gansemble.pages.local_server import PATIENCE, begin, from_own_page, is_local, length_of, listening_at, say, send

#: Largest recording that is taken [bytes]: a minute of stereo at 96 kHz in 32 bits.
LARGEST = 48_000_000
#: Largest wish for a clip [bytes].
LARGEST_WISH = 10_000
#: How many jobs may wait beside the one that runs, and how long one may take [s].
WAITING, LONGEST_JOB = 4, 300.0
#: One line of JSON for each thing that is told while the page waits, and a last one with the answer.
LINES = "application/x-ndjson"


class Gone(Exception):
    """Whoever asked has closed the page, or asked for something else."""


class Server(ThreadingHTTPServer):
    """Serves one demonstration.

    The address has a word that is drawn anew for each server: other users of the machine, and pages of other sites, do not know
    it, and without it nothing is answered.

    Args:
        demo: what is shown.
        files: of the page, by the name after the word.
        host: address to listen at.
        port: 0 chooses a free one.

    Raises:
        GansembleError: if the port cannot be had.

    Attributes:
        stopping: whether the server has been told to end, so that jobs end at their next step.
    """

    daemon_threads = True

    def __init__(self, demo: Demonstration, files: Mapping[str, File], host: str = "127.0.0.1", port: int = 0) -> None:
        self.demo, self.files = demo, files
        self.local, self.word = is_local(host), secrets.token_urlsafe(12)
        self.turns, self.stopping = Turns(WAITING), False
        with listening_at(host, port):
            super().__init__((host, port), Handler)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/{self.word}/"

    def end(self, patience: float) -> bool:
        """Tells jobs to end at their next step; whether all have ended within so many seconds."""
        self.stopping = True
        return self.turns.all_done(patience)


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    server: Server
    timeout = PATIENCE
    server_version, sys_version = "gansemble", ""

    def do_GET(self) -> None:
        """The page, its style or its scripts."""
        place = self._place()
        if place is None:
            return
        file = self.server.files.get(place)
        if file is None:
            say(self, HTTPStatus.NOT_FOUND, "nothing here")
            return
        send(self, HTTPStatus.OK, file.content, file.kind, POLICY)

    def do_POST(self) -> None:
        """Something is to be made: of the recording that is sent, or of latent vectors."""
        place = self._place()
        if place is None:
            return
        largest = {"restore": LARGEST, "make": LARGEST_WISH}.get(place)
        length = None if largest is None else length_of(self.headers, largest)
        if largest is None:
            say(self, HTTPStatus.NOT_FOUND, "nothing here")
        elif length is None:
            told = f"is larger than the {largest / 1e6:g} MB that are taken; cut it, or send it as FLAC or MP3"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"what was sent {told}")
        else:
            self._wanted(place, length)

    def _place(self) -> str | None:
        """What of the server is asked for; None where that was refused."""
        _, word, *rest = (urlsplit(self.path).path + "/").split("/", 2)
        known = secrets.compare_digest(word.encode("utf-8", "replace"), self.server.word.encode())
        if not from_own_page(self.headers, self.server.local):
            say(self, HTTPStatus.FORBIDDEN, "open the address that gansemble demo printed")
        elif not known:
            say(
                self,
                HTTPStatus.NOT_FOUND,
                "open the address that gansemble demo printed last: each start has another one",
            )
        else:
            return rest[0].removesuffix("/")
        return None

    def _wanted(self, place: str, length: int) -> None:
        """Reads what is sent, and does it when its turn has come."""
        try:
            with self.server.turns.place():
                body = self.rfile.read(length)
                if len(body) < length:
                    raise Refused("the recording did not arrive whole; try again")
                self._job(self._read(place, body))
        except Refused as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), error.code)
        except Busy:
            self.rfile.read(length)  # a browser that cannot send all of it would not read the answer
            told = f"{WAITING + 1} others are being served already; try again in a moment"
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, told)
        except (Gone, OSError):  # nobody hears an answer
            self.close_connection = True

    def _read(self, place: str, body: bytes) -> Job:
        demo = self.server.demo
        if place == "make":
            return demo.making(body)
        return demo.restoring(body, dict(parse_qsl(urlsplit(self.path).query, encoding="utf-8", errors="replace")))

    def _job(self, job: Job) -> None:
        """Does a job in its turn, and tells how far it is; what goes wrong is the last line."""
        begin(self, HTTPStatus.OK, LINES, {})
        self.close_connection = True
        try:
            with self.server.turns.turn(self._waits):
                self._line(job(partial(self._goes_on, time.monotonic())))
        except (Gone, OSError):
            raise
        except GansembleError as error:
            self._line({"error": str(error)})
        except Exception:
            self.log_error("%s", format_exc())
            self._line(
                {"error": "something failed on the server, and its terminal says what; another recording may work"}
            )

    def _waits(self, ahead: int) -> None:
        self._demand_there()
        self._line({"ahead": ahead})

    def _goes_on(self, begun: float, share: float) -> None:
        self._demand_there()
        if time.monotonic() - begun > LONGEST_JOB:
            raise Refused(
                f"it was ended after {LONGEST_JOB:g} s, at {share:.0%}: this machine is too slow for so much; give less"
            )
        self._line({"done": round(share, 3)})

    def _demand_there(self) -> None:
        """Ends a job that nobody waits for any more."""
        ready, _, _ = select.select([self.connection], [], [], 0)
        if self.server.stopping or (ready and not self.connection.recv(1, socket.MSG_PEEK)):
            raise Gone

    def _line(self, value: Mapping[str, object]) -> None:
        self.wfile.write(json.dumps(value).encode() + b"\n")

    def _refuse(self, status: HTTPStatus, text: str, code: str = "") -> None:
        self.close_connection = True
        line = json.dumps({"error": text, "code": code}).encode() + b"\n"
        send(self, status, line, LINES)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing: what matters is told as an error."""
