"""How those that start the processes of several machines meet and hear of each other: lines of JSON over TCP.

The one of machine 0 listens at the run's port, the others call it. Each gives a sign of life every 2 s. A machine is gone when its
connection ends, as at once where its launcher is killed, or when nothing has been heard of it for 20 s, as after a power cut.
Nothing that comes over the network is executed, and a caller that speaks otherwise is hung up on. Clocks of two machines are not
compared. Imports no torch.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import NotRequired, TypedDict

from gansemble.errors import GansembleError
from gansemble.stages import json_files
from gansemble.stages.group import End, Plan
from gansemble.stages.how_far import HowFar

#: Between two signs of life, and without any until the other is taken for gone [s].
BEAT_SECONDS, LOST_SECONDS = 2.0, 20.0
#: How long a caller waits for a connection, and one that leaves for the others to have read its last line [s].
CALL_SECONDS, LEAVE_SECONDS = 3.0, 3.0
#: How long a caller may take to say who it is [s].
HELLO_SECONDS = 10.0
#: The longest line that is read [bytes]; a traceback is shorter.
LONGEST = 1 << 20


class Message(TypedDict):
    """What one launcher says to another.

    Attributes:
        say: from the other machines ``hello``, ``failing``, ``ended``; from machine 0 ``welcome``, ``refused``, ``taken``,
            ``start``, ``end``, ``leave``; from all ``alive``.
        machine, here, total: of a hello, the machine's number, its processes, and all of them.
        start: number of the start that is spoken of.
        port: of a start, where the processes meet.
        restarts: of a start, how often training was started anew since the checkpoint that it goes on from.
        again: of a start, whether training had begun before.
        status, text, cause, far: of an end, its fields.
    """

    say: str
    machine: NotRequired[int]
    here: NotRequired[int]
    total: NotRequired[int]
    start: NotRequired[int]
    port: NotRequired[int]
    restarts: NotRequired[int]
    again: NotRequired[bool]
    status: NotRequired[int]
    text: NotRequired[str]
    cause: NotRequired[str]
    far: NotRequired[list[int]]


def of_end(end: End, say: str = "ended") -> Message:
    """A message with how processes ended."""
    far = {} if end.far is None else {"far": [end.far.step, end.far.saved]}
    return {"say": say, "status": end.status, "text": end.text, "cause": end.cause, **far}  # type: ignore[typeddict-item]


def end_of(message: Message) -> End:
    """How processes ended, of a message."""
    step, saved = message.get("far") or (None, None)
    far = HowFar(step, saved) if step is not None and saved is not None else None
    found = message.get("cause", "crashed")
    cause = found if found in ("done", "killed", "crashed", "error", "asked") else "crashed"
    return End(message.get("status", 1), message.get("text", ""), cause, far)  # type: ignore[arg-type]


class Line:
    """A connection to another launcher; nothing here waits.

    Args:
        connection: the open socket.
        name: of the other machine, for messages.
    """

    def __init__(self, connection: socket.socket, name: str) -> None:
        self.connection, self.name = connection, name
        connection.setblocking(False)
        self.open, self.began = True, time.monotonic()
        self._heard = self._spoke = self.began
        self._in, self._out = b"", b""
        self._kept: list[Message] = []

    def tell(self, message: Message) -> None:
        """Says something, as soon as the network takes it."""
        self._out += json.dumps(message).encode() + b"\n"
        self._flush()

    def look(self) -> list[Message]:
        """What has been said since the last look; gives a sign of life where one is due, and notices a dead line."""
        if self.open and time.monotonic() - self._spoke > BEAT_SECONDS:
            self._spoke = time.monotonic()
            if len(self._out) < LONGEST:
                self.tell({"say": "alive"})
        self._flush()
        found, self._kept = [*self._kept, *self._read()], []
        if time.monotonic() - self._heard > LOST_SECONDS:
            self.close()
        return found

    def keep(self, messages: list[Message]) -> None:
        """Keeps messages for the next look."""
        self._kept = [*messages, *self._kept]

    def leave(self) -> None:
        """Closes the line once the other one has read what was said, within a bound."""
        limit = time.monotonic() + LEAVE_SECONDS
        while self.open and self._out and time.monotonic() < limit:
            self._flush()
            time.sleep(0.01)
        # A connection that is closed with something unread takes back what the other one has not read yet.
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
        while self.open and time.monotonic() < limit:
            self._read()
            time.sleep(0.01)
        self.close()

    def close(self) -> None:
        """Closes the line at once."""
        self.open = False
        self.connection.close()

    def _flush(self) -> None:
        try:
            while self.open and self._out:
                self._out = self._out[self.connection.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def _read(self) -> list[Message]:
        try:
            while self.open and len(self._in) < LONGEST:
                part = self.connection.recv(1 << 16)
                if not part:
                    self.close()
                    break
                self._in, self._heard = self._in + part, time.monotonic()
        except BlockingIOError:
            pass
        except OSError:
            self.close()
        *lines, self._in = self._in.split(b"\n")
        found: list[Message] = []
        try:
            found = [json_files.parse(line, Message) for line in lines]
            if len(self._in) >= LONGEST:
                raise ValueError
        except ValueError:  # this is no launcher
            self.close()
        return [message for message in found if message["say"] != "alive"]


class Hub:
    """What machine 0 hears of the other ones: who is there, what they say, who is gone.

    Args:
        plan: of machine 0; its port is listened at where there are several machines.

    Attributes:
        present: the machines that are there, by number.

    Raises:
        GansembleError: if the port cannot be listened at.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.present = plan, dict[int, Line]()
        self._strangers: list[Line] = []
        self._listener: socket.socket | None = None
        if plan.machines > 1:
            try:
                both = socket.has_dualstack_ipv6()
                family = socket.AF_INET6 if both else socket.AF_INET
                self._listener = socket.create_server(("", plan.port), family=family, dualstack_ipv6=both)
                self._listener.setblocking(False)
            except OSError as error:
                raise GansembleError(
                    f"--main-port {plan.port}: cannot be listened at on this machine ({error.strerror}); give another one, the "
                    "same on every machine"
                ) from error

    @property
    def missing(self) -> list[int]:
        """The numbers of the machines that are not there."""
        return [machine for machine in range(1, self.plan.machines) if machine not in self.present]

    def look(self) -> list[tuple[int, Message]]:
        """What machines have said since the last look, with their numbers; of one that is gone now ``{"say": "gone"}``."""
        self._accept()
        for line in list(self._strangers):
            self._introduce(line)
        found: list[tuple[int, Message]] = []
        for machine, line in list(self.present.items()):
            found += [(machine, message) for message in line.look()]
            if not line.open:
                del self.present[machine]
                found.append((machine, {"say": "gone"}))
        return found

    def tell(self, message: Message) -> None:
        """Says something to every machine that is there."""
        for line in self.present.values():
            line.tell(message)

    def leave(self, message: Message | None = None) -> None:
        """Closes all lines, after a last message that they are given time to read; without one at once."""
        if self._listener is not None:
            self._listener.close()
        for line in [*self.present.values(), *self._strangers]:
            if message is not None:
                line.tell(message)
                line.leave()
            else:
                line.close()

    def _accept(self) -> None:
        while self._listener is not None:
            try:
                connection, (host, *_) = self._listener.accept()
            except OSError:  # nobody has called
                return
            self._strangers.append(Line(connection, str(host).removeprefix("::ffff:")))

    def _introduce(self, line: Line) -> None:
        """Lets a caller in that says who it is."""
        said = line.look()
        if not said and line.open and time.monotonic() - line.began < HELLO_SECONDS:
            return
        self._strangers.remove(line)
        if not said or said[0]["say"] != "hello":
            line.close()
            return
        refusal = self._refusal(said[0])
        if refusal is not None:
            line.tell(refusal)
            line.leave()
            return
        self.present[said[0].get("machine", 0)] = line
        line.tell({"say": "welcome"})

    def _refusal(self, hello: Message) -> Message | None:
        plan, machine = self.plan, hello.get("machine", -1)
        theirs, ours = (hello.get("here", 0), hello.get("total", 0)), (plan.here, plan.total)
        if theirs != ours:
            return {
                "say": "refused",
                "text": f"machine 0 trains with {_processes(*ours)}, this one was told {_processes(*theirs)}; give the same "
                "--num-machines and --num-processes on each machine",
            }
        if machine in self.present:
            return {
                "say": "taken",
                "text": f"there is a machine {machine} already, {self.present[machine].name}; give each machine another "
                "--machine-rank",
            }
        if machine not in self.missing:
            return {
                "say": "refused",
                "text": f"there is no machine {machine} among {plan.machines}; correct --machine-rank",
            }
        return None


def call(plan: Plan) -> Line | str:
    """Calls machine 0, and says who calls; why there is no connection, if there is none."""
    try:
        connection = socket.create_connection((plan.address, plan.port), CALL_SECONDS)
    except OSError as error:
        return error.strerror or "it does not answer"
    if (
        connection.getsockname() == connection.getpeername()
    ):  # a port of the own machine that nobody listens at may call itself
        connection.close()
        return "nobody listens there"
    line = Line(connection, "machine 0")
    line.tell({"say": "hello", "machine": plan.machine, "here": plan.here, "total": plan.total})
    return line


def start_of(number: int, port: int, restarts: int, again: bool) -> Message:
    """The message by which machine 0 has all machines start their processes."""
    return {"say": "start", "start": number, "port": port, "restarts": restarts, "again": again}


def _processes(here: int, total: int) -> str:
    return f"{total} processes, {here} on each machine"
