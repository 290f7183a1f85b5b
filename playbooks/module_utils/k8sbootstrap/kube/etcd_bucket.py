"""Keeps snapshots of etcd in a bucket of an S3-compatible store: uploads, lists, fetches and prunes them.

The timer on hosts of etcd runs this file, and the controller sends it as a program, with a JSON document as
its one argument (see ``main``). It imports nothing but the standard library of Python 3.9 and later.

An object is named FOLDER/CLUSTER/NAME: NAME is the file's name on the host, CLUSTER etcd's own id of its
cluster. So a cluster that is made anew, or restored, never deletes what the one before it has uploaded. What
the store answers is data: it is bounded, and nothing else than such names is looked at or deleted.
"""

from __future__ import annotations

import base64
import calendar
import contextlib
import hashlib
import hmac
import http.client
import itertools
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import xml.parsers.expat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote, unquote, urlsplit

ETCDCTL = [
    "/usr/local/bin/etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    "--cacert=/etc/etcd/pki/ca.crt",
    "--cert=/etc/etcd/pki/healthcheck-client.crt",
    "--key=/etc/etcd/pki/healthcheck-client.key",
]
FOLDER = Path("/var/lib/k8sbootstrap/etcd-snapshots")
"""Where the timer's snapshots are kept."""
ARRIVED = Path("/var/lib/k8sbootstrap/etcd-fetched")
"""Where one is put that is fetched."""
RECORD = "upload.json"
"""What the timer's last upload came to, beside the snapshots."""
SINGLE = 5 << 30
"""Bytes that one request may upload; more go up in parts."""
PART = 1 << 30
PAGES = 100
"""Lists of a thousand objects that are read."""
WAITS = (5.0, 30.0, 120.0)
"""Seconds between attempts of the timer, where a failure may pass."""
_BLOCK = 1 << 20
_ANSWER = 8 << 20
"""Bytes of an answer that are read; a list of a thousand objects has 2 MB at most."""
_DEPTH, _ELEMENTS = 8, 50_000
"""Of an answer; a list of a thousand objects has a dozen elements for each."""
_EMPTY = hashlib.sha256(b"").hexdigest()
_DAY = 86400.0
_OK = (200, 204)
_MISSING = 404
_BUSY = 429
_BROKEN = 500
_PASSING = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted"}
_ROOM = 1.1
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([a-z]+)[\w.-]{0,100}\.db(\.gz)?", re.ASCII)
_OBJECT = re.compile(rf"([0-9a-f]{{1,16}})/({_NAME.pattern})", re.ASCII)
_ETAG = re.compile(r'"?[\w+/=-]{1,200}"?', re.ASCII)
_STRANGE = re.compile(r"[^\x20-\x7e]")
_T = TypeVar("_T")


class BucketError(Exception):
    """The store can't be used, or does not do what it is asked for; the text says why."""

    def __init__(self, text: str, *, passing: bool = False) -> None:
        super().__init__(text)
        self.passing = passing
        """Whether another attempt may succeed."""


@dataclass(frozen=True)
class Store:
    """A bucket, and how it is reached."""

    endpoint: str
    """http:// or https://, a host, and maybe a port."""
    region: str
    bucket: str
    folder: str
    """What names of all objects begin with, without the last slash."""
    access_key: str
    secret_key: str = field(repr=False)
    ca: str = ""
    """PEM with the CA of its certificate; the host's own CAs where empty."""
    virtual_host: bool = False
    """Whether the bucket is a part of the host's name, and not of the path."""
    proxy: str = field(default="", repr=False)
    """URL of a proxy that it is reached through."""
    prune: bool = True
    keep: int = 1
    """How many of each kind stay."""
    days: float = 0
    """How long they stay, but for the newest."""
    seconds: float = 60.0
    """How long the store may be silent."""

    @property
    def url(self) -> str:
        """The folder, for people."""
        return f"s3://{self.bucket}/{self.folder}"

    @property
    def host(self) -> str:
        """HOST or HOST:PORT that is asked."""
        authority = urlsplit(self.endpoint).netloc
        return f"{self.bucket}.{authority}" if self.virtual_host else authority

    def path(self, key: str) -> str:
        """Path of an object, or of the bucket where ``key`` is empty."""
        parts = ([] if self.virtual_host else [self.bucket]) + ([key] if key else [])
        return quote("/" + "/".join(parts))


@dataclass(frozen=True)
class Entry:
    """A snapshot in the bucket."""

    object: str
    """CLUSTER/NAME."""
    bytes: int

    @property
    def taken(self) -> float:
        """When it was taken, as its name says."""
        return _taken(self.object.rpartition("/")[2])


def authorization(
    store: Store, method: str, path: str, query: Iterable[tuple[str, str]], headers: Mapping[str, str]
) -> str:
    """The header Authorization of AWS Signature Version 4.

    Args:
        store: Whose keys sign.
        method: Of the request.
        path: As it is sent, with percent signs.
        query: Names and values, as they are before they are encoded.
        headers: All that are signed, in lower case; host, x-amz-date and x-amz-content-sha256 among them.
    """
    names = ";".join(sorted(headers))
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
    canonical = [method, path, encoded(query), *lines, "", names, headers["x-amz-content-sha256"]]
    moment = headers["x-amz-date"]
    scope = f"{moment[:8]}/{store.region}/s3/aws4_request"
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    key = f"AWS4{store.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={store.access_key}/{scope}"
    return f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"


def encoded(query: Iterable[tuple[str, str]]) -> str:
    """A query as it is signed and sent."""
    return "&".join(sorted(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query))


class Part:
    """A part of a file, to be sent as if it were one."""

    def __init__(self, file: IO[bytes], offset: int, size: int) -> None:
        self._file, self._offset, self.size = file, offset, size
        self._left = 0
        self.rewind()

    def rewind(self) -> None:
        """Begin again."""
        self._file.seek(self._offset)
        self._left = self.size

    def read(self, size: int = _BLOCK, /) -> bytes:
        """The next bytes."""
        block = self._file.read(min(size, self._left))
        self._left -= len(block)
        return block

    def sha256(self) -> str:
        """Of all of it, hexadecimal."""
        self.rewind()
        digest = hashlib.sha256()
        while block := self.read(_BLOCK):
            digest.update(block)
        self.rewind()
        return digest.hexdigest()


@dataclass
class Answer:
    """What the store answered to a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def header(self, name: str) -> str:
        """A header; empty where there is none."""
        return self.headers.get(name, "")


@dataclass
class Element:
    """An element of an XML document: its text and its children by name."""

    text: str = ""
    children: dict[str, list[Element]] = field(default_factory=dict)

    def all(self, name: str) -> list[Element]:
        """Children of a name."""
        return self.children.get(name, [])

    def said(self, name: str) -> str:
        """Text of the first child of a name; empty where there is none."""
        return self.children[name][0].text if name in self.children else ""


def parsed(body: bytes) -> Element:
    """The root of an XML document. One with a DTD, and so with entities, is refused.

    Raises:
        BucketError: It is none, or too large.
    """
    parser = xml.parsers.expat.ParserCreate("utf-8")
    parser.buffer_text = True
    stack, number = [Element()], itertools.count(1)

    def start(name: str, _: dict[str, str]) -> None:
        if len(stack) > _DEPTH or next(number) > _ELEMENTS:
            raise BucketError("the store's answer has too many elements")
        stack.append(Element())
        stack[-2].children.setdefault(name, []).append(stack[-1])

    def text(content: str) -> None:
        stack[-1].text += content

    def refuse(*_: object) -> None:
        raise BucketError("the store's answer has a DTD")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(body, True)
    except xml.parsers.expat.ExpatError as error:
        raise BucketError(f"the store's answer is no XML: {error}") from error
    return next(iter(stack[0].children.values()))[0]


def upload(store: Store, path: Path, waits: Iterable[float] = ()) -> dict[str, Any]:
    """Upload a snapshot, see that it is there, and remove old ones of its kind.

    Args:
        store: Where.
        path: The file.
        waits: Seconds between attempts, where a failure may pass.

    Returns:
        ``object`` (its whole name), ``bytes``, ``removed`` (how many old ones), and ``not_removed`` (why
        old ones could not be, if so).

    Raises:
        BucketError: It could not be uploaded, or is not there as it should be.
        OSError: The file can't be read.
    """
    match = _NAME.fullmatch(path.name)
    if not match:
        raise BucketError(f"{path.name} is no name of a snapshot")
    cluster = cluster_id()
    key = f"{store.folder}/{cluster}/{path.name}"
    with path.open("rb") as file:
        whole = Part(file, 0, os.fstat(file.fileno()).st_size)
        digest = whole.sha256()
        _patiently(lambda: _put(store, key, whole, digest, file), waits)
    done: dict[str, Any] = {"object": key, "bytes": whole.size, "removed": 0, "not_removed": ""}
    if store.prune:
        try:
            done["removed"] = _patiently(lambda: _prune(store, cluster, match[2]), waits)
        except BucketError as error:
            done["not_removed"] = f"{path.name} is uploaded, but old ones can't be removed: {error}"
    return done


def check(store: Store) -> None:
    """See that the bucket is there, and that the key may list it.

    Raises:
        BucketError: It is not, or may not.
    """
    parsed(
        _ask(store, "GET", query=[("list-type", "2"), ("prefix", f"{store.folder}/"), ("max-keys", "1")]).body
    )


def entries(store: Store, below: str = "") -> list[Entry]:
    """The snapshots in the bucket, the newest first; objects of other names are left out.

    Args:
        store: The bucket.
        below: Only those of one cluster of etcd.

    Raises:
        BucketError: They can't be listed.
    """
    prefix = f"{store.folder}/{below}/" if below else f"{store.folder}/"
    found, token = [], ""
    for _ in range(PAGES):
        query = [("list-type", "2"), ("prefix", prefix), ("encoding-type", "url")]
        page = parsed(
            _ask(store, "GET", query=[*query, ("continuation-token", token)] if token else query).body
        )
        for each in page.all("Contents"):
            name = unquote(each.said("Key"))[len(store.folder) + 1 :]
            if _is_ours(name) and re.fullmatch(r"\d{1,15}", each.said("Size"), re.ASCII):
                found.append(Entry(name, int(each.said("Size"))))
        token = page.said("NextContinuationToken")
        if page.said("IsTruncated") != "true" or not token:
            return sorted(found, key=lambda each: (each.taken, each.object), reverse=True)
    raise BucketError(f"{store.url} has more than {PAGES} thousand objects: remove old ones")


def fetch(store: Store, name: str) -> dict[str, Any]:
    """Have a snapshot of the bucket on this host: its ``path``, ``bytes`` and ``sha256``.

    Args:
        store: The bucket.
        name: CLUSTER/NAME.

    Raises:
        BucketError: It is not there, or arrives damaged.
        OSError: There is no room for it.
    """
    if not _is_ours(name):
        raise BucketError(f"{_shown(name)} is no name of a snapshot")
    forget()
    ARRIVED.mkdir(mode=0o700, parents=True)
    target, digest, size = ARRIVED / name.rpartition("/")[2], hashlib.sha256(), 0
    with _requested(store, "GET", f"{store.folder}/{name}") as response:
        if response.status != http.client.OK:
            raise _refused(store, response.status, _body(store, response))
        wanted = _whole_number(response.headers.get("content-length", ""))
        if shutil.disk_usage(ARRIVED).free < _ROOM * wanted:
            raise BucketError(f"there is no room in {ARRIVED} for its {wanted >> 20} MiB")
        target.touch(mode=0o600)
        with target.open("wb") as file:
            while block := _read(store, response, _BLOCK):
                size += len(block)
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        said = response.headers.get("x-amz-meta-sha256", "")
    if size != wanted or said not in {"", digest.hexdigest()}:
        forget()
        raise BucketError(f"{name} arrived damaged: {size} of {wanted} bytes, or another hash than it had")
    return {"path": str(target), "bytes": size, "sha256": digest.hexdigest()}


def forget() -> None:
    """Remove what was fetched."""
    shutil.rmtree(ARRIVED, ignore_errors=True)


def turn(store: Store, folder: Path) -> dict[str, Any]:
    """Upload the newest of the timer's snapshots on this host, where that has not been done.

    So one that could not be uploaded is, as soon as that is possible. What it came to is written down for
    ``k8sbootstrap doctor``.

    Raises:
        BucketError: It could not be.
    """
    note = folder / RECORD
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(note.read_text())
    matches = {path: _NAME.fullmatch(path.name) for path in folder.iterdir()}
    taken = sorted(path.name for path, match in matches.items() if match and match[2] == "timer")
    there = known.get("object", "")
    if not taken or (there.startswith(f"{store.url}/") and there.endswith(f"/{taken[-1]}")):
        return {"uploaded": False}
    seen = {**known, "tried": time.time(), "problem": ""}
    try:
        done = upload(store, folder / taken[-1], WAITS)
        seen.update(
            object=f"s3://{store.bucket}/{done['object']}", uploaded=time.time(), problem=done["not_removed"]
        )
    except (BucketError, OSError) as error:
        seen["problem"] = str(error)
    partial = folder / f".{RECORD}"
    partial.write_text(json.dumps(seen))
    partial.replace(note)
    if seen["problem"]:
        raise BucketError(seen["problem"])
    return {"uploaded": True, **done}


def cluster_id() -> str:
    """The id that etcd has for its cluster, hexadecimal.

    Raises:
        BucketError: The member here does not answer.
    """
    command = [*ETCDCTL, "--write-out=json", "endpoint", "status"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    try:
        return f"{int(json.loads(done.stdout)[0]['Status']['header']['cluster_id']):x}"
    except (ValueError, LookupError, TypeError) as error:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BucketError(f"etcdctl endpoint status failed: {said}") from error


def _put(store: Store, key: str, whole: Part, digest: str, file: IO[bytes]) -> None:
    """Upload a file and look at what is there then."""
    check(store)  # a wrong key or bucket is told before gigabytes are sent
    about = {"x-amz-meta-sha256": digest}
    checksum = base64.b64encode(bytes.fromhex(digest)).decode()
    if whole.size > SINGLE:
        _put_parts(store, key, file, whole.size, about)
    else:
        whole.rewind()
        _ask(
            store, "PUT", key, headers={**about, "x-amz-checksum-sha256": checksum}, body=whole, digest=digest
        )
    found = _ask(store, "HEAD", key, headers={"x-amz-checksum-mode": "ENABLED"})
    size, hashed = found.header("content-length"), found.header("x-amz-checksum-sha256")
    if size != str(whole.size) or found.header("x-amz-meta-sha256") != digest:
        raise BucketError(
            f"{key} is not there as it was sent: {_shown(size)} of {whole.size} bytes", passing=True
        )
    if hashed and "-" not in hashed and hashed != checksum:  # one with a hyphen is of the parts' hashes
        raise BucketError(f"{key} has another sha256 there than what was sent", passing=True)


def _put_parts(store: Store, key: str, file: IO[bytes], size: int, about: Mapping[str, str]) -> None:
    """Upload a file in parts; where that fails, nothing of it stays."""
    identity = parsed(_ask(store, "POST", key, [("uploads", "")], headers=about).body).said("UploadId")
    query = [("uploadId", identity)]
    lines = []
    try:
        for number, offset in enumerate(range(0, size, PART), start=1):
            part = Part(file, offset, min(PART, size - offset))
            done = _ask(
                store, "PUT", key, [("partNumber", str(number)), *query], body=part, digest=part.sha256()
            )
            lines.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{_tag(done)}</ETag></Part>")
        text = f"<CompleteMultipartUpload>{''.join(lines)}</CompleteMultipartUpload>".encode()
        ended = _ask(store, "POST", key, query, body=text, digest=hashlib.sha256(text).hexdigest())
        if b"CompleteMultipartUploadResult" not in ended.body:  # it may fail after it has answered 200
            raise _refused(store, ended.status, ended.body)
    except BucketError:
        with contextlib.suppress(BucketError):
            _ask(store, "DELETE", key, query)
        raise


def _tag(answer: Answer) -> str:
    tag = answer.header("etag")
    if not _ETAG.fullmatch(tag):
        raise BucketError("the store's answer has no usable ETag")
    return tag


def _prune(store: Store, cluster: str, kind: str) -> int:
    """Remove old snapshots of one kind that this cluster of etcd has uploaded; how many."""
    same = [
        each
        for each in entries(store, cluster)
        if (match := _OBJECT.fullmatch(each.object)) and match[4] == kind
    ]
    too_old = time.time() - store.days * _DAY
    old = [
        each for number, each in enumerate(same) if number >= store.keep or (number and each.taken < too_old)
    ]
    for each in old:
        _ask(store, "DELETE", f"{store.folder}/{each.object}")
    return len(old)


def _ask(
    store: Store,
    method: str,
    key: str = "",
    query: Sequence[tuple[str, str]] = (),
    *,
    headers: Mapping[str, str] | None = None,
    body: Part | bytes = b"",
    digest: str = _EMPTY,
) -> Answer:
    """Make a request.

    Raises:
        BucketError: The store does not answer, or refuses it.
    """
    with _requested(store, method, key, query, headers=headers, body=body, digest=digest) as response:
        answer = Answer(response.status, response.headers, _body(store, response))
    if answer.status not in _OK:
        raise _refused(store, answer.status, answer.body, answer.header("x-amz-bucket-region"))
    return answer


@contextlib.contextmanager
def _requested(
    store: Store,
    method: str,
    key: str = "",
    query: Sequence[tuple[str, str]] = (),
    *,
    headers: Mapping[str, str] | None = None,
    body: Part | bytes = b"",
    digest: str = _EMPTY,
) -> Iterator[http.client.HTTPResponse]:
    """Make a request; its answer can be read in the block.

    Raises:
        BucketError: The store does not answer.
    """
    signed = {
        "host": store.host,
        "x-amz-content-sha256": digest,
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        **(headers or {}),
    }
    path = store.path(key)
    sent = {**signed, "authorization": authorization(store, method, path, query, signed)}
    if body or method in {"PUT", "POST"}:
        sent["content-length"] = str(body.size if isinstance(body, Part) else len(body))
    target = f"{path}?{encoded(query)}" if query else path
    with _translated(store):
        connection, before = _connection(store)
    with contextlib.closing(connection):
        with _translated(store):
            try:
                connection.request(method, before + target, body=body or None, headers=sent)
            except (BrokenPipeError, ConnectionResetError):
                if connection.sock is None:
                    raise  # else it may have answered before everything was sent
            response = connection.getresponse()
        yield response


@contextlib.contextmanager
def _translated(store: Store) -> Iterator[None]:
    """Raise BucketError where the connection fails."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        why = _shown(str(error) or type(error).__name__)
        certificate = isinstance(error, ssl.SSLCertVerificationError)
        raise BucketError(f"{store.endpoint}: {why}", passing=not certificate) from error


def _connection(store: Store) -> tuple[http.client.HTTPConnection, str]:
    """A connection, and what is put before the path for a proxy."""
    ours = urlsplit(f"{urlsplit(store.endpoint).scheme}://{store.host}")
    secure = ours.scheme == "https"
    host, port = ours.hostname or "", ours.port or (443 if secure else 80)
    proxy = urlsplit(store.proxy)
    to, at = (proxy.hostname or "", proxy.port or 80) if store.proxy else (host, port)
    login = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}" if proxy.username else ""
    extra = {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    if secure:
        context = ssl.create_default_context(cadata=store.ca or None)
        tls = http.client.HTTPSConnection(to, at, context=context, timeout=store.seconds, blocksize=_BLOCK)
        if store.proxy:
            tls.set_tunnel(host, port, headers=extra)
        return tls, ""
    return http.client.HTTPConnection(to, at, timeout=store.seconds, blocksize=_BLOCK), (
        f"http://{store.host}" if store.proxy else ""
    )


def _read(store: Store, response: http.client.HTTPResponse, size: int) -> bytes:
    with _translated(store):
        return response.read(size)


def _body(store: Store, response: http.client.HTTPResponse) -> bytes:
    body = _read(store, response, _ANSWER + 1)
    if len(body) > _ANSWER:
        raise BucketError("the store's answer is too long")
    return body


def _refused(store: Store, status: int, body: bytes, region: str = "") -> BucketError:
    """What the store says where it does not do what it is asked for."""
    code, said = "", ""
    with contextlib.suppress(BucketError):
        error = parsed(body)
        code, said = error.said("Code"), error.said("Message")
    if not code:
        code, said = f"HTTP {status}", http.client.responses.get(status, "")
    where = f"; the bucket is in the region {region}" if region and region != store.region else ""
    passing = status >= _BROKEN or status == _BUSY or code in _PASSING
    return BucketError(f"{store.endpoint}: {_shown(f'{code}: {said}{where}')}", passing=passing)


def _patiently(do: Callable[[], _T], waits: Iterable[float]) -> _T:
    """Do something again after some seconds where its failure may pass."""
    for wait in waits:
        try:
            return do()
        except BucketError as error:
            if not error.passing:
                raise
        time.sleep(wait)
    return do()


def _is_ours(name: str) -> bool:
    """Whether CLUSTER/NAME is what this program calls a snapshot."""
    return _OBJECT.fullmatch(name) is not None and _taken(name.rpartition("/")[2]) > 0


def _taken(name: str) -> float:
    """When a snapshot was taken, as its name says; 0 where there is no such day."""
    with contextlib.suppress(ValueError, OverflowError):
        return float(calendar.timegm(time.strptime(name[:16], "%Y%m%dT%H%M%SZ")))
    return 0.0


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"\d{1,15}", text, re.ASCII):
        raise BucketError("the store does not say how long the object is")
    return int(text)


def _shown(text: str) -> str:
    """What the store said, fit for a message."""
    return _STRANGE.sub("?", text[:500])


def answer(wanted: dict[str, Any]) -> dict[str, Any]:
    """Do what is wanted: ``{"do": "upload", "store", "path"}``, or one of five other things.

    ``{"do": "check", "store"}`` sees that the bucket can be used.
    ``{"do": "list", "store"}`` lists all: ``entries`` of ``object`` and ``bytes``, the newest first.
    ``{"do": "fetch", "store", "object"}`` has one on this host, ``{"do": "forget"}`` removes it again.
    ``{"do": "turn", "settings"}`` uploads what the timer has taken, to the store in that file.
    """
    if wanted["do"] == "forget":
        forget()
        return {"done": True}
    if wanted["do"] == "turn":
        return turn(Store(**json.loads(Path(wanted["settings"]).read_text())["store"]), FOLDER)
    store = Store(**wanted["store"])
    if wanted["do"] == "check":
        check(store)
        return {"done": True}
    if wanted["do"] == "list":
        return {"entries": [{"object": each.object, "bytes": each.bytes} for each in entries(store)]}
    if wanted["do"] == "fetch":
        return fetch(store, wanted["object"])
    os.nice(10)
    return upload(store, Path(wanted["path"]), WAITS[:1])


def main() -> None:
    """Print the answer, or ``{"problem": TEXT}``; the timer's service fails where there is a problem."""
    wanted = json.loads(sys.argv[1])
    try:
        done = answer(wanted)
    except (BucketError, OSError, LookupError, TypeError, ValueError) as error:
        done = {"problem": str(error)}
    json.dump(done, sys.stdout)
    if "problem" in done and wanted["do"] == "turn":
        sys.exit(1)


if __name__ == "__main__":
    main()
