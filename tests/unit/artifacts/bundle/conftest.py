"""Bundles of small files."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.artifacts.bundle.manifest import BundledFile, Manifest
from k8sbootstrap.artifacts.bundle.writer import Content, write_bundle

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a bundle with these contents."""

    def make(content: dict[str, bytes], name: str = "bundle.tar", **more: object) -> Path:
        files = {
            path: BundledFile(len(data), hashlib.sha256(data).hexdigest()) for path, data in content.items()
        }
        systems = {
            path.split("/")[1] + "/amd64": ("hello",) for path in content if path.startswith("packages/")
        }
        described = {"images": {}, "missing": (), "packages": systems} | more
        manifest = Manifest("demo", "1.36.4", ("amd64",), files=files, **described)
        parts: dict[str, Content] = dict(content)
        write_bundle(tmp_path / name, manifest, parts, lambda _: None)
        return tmp_path / name

    return make
