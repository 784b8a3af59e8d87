"""A hub on this machine: the few addresses of Hugging Face's that bundles are pushed to and pulled from, over a dictionary."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_right"
READER = "hf_reader"
#: Files of this suffix go up by LFS, as those of the hub do; others within the commit.
LARGE = ".safetensors"


@dataclass
class Hub:
    """What the server holds, and how it is made to fail.

    Args:
        address: of the server.
        repositories: files by name, by branch, by repository.
        private: repositories that only :data:`TOKEN` may see.
        gated: repositories whose owner asks for an agreement.
        asked: method and path of each request.
        broken: paths that are cut after this many bytes, once each; then as they are.
        answers: a status for requests whose path begins so.
        commits: how many there were, by repository.
    """

    address: str = ""
    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    gated: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    broken: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)

    def files(self, repository: str, revision: str) -> dict[str, bytes] | None:
        """By branch, or by commit, which is the hash of a branch's files."""
        branches = self.repositories.get(repository, {})
        if revision in branches:
            return branches[revision]
        return next((files for files in branches.values() if commit_of(files) == revision), None)


def commit_of(files: dict[str, bytes]) -> str:
    digest = hashlib.sha1()
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + hashlib.sha1(files[name]).digest())
    return digest.hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *words: Any) -> None:
        pass

    def answer(
        self, status: int, value: object = None, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> None:
        content = json.dumps(value).encode() if body is None else body
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if body is None else "application/octet-stream")
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status: int, code: str, said: str) -> None:
        self.answer(status, {"error": said}, {"X-Error-Code": code, "X-Error-Message": said})

    def token(self) -> str | None:
        return (self.headers.get("authorization") or "").removeprefix("Bearer ") or None

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def handle_any(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path))
        content = self.body()
        status = next((status for beginning, status in self.hub.answers.items() if path.startswith(beginning)), None)
        if status is not None:
            self.refuse(status, "", "the server was told to say so")
        elif self.token() not in (None, TOKEN, READER):
            self.refuse(401, "", "Invalid credentials in Authorization header")
        elif path == "/api/repos/create":
            self.create(json.loads(content))
        elif path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif path.startswith("/api/models/"):
            _, _, _, user, name, *rest = path.split("/")
            self.model(f"{user}/{name}", rest, content)
        elif path.startswith("/objects/"):
            self.hub.objects[path.rpartition("/")[2]] = content
            self.answer(200, {})
        elif path.endswith(".git/info/lfs/objects/batch"):
            self.batch(json.loads(content))
        elif "/resolve/" in path:
            repository, _, rest = path[1:].partition("/resolve/")
            self.resolve(repository, *rest.split("/", 1))
        else:
            self.refuse(404, "", f"no such address {path}")

    do_GET = do_POST = do_PUT = do_HEAD = handle_any

    def create(self, wanted: dict[str, Any]) -> None:
        if self.token() != TOKEN:
            return self.refuse(403, "", "this token may not write")
        repository = f"{wanted['organization']}/{wanted['name']}"
        if repository in self.hub.repositories:
            return self.answer(
                409, {"error": "You already created this model repo", "url": f"{self.hub.address}/{repository}"}
            )
        self.hub.repositories[repository] = {"main": {".gitattributes": b"*.safetensors filter=lfs\n"}}
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.hub.private.add(repository)
        return self.answer(200, {"url": f"{self.hub.address}/{repository}"})

    def seen(self, repository: str) -> bool:
        return repository in self.hub.repositories and (repository not in self.hub.private or self.token() == TOKEN)

    def model(self, repository: str, rest: list[str], content: bytes) -> None:
        if not self.seen(repository):
            return self.refuse(404 if self.token() else 401, "RepoNotFound", "Repository not found")
        if repository in self.hub.gated:
            return self.refuse(403, "GatedRepo", f"Access to model {repository} is restricted")
        verb, revision = rest[0] if rest else "revision", rest[1] if len(rest) > 1 else "main"
        if verb == "branch":
            self.hub.repositories[repository].setdefault(revision, dict(self.hub.repositories[repository]["main"]))
            return self.answer(200, {})
        files = self.hub.files(repository, revision)
        if files is None:
            return self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if verb == "revision":
            siblings = [{"rfilename": name} for name in sorted(files)]
            return self.answer(
                200, {"id": repository, "modelId": repository, "sha": commit_of(files), "siblings": siblings}
            )
        if verb == "tree":
            rows = [{"type": "file", "path": name, "size": len(each), "oid": "0" * 40} for name, each in files.items()]
            return self.answer(200, rows)
        if verb == "preupload":
            wanted = [each["path"] for each in json.loads(content)["files"]]
            modes = [
                {"path": name, "uploadMode": "lfs" if name.endswith(LARGE) else "regular", "shouldIgnore": False}
                for name in wanted
            ]
            return self.answer(200, {"files": modes})
        if verb == "commit" and self.token() == TOKEN:
            return self.commit(repository, revision, content)
        return self.refuse(403, "", "this token may not write")

    def commit(self, repository: str, revision: str, content: bytes) -> None:
        files = dict(self.hub.repositories[repository][revision])
        for line in content.splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "deletedFile":
                files.pop(value["path"], None)
            elif change["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif change["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
        self.hub.repositories[repository][revision] = files
        self.hub.commits[repository] = self.hub.commits.get(repository, 0) + 1
        oid = commit_of(files)
        self.answer(
            200, {"commitUrl": f"{self.hub.address}/{repository}/commit/{oid}", "commitOid": oid, "success": True}
        )

    def batch(self, wanted: dict[str, Any]) -> None:
        rows = [
            {**each, "actions": {"upload": {"href": f"{self.hub.address}/objects/{each['oid']}"}}}
            for each in wanted["objects"]
        ]
        self.answer(200, {"transfer": "basic", "objects": rows})

    def resolve(self, repository: str, revision: str, name: str) -> None:
        if not self.seen(repository):
            return self.refuse(404 if self.token() else 401, "RepoNotFound", "Repository not found")
        files = self.hub.files(repository, revision) or {}
        if name not in files:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        content = files[name]
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": commit_of(files),
            "Accept-Ranges": "bytes",
        }
        wanted = self.headers.get("range")
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if self.command == "HEAD":
            return self.answer(200, None, headers | {"Content-Length": str(len(content))}, b"")
        if name in self.hub.broken:
            kept = self.hub.broken[name]
            self.answer(206 if start else 200, None, headers | {"Content-Length": str(len(body))}, body[:kept])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        return self.answer(206 if start else 200, None, headers, body)


@contextmanager
def serving() -> Iterator[Hub]:
    """A context manager for the server, on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
