"""The code that Ansible sends to hosts, working in a temporary folder."""

import grp
import importlib
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import playbook_code  # noqa: F401 - makes module_utils importable
import pytest


@pytest.fixture
def owner() -> dict[str, str]:
    """Who files belong to: whoever runs the tests."""
    me = pwd.getpwuid(os.getuid())
    return {"owner": me.pw_name, "group": grp.getgrgid(me.pw_gid).gr_name}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the host's root, with the record in it; tests may run as any user."""
    files = importlib.import_module("ansible.module_utils.k8sbootstrap.host.files")
    record = importlib.import_module("ansible.module_utils.k8sbootstrap.host.record")
    folder = tmp_path / "var/lib/k8sbootstrap"
    monkeypatch.setattr(record, "DIRECTORY", str(folder))
    monkeypatch.setattr(record, "PATH", str(folder / "record.json"))
    monkeypatch.setattr(files, "ORIGINALS", str(folder / "originals"))
    foreign = importlib.import_module("ansible.module_utils.k8sbootstrap.host.foreign")
    monkeypatch.setattr(foreign, "is_stock", lambda _: True)  # what is there is of packages
    monkeypatch.setattr(files, "_is_loaded_and_not_inactive", lambda unit: not unit.startswith("stopped"))
    real = record.write_atomically

    def as_me(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
        real(path, content, mode, os.getuid(), os.getgid())

    monkeypatch.setattr(record, "write_atomically", as_me)
    return tmp_path


@pytest.fixture
def new_record(host: Path) -> Callable[..., Any]:
    """Opens the record, as every module call does."""
    return importlib.import_module("ansible.module_utils.k8sbootstrap.host.record").Record
