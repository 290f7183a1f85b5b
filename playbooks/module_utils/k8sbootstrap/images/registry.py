"""Puts images into the storage of this host's docker-registry, which serves them and takes none itself.

A second registry on the same storage takes them, as long as that lasts, on a socket that root alone reaches.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import pwd
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from ansible.module_utils.k8sbootstrap.changes import CONFIGURATION, DRIFT, NEW, Cause, Change, change
from ansible.module_utils.k8sbootstrap.host.arrivals import opened, sha256_of
from ansible.module_utils.k8sbootstrap.host.record import Component, Pushed
from ansible.module_utils.k8sbootstrap.host.request import Registry, RegistryImage

_PROGRAM = "/usr/bin/docker-registry"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_GZIP = b"\x1f\x8b"
_SECONDS = 20.0
"""How long the registry may take to start."""
_BLOCK = 1 << 20
_CREATED, _OK = 201, 200


class RegistryError(Exception):
    """An image could not be put into the registry."""


def lacking(wanted: Registry, part: Component) -> list[str]:
    """References of the images that the registry does not have as wanted.

    Args:
        wanted: The registry, and the images that it is to have.
        part: The component's part of the record.
    """
    archives: dict[str, dict[str, str]] = {}
    for image in wanted.get("images", []):
        archives.setdefault(image["ref"], {})[image["arch"]] = image["sha256"]
    known = part["registry"].get("images", {})
    return [
        ref
        for ref, found in archives.items()
        if ref not in known or known[ref]["archives"] != found or not _is_there(wanted["data"], known[ref])
    ]


def registry_drift(part: Component) -> list[Change]:
    """Images that the registry was given and has no longer, or has others by their names."""
    registry = part["registry"]
    return [
        change("image", "load", ref, DRIFT)
        for ref, known in registry.get("images", {}).items()
        if not _is_there(registry["data"], known)
    ]


def fill(wanted: Registry, part: Component, archives: Mapping[str, str], check_mode: bool) -> list[Change]:
    """Put in the images that the registry does not have.

    Args:
        wanted: As for ``lacking``.
        part: The component's part of the record; it is told what the registry has now.
        archives: sha256 to the path of each archive that is needed.
        check_mode: Only say what would be put in.

    Returns:
        Changes.

    Raises:
        RegistryError: An image could not be put in.
        OSError: An archive can't be read.
    """
    refs = lacking(wanted, part)
    known = part["registry"].get("images", {})
    changes = [
        change("image", "load", ref, _cause(ref, wanted, known, bool(part["registry"]))) for ref in refs
    ]
    if check_mode:
        return changes
    there = {ref: entry for ref, entry in known.items() if ref not in refs}
    if refs:
        with _writer(wanted["data"], wanted["user"]) as registry:
            for ref in refs:
                images = [image for image in wanted["images"] if image["ref"] == ref]
                try:
                    there[ref] = _put(registry, images, archives)
                except (
                    OSError,
                    http.client.HTTPException,
                    tarfile.TarError,
                    LookupError,
                    ValueError,
                ) as error:
                    raise RegistryError(f"{ref} could not be put into the registry: {error}") from error
    listed = {image["ref"] for image in wanted["images"]}
    part["registry"] = {
        "data": wanted["data"],
        "images": {ref: entry for ref, entry in there.items() if ref in listed},
    }
    return changes


def _cause(ref: str, wanted: Registry, known: Mapping[str, Pushed], filled: bool) -> Cause:
    if ref not in known:
        return CONFIGURATION if filled else NEW
    return CONFIGURATION if _is_there(wanted["data"], known[ref]) else DRIFT


def _is_there(data: str, entry: Pushed) -> bool:
    """Whether a tag means what was put in; the registry keeps that in a file of its own."""
    top = f"{data}/docker/registry/v2/repositories/{entry['name']}/_manifests/tags/{entry['tag']}"
    try:
        with open(f"{top}/current/link", encoding="ascii") as handle:
            return handle.read().strip() == entry["digest"]
    except OSError:
        return False


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("registry", timeout=60, blocksize=_BLOCK)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        good: tuple[int, ...] = (_OK,),
        **headers: str,
    ) -> http.client.HTTPResponse:
        """The answer, whose body has been read.

        Raises:
            ValueError: Another status than a good one.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.request(method, path, body, named)
        answer = self.getresponse()
        said = answer.read()
        if answer.status not in good:
            text = said.decode("utf-8", "replace").strip()[:300]
            raise ValueError(f"{method} {path.partition('?')[0]} answered {answer.status} {text}")
        return answer


@contextmanager
def _writer(data: str, user: str) -> Iterator[_Connection]:
    """A registry that takes images, while the block runs."""
    owner = pwd.getpwnam(user)
    folder = tempfile.mkdtemp(prefix="k8sbootstrap-registry-", dir="/run")
    path, config = (os.path.join(folder, name) for name in ("socket", "config.yml"))
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": data}},
        "http": {"net": "unix", "addr": path, "relativeurls": True},
    }
    process = None
    log = tempfile.TemporaryFile()  # noqa: SIM115 - not in the folder: that will be another user's
    try:
        with open(config, "w", encoding="ascii") as handle:
            json.dump(settings, handle)  # JSON is YAML
        for each in (folder, config):
            os.chown(each, owner.pw_uid, owner.pw_gid)
        process = subprocess.Popen(
            [_PROGRAM, "serve", config],
            stdout=log,
            stderr=log,
            user=user,
            group=owner.pw_gid,
            extra_groups=[],
        )
        deadline = time.monotonic() + _SECONDS
        while not os.path.exists(path):
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                said = log.read().decode("utf-8", "replace").strip()[-500:]
                raise RegistryError(f"{_PROGRAM} does not start: {said}")
            time.sleep(0.05)
        yield _Connection(path)
    finally:
        if process is not None:
            process.terminate()
            process.wait(30)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _put(registry: _Connection, images: list[RegistryImage], archives: Mapping[str, str]) -> Pushed:
    """Put one image in, for all of its architectures; what the record should know of it."""
    name, tag = images[0]["name"], images[0]["tag"]
    described = []
    for image in images:
        with _archive(archives[image["sha256"]], image["sha256"]) as tar:
            manifest, kind = _manifest(registry, tar, image["ref"], name)
        digest = _put_manifest(registry, name, manifest, kind, _digest(manifest))
        described.append(
            {
                "mediaType": kind,
                "digest": digest,
                "size": len(manifest),
                "platform": {"architecture": image["arch"], "os": "linux"},
            }
        )
    if len(images) > 1:
        manifest = _text({"schemaVersion": 2, "mediaType": _LIST, "manifests": described})
        kind = _LIST
    digest = _put_manifest(registry, name, manifest, kind, tag)
    found = {image["arch"]: image["sha256"] for image in images}
    return {"name": name, "tag": tag, "archives": found, "digest": digest}


@contextmanager
def _archive(path: str, digest: str) -> Iterator[tarfile.TarFile]:
    """An archive that was sent, open; it must have this sha256."""
    with opened(path) as handle:
        found = sha256_of(handle)
        if found != digest:
            raise ValueError(
                f"its archive arrived with the wrong content: sha256 {found} instead of {digest}"
            )
        handle.seek(0)
        with tarfile.open(fileobj=handle, mode="r:") as tar:
            yield tar


def _manifest(registry: _Connection, tar: tarfile.TarFile, ref: str, name: str) -> tuple[bytes, str]:
    """The manifest of an image of an archive, and its type; what it names is in the registry afterwards."""
    listed = json.load(_member(tar, "manifest.json"))
    entry = next((each for each in listed if ref in _full_names(each["RepoTags"])), None)
    if entry is None:
        raise ValueError("its archive does not contain an image with this name")
    original = _original(tar, ref)
    paths = [entry["Config"], *entry["Layers"]]
    if original:  # as it was in the registry that it came from: its digest stays what it was
        document = json.loads(original)
        for part, path in zip([document["config"], *document["layers"]], paths):
            _put_blob(registry, name, tar, path, part["digest"])
        kind = document.get("mediaType") or "application/vnd.oci.image.manifest.v1+json"
        return original, kind
    parts: list[dict[str, Any]] = []
    for path in paths:
        digest, size, start = _measure(tar, path)
        _put_blob(registry, name, tar, path, digest)
        kind = _LAYER + (".gzip" if start.startswith(_GZIP) else "") if parts else _CONFIG
        parts.append({"mediaType": kind, "digest": digest, "size": size})
    document = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": parts[0], "layers": parts[1:]}
    return _text(document), _MANIFEST


def _original(tar: tarfile.TarFile, ref: str) -> bytes:
    """The manifest that an archive has of an image, where it is an OCI layout too; else nothing."""
    if "index.json" not in tar.getnames():
        return b""
    for each in json.load(_member(tar, "index.json"))["manifests"]:
        if each.get("annotations", {}).get("io.containerd.image.name") == ref:
            content = _member(tar, "blobs/" + each["digest"].replace(":", "/")).read()
            return content if "layers" in json.loads(content) else b""
    return b""


def _full_names(refs: list[str] | None) -> list[str]:
    """References with their registry: docker's own writes docker.io/library/NAME as NAME."""
    names = []
    for ref in refs or []:
        host, slash, _ = ref.partition("/")
        if not slash:
            names.append(f"docker.io/library/{ref}")
        elif host == "localhost" or "." in host or ":" in host:
            names.append(ref)
        else:
            names.append(f"docker.io/{ref}")
    return names


def _member(tar: tarfile.TarFile, path: str) -> IO[bytes]:
    """A file of an archive, open.

    Raises:
        KeyError: It is not there.
        ValueError: It is no file.
    """
    found = tar.extractfile(path)
    if found is None:
        raise ValueError(f"{path} in its archive is not a regular file")
    return found


def _measure(tar: tarfile.TarFile, path: str) -> tuple[str, int, bytes]:
    digest, size, start = hashlib.sha256(), 0, b""
    with _member(tar, path) as content:
        for block in iter(lambda: content.read(_BLOCK), b""):
            start = start or block[:2]
            digest.update(block)
            size += len(block)
    return f"sha256:{digest.hexdigest()}", size, start


def _put_blob(registry: _Connection, name: str, tar: tarfile.TarFile, path: str, digest: str) -> None:
    """Upload what the registry lacks; it checks the digest itself."""
    if registry.ask("HEAD", f"/v2/{name}/blobs/{digest}", good=(_OK, 404)).status == _OK:
        return
    place = registry.ask("POST", f"/v2/{name}/blobs/uploads/", good=(202,), Content_Length="0").headers[
        "Location"
    ]
    with _member(tar, path) as content:
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        registry.ask(
            "PUT",
            f"{place}{'&' if '?' in place else '?'}digest={digest}",
            content,
            (_CREATED,),
            Content_Type="application/octet-stream",
            Content_Length=str(size),
        )


def _put_manifest(registry: _Connection, name: str, manifest: bytes, kind: str, tag: str) -> str:
    registry.ask("PUT", f"/v2/{name}/manifests/{tag}", manifest, (_CREATED,), Content_Type=kind)
    return _digest(manifest)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
