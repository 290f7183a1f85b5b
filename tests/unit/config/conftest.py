"""Files that the examples of bad cluster files name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.lab.image_tar import write_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good key, an open one, a public one, an image, and a folder."""
    for name, mode in (("good.key", 0o600), ("open.key", 0o644), ("good.pub", 0o600), ("open", 0o640)):
        (tmp_path / name).write_text("key")
        (tmp_path / name).chmod(mode)
    (tmp_path / "folder").mkdir()
    write_image(tmp_path / "arm64.tar", "registry.example.com/app:1", {}, {}, arch="arm64")
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[[str], Path]:
    """Writes cluster.yaml into the folder."""

    def _write(text: str) -> Path:
        file = folder / "cluster.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return _write
