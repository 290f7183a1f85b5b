"""Container images as docker-archive tar files, made without any container engine."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path


def write_image(
    target: Path,
    ref: str,
    files: Mapping[str, bytes],
    config: Mapping[str, object],
    links: Mapping[str, str] | None = None,
    *,
    arch: str = "amd64",
) -> None:
    """Write an image with one layer; the same input gives the same bytes.

    Args:
        target: The tar file to write; ``docker load`` and ``ctr images import`` read it.
        ref: Full reference of the image.
        files: Path in the image to contents; all are made executable.
        config: The image's configuration, such as ``{"Entrypoint": [...]}``.
        links: Symbolic links: path in the image to what it points at.
        arch: Architecture that the image is for.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for name, content in files.items():
            _add(tar, name, content, 0o755)
        for name, destination in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, destination
            tar.addfile(entry)
    content = layer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
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
