"""The Go that programs are built with: one release, so that builds on different machines are the same.

It comes from the module proxy, as Go's own modules do. What is downloaded must have the known hash.
"""

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

import urllib3

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.errors import LabError

VERSION = "1.26.8"
_SHA256 = "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7"
_MODULE = f"golang.org/toolchain@v0.0.1-go{VERSION}.linux-amd64"
_PROXY = "https://proxy.golang.org"
_SECONDS_WITHOUT_DATA = 60.0
_BLOCK = 1 << 20
_OK = 200
_PROGRAMS = ("bin/*", "pkg/tool/linux_amd64/*")


def ensure() -> Path:
    """Download Go, unless it is there.

    Returns:
        The program ``go``.

    Raises:
        LabError: The module proxy can't be reached, or serves another file.
    """
    folder = cache_dir() / "lab" / f"go-{VERSION}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".go-", dir=folder.parent) as name:
            archive = Path(name) / "go.zip"
            _download(address(), archive)
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(name)
            root = Path(name) / _MODULE
            for pattern in _PROGRAMS:
                for program in root.glob(pattern):
                    program.chmod(0o755)
            root.rename(folder)
    return folder / "bin" / "go"


def address() -> str:
    """Where the toolchain is: at the first module proxy that GOPROXY names, or at Go's own."""
    named = os.environ.get("GOPROXY", "").replace("|", ",").split(",")[0]
    base = named if named.startswith(("https://", "http://")) else _PROXY
    module, _, version = _MODULE.partition("@")
    return f"{base.rstrip('/')}/{module}/@v/{version}.zip"


def _download(url: str, target: Path) -> None:
    digest = hashlib.sha256()
    try:
        with (
            urllib3.PoolManager().request(
                "GET", url, preload_content=False, timeout=_SECONDS_WITHOUT_DATA
            ) as answer,
            target.open("wb") as file,
        ):
            if answer.status != _OK:
                raise _unreachable(f"{url} answers with HTTP status {answer.status}")
            for block in answer.stream(_BLOCK):
                digest.update(block)
                file.write(block)
    except urllib3.exceptions.HTTPError as exc:
        raise _unreachable(f"{url} can't be fetched: {exc}") from exc
    if digest.hexdigest() != _SHA256:
        raise LabError(
            f"{url} is not Go {VERSION}: its sha256 is {digest.hexdigest()}, not {_SHA256}",
            hint="Set GOPROXY to a module proxy that serves the original file.",
        )


def _unreachable(what: str) -> LabError:
    return LabError(
        f"Programs must be built here, since upstream's releases can't be reached, but {what}",
        hint="Set GOPROXY to a module proxy that this machine reaches, or name a directory with the "
        "programs (--artifacts).",
    )
