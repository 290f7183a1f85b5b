import hashlib
import io
import tarfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from k8sbootstrap.artifacts.fetch import fetch_all
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.config.models.artifacts import Artifacts
from k8sbootstrap.state import State


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tgz(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@dataclass
class Server:
    """A real HTTP server; ``files`` is what it has, ``requests`` what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    break_after: dict[str, int] = field(default_factory=dict)
    """Path to bytes after which the first transfer breaks."""
    challenge: str = ""
    """WWW-Authenticate for requests without ``granted``."""
    granted: str = ""
    delay: float = 0.0
    concurrent: int = 0
    most_concurrent: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def gets(self, path: str) -> int:
        return self.requests.count(("GET", path))


def handler(server: Server) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - all that servers do
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            with server.lock:
                server.requests.append((self.command, self.path))
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
                server.concurrent += 1
                server.most_concurrent = max(server.most_concurrent, server.concurrent)
            try:
                time.sleep(server.delay)
            finally:
                with server.lock:
                    server.concurrent -= 1
            self.answer()  # once the client has this it may ask again at once

        def answer(self):
            path = self.path if self.path.startswith("/") else "/" + self.path.split("/", 3)[3]
            content = server.files.get(path)
            status = server.status.get(path, 200 if content is not None else 404)
            if server.challenge and self.headers.get("Authorization") != server.granted:
                status = 401
            if status != 200 or content is None:
                self.send_response(302 if path in server.redirects else status)
                if path in server.redirects:
                    self.send_header("Location", server.redirects[path])
                if status == 401:
                    self.send_header("WWW-Authenticate", server.challenge)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if wanted := self.headers.get("Range"):
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if self.command == "HEAD":
                return
            if cut := server.break_after.pop(path, None):
                self.wfile.write(content[start : start + cut])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(content[start:])

        def log_message(self, *_args):
            pass

    return Handler


@dataclass
class Site:
    """A cluster's folder, a cache, and the call under test."""

    root: Path

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def state(self) -> State:
        return State.beside(self.root / "site" / "cluster.yaml", "test")

    def directory(
        self, name: str, files: dict[str, bytes], *, sums: dict[str, bytes] | None = None, own: bool = False
    ) -> dict[str, str]:
        """Make a directory source beside cluster.yaml; ``sums`` become its list, of ``own`` builds or not."""
        folder = self.root / "site" / name
        for key, content in files.items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(content)
        folder.mkdir(parents=True, exist_ok=True)
        if sums is not None:
            (folder / "SHA256SUMS").write_text(sums_text(sums))
        return {"directory": name} | ({"ownBuilds": list_hash(sums or {})} if own else {})

    def fetch(self, *files, sources=(), upstream=False, allow_unknown=False, **more):
        config = Artifacts.model_validate(
            {"sources": list(sources), "upstream": upstream, "allowUnknown": allow_unknown}
        )
        (self.root / "site").mkdir(exist_ok=True)
        return fetch_all(files, config, self.state, self.root / "site", self.cache, **more)


def sums_text(files: dict[str, bytes]) -> str:
    return "".join(f"{digest(content)}  ./{key}\n" for key, content in files.items())


def list_hash(files: dict[str, bytes]) -> str:
    return digest(sums_text(files).encode())


def artifact(file: str = "kubelet", content: bytes | None = None, **more) -> ArtifactFile:
    """A file of kubernetes 1.36.4 whose catalogued hash is that of ``content``."""
    return ArtifactFile("kubernetes", "1.36.4", "amd64", file, sha256=content and digest(content), **more)
