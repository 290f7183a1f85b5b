"""A store with the few requests of S3 that snapshots need, in memory; tests can make it misbehave."""

from __future__ import annotations

import base64
import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUCKET = "backups"
PAGE = 2
"""Objects in one list."""


class FakeStore:
    """What is in the bucket, and what was asked for."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.parts: dict[int, bytes] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answers: Callable[[str, str, dict[str, list[str]]], tuple[int, bytes] | None] = lambda *_: None
        """Answers instead, where it returns something."""
        self.url = ""

    def put(self, name: str, content: bytes = b"x", **headers: str) -> None:
        """Have an object."""
        self.objects[name] = (content, headers)

    def listed(self, query: dict[str, list[str]]) -> bytes:
        """A page of the list of objects."""
        prefix, token = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
        names = [name for name in sorted(self.objects) if name.startswith(prefix) and name > token]
        page, more = names[:PAGE], len(names) > PAGE
        content = "".join(
            f"<Contents><Size>{len(self.objects[name][0])}</Size><Key>{quote(name, safe='')}</Key></Contents>"
            for name in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        root = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"{root}{truncated}{content}{token}</ListBucketResult>".encode()


class _Handler(BaseHTTPRequestHandler):
    store: FakeStore

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _handle(self) -> None:
        split, store = urlsplit(self.path), self.store
        query = parse_qs(split.query, keep_blank_values=True)
        key = unquote(split.path).removeprefix(f"/{BUCKET}").lstrip("/")
        sent = {name.lower(): value for name, value in self.headers.items()}
        store.asked.append((self.command, self.path, sent))
        body = self.rfile.read(int(sent.get("content-length", "0")))
        wrong = store.answers(self.command, key, query)
        if wrong:
            self._answer(*wrong)
        elif hashlib.sha256(body).hexdigest() != sent["x-amz-content-sha256"]:
            self._answer(400, b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>")
        else:
            getattr(self, f"_{self.command.lower()}")(key, query, body, sent)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - http.server has it so

    def _get(self, key: str, query: dict[str, list[str]], *_: Any) -> None:
        if not key:
            self._answer(200, self.store.listed(query))
        elif key in self.store.objects:
            content, headers = self.store.objects[key]
            self._answer(200, content, headers)
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")

    def _head(self, key: str, *_: Any) -> None:
        content, headers = self.store.objects[key]
        self._answer(200, headers={**headers, "Content-Length": str(len(content))})

    def _put(self, key: str, query: dict[str, list[str]], body: bytes, sent: dict[str, str]) -> None:
        if "partNumber" in query:
            self.store.parts[int(query["partNumber"][0])] = body
            self._answer(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
            return
        kept = ("x-amz-meta-sha256", "x-amz-checksum-sha256")
        self.store.put(key, body, **{name: sent[name] for name in kept if name in sent})
        assert sent["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(body).digest()).decode()
        self._answer(200)

    def _post(self, key: str, query: dict[str, list[str]], body: bytes, sent: dict[str, str]) -> None:
        if "uploads" in query:
            self.store.put(f"{key}?meta", b"", **{"x-amz-meta-sha256": sent["x-amz-meta-sha256"]})
            self._answer(
                200,
                b"<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>",
            )
            return
        assert body.count(b"<Part>") == len(self.store.parts)
        _, headers = self.store.objects.pop(f"{key}?meta")
        self.store.put(key, b"".join(self.store.parts[n] for n in sorted(self.store.parts)), **headers)
        self._answer(200, b"<CompleteMultipartUploadResult/>")

    def _delete(self, key: str, *_: Any) -> None:
        self.store.objects.pop(key, None)
        self._answer(204)


@contextmanager
def serving() -> Iterator[FakeStore]:
    """Serve an empty store."""
    store = FakeStore()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": store}))
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
