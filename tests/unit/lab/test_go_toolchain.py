"""Go itself, from a module proxy: a real HTTP server with a small archive."""

import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import go_toolchain


def _archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("bin/go", "pkg/tool/linux_amd64/link", "src/x.go"):
            archive.writestr(f"{go_toolchain._MODULE}/{name}", "#!/bin/sh\necho go\n")
    return content.getvalue()


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that the proxy serves."""
    monkeypatch.setenv("K8SBOOTSTRAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(go_toolchain, "_SHA256", hashlib.sha256(_archive()).hexdigest())
    module, _, version = go_toolchain._MODULE.partition("@")
    file = tmp_path / "root" / module / "@v" / f"{version}.zip"
    file.parent.mkdir(parents=True)
    file.write_bytes(_archive())
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path / "root")
    )
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("GOPROXY", f"http://127.0.0.1:{server.server_port},direct")
    yield file
    server.shutdown()


def test_it_is_downloaded_once_and_its_programs_run(proxy: Path) -> None:
    program = go_toolchain.ensure()
    assert program.stat().st_mode & 0o111
    assert (program.parents[1] / "pkg/tool/linux_amd64/link").stat().st_mode & 0o111
    assert not (program.parents[1] / "src/x.go").stat().st_mode & 0o111
    proxy.unlink()
    assert go_toolchain.ensure() == program


def test_another_file_is_refused_and_leaves_nothing(proxy: Path, tmp_path: Path) -> None:
    proxy.write_bytes(b"something else")
    with pytest.raises(LabError, match=r"is not Go 1\.\d+\.\d+: its sha256 is") as caught:
        go_toolchain.ensure()
    assert "GOPROXY" in caught.value.hint
    assert list((tmp_path / "cache/lab").iterdir()) == []


def test_a_proxy_without_it_or_without_an_answer(proxy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy.unlink()
    with pytest.raises(LabError, match="answers with HTTP status 404"):
        go_toolchain.ensure()
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
    with pytest.raises(LabError, match=r"http://127\.0\.0\.1:9/.* can't be fetched"):
        go_toolchain.ensure()


@pytest.mark.parametrize("value", ["", "off", "direct", "file:///srv/proxy"])
def test_where_no_proxy_is_named_it_is_gos_own(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GOPROXY", value)
    assert go_toolchain.address().startswith("https://proxy.golang.org/golang.org/toolchain/@v/v0.0.1-go1.")
