"""Container images as docker-archive tar files, made without any container engine."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_FAST = 1
"""Level of compression: the highest takes three times as long for a tenth less."""


def write_image(
    target: Path,
    ref: str,
    files: Mapping[str, bytes],
    config: Mapping[str, object],
    links: Mapping[str, str] | None = None,
    *,
    modes: Mapping[str, int] = MappingProxyType({}),
    compress: bool = False,
    arch: str = "amd64",
) -> None:
    """Write an image with one layer; the same input gives the same bytes.

    Args:
        target: The tar file to write; ``docker load`` and ``ctr images import`` read it.
        ref: Full reference of the image.
        files: Path in the image to contents; all are made executable.
        config: The image's configuration, such as ``{"Entrypoint": [...]}``.
        links: Symbolic links: path in the image to what it points at.
        modes: Permissions other than 0755. A path that is no file becomes a folder.
        compress: Whether the layer is compressed, as it is in a registry.
        arch: Architecture that the image is for.
    """
    layer = io.BytesIO()
    folders = {"bin": 0o755, "etc": 0o755, "tmp": 0o1777}
    folders |= {name: mode for name, mode in modes.items() if name not in files}
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, mode in sorted(folders.items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        for name, content in sorted(files.items()):
            _add(tar, name, content, modes.get(name, 0o755))
        for name, destination in sorted((links or {}).items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, destination
            tar.addfile(entry)
    content = layer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    if compress:
        content = gzip.compress(content, _FAST, mtime=0)
    description = {
        "architecture": arch,
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z"}],
    }
    text = json.dumps(description, sort_keys=True).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [ref], "Layers": [f"{digest}/layer.tar"]}]
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}")
    with tarfile.open(partial, "w") as tar:
        _add(tar, name, text, 0o644)
        _add(tar, f"{digest}/layer.tar", content, 0o644)
        _add(tar, "manifest.json", json.dumps(manifest).encode(), 0o644)
    partial.replace(target)


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
