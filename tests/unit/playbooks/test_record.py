"""The host's record survives whatever ends a run."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host.record import write_atomically

New = Callable[..., Any]


def test_a_new_record_is_empty_and_not_written(host: Path, new_record: New) -> None:
    record = new_record()
    record.save()
    assert record.data["components"] == {}
    assert not (host / "var").exists()


def test_it_is_saved_for_its_owner_alone_and_read_back(host: Path, new_record: New) -> None:
    record = new_record()
    record.component("etcd")["units"].append("etcd.service")
    record.save()
    path = host / "var/lib/k8sbootstrap/record.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert new_record().component("etcd")["units"] == ["etcd.service"]


def test_pending_restarts_are_on_disk_at_once(new_record: New) -> None:
    new_record().pend(["etcd.service"])
    record = new_record()
    assert record.data["pending_restarts"] == ["etcd.service"]
    record.restarted("etcd.service")
    assert new_record().data["pending_restarts"] == []


def test_check_mode_writes_nothing(host: Path, new_record: New) -> None:
    record = new_record(check_mode=True)
    record.pend(["etcd.service"])
    record.component("etcd")
    record.save()
    assert not (host / "var").exists()


def test_an_unchanged_record_is_not_written_again(host: Path, new_record: New) -> None:
    new_record().pend(["a.service"])
    path = host / "var/lib/k8sbootstrap/record.json"
    before = path.stat().st_ino
    new_record().save()
    assert path.stat().st_ino == before


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(str(path), b"new", 0o600, os.getuid(), os.getgid())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_write_leaves_the_old_record(
    host: Path, new_record: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_record().pend(["a.service"])

    def killed(source: str, target: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        new_record().pend(["b.service"])
    folder = host / "var/lib/k8sbootstrap"
    assert json.loads((folder / "record.json").read_text())["pending_restarts"] == ["a.service"]
    assert {path.name for path in folder.iterdir()} == {"record.json", "record.json.lock"}
