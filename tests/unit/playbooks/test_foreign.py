"""Whose a file is that is there before ours: by its mark, and by the checksums that dpkg and rpm have."""

import base64
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host import foreign
from ansible.module_utils.k8sbootstrap.host.merge import MergeError

DOCKER = b'{"live-restore": true, "bridge": "none"}'


@pytest.fixture
def wanted(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def _wanted(text: bytes = b"ours", **more: Any) -> dict[str, Any]:
        return {"dest": str(tmp_path / "app.conf"), "content": base64.b64encode(text).decode(), **more}

    return _wanted


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="needs dpkg")
def test_stock_is_what_the_package_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert foreign.is_stock("/etc/debian_version")
    assert not foreign.is_stock("/etc/hostname")
    (tmp_path / "x").touch()
    assert not foreign.is_stock(str(tmp_path / "x"))
    monkeypatch.setattr(foreign, "_read", lambda _: b"edited")
    assert not foreign.is_stock("/etc/debian_version")


@pytest.mark.parametrize("content", [b"ours", b"# Managed by k8sbootstrap\nolder", None])
def test_ours_is_written(tmp_path: Path, wanted: Any, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "app.conf").write_bytes(content)
    assert foreign.content_of(wanted(), None, "") == (b"ours", {})


def test_somebody_elses_is_refused_or_kept(tmp_path: Path, wanted: Any) -> None:
    (tmp_path / "app.conf").write_text("theirs")
    with pytest.raises(
        foreign.ForeignFileError, match=r"app\.conf already exists\. Its content is not from k8sbootstrap"
    ):
        foreign.content_of(wanted(), None, "")
    assert foreign.content_of(wanted(keep=True), None, "") == (None, {})
    (tmp_path / "app.conf").unlink()
    (tmp_path / "app.conf").symlink_to(tmp_path / "nothing")
    with pytest.raises(foreign.ForeignFileError):
        foreign.content_of(wanted(), None, "")


def test_what_is_ours_may_have_been_changed(tmp_path: Path, wanted: Any) -> None:
    (tmp_path / "app.conf").write_text("changed by somebody")
    assert foreign.content_of(wanted(), {"sha256": "x", "original": None}, "") == (b"ours", {})


def test_settings_that_were_there_stay_on_every_run(
    tmp_path: Path, wanted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "look", lambda: ([], {}, []))
    file = wanted(DOCKER, merge="docker")
    path = tmp_path / "app.conf"
    path.write_text('{"live-restore": false, "debug": true}')
    first, notes = foreign.content_of(file, None, "")
    assert notes == {"theirs": True, "settings": ["live-restore", "bridge"]}
    path.rename(tmp_path / "original")
    path.write_bytes(first)
    known = {"sha256": "x", "original": "original", **notes}
    assert foreign.content_of(file, known, str(tmp_path)) == (first, notes)
    path.write_bytes(first.replace(b'"debug": true', b'"debug": true, "hosts": []').replace(b"none", b"br0"))
    later, _ = foreign.content_of(file, known, str(tmp_path))
    assert b'"hosts": []' in later
    assert b'"bridge": "none"' in later
    assert b'"live-restore": false' in later


def test_docker_in_a_swarm_is_refused(wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "look", lambda: ([], {"Swarm": {"LocalNodeState": "active"}}, []))
    with pytest.raises(MergeError, match="docker is in a swarm"):
        foreign.content_of(wanted(DOCKER, merge="docker"), None, "")
    known = {"sha256": "x", "original": None, "settings": []}
    assert foreign.content_of(wanted(DOCKER, merge="docker"), known, "")[0] == DOCKER


def test_look_starts_nothing() -> None:
    lines, info, containers = foreign.look()
    assert isinstance(lines, list)
    if not Path("/run/docker.sock").exists():
        assert (info, containers) == ({}, [])
