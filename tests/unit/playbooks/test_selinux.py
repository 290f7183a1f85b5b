"""Labels and booleans of SELinux, where the host has it on."""

import base64
import os
from pathlib import Path

import playbook_code
import pytest
from ansible.module_utils.k8sbootstrap.host import files, selinux

host_base = playbook_code.load("library", "host_base")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with SELinux, whose commands write down how they are called."""
    policy = tmp_path / "selinux"
    (policy / "booleans").mkdir(parents=True)
    (policy / "enforce").write_text("1")
    (policy / "booleans/haproxy_connect_any").write_text("0 0\x00")
    monkeypatch.setattr(selinux, "_FILESYSTEM", str(policy))
    log = tmp_path / "calls"
    log.touch()
    (tmp_path / "bin").mkdir()
    for name in ("restorecon", "setsebool"):
        (tmp_path / "bin" / name).write_text(
            f'#!/bin/sh\necho {name} "$@" >>{log}\ntest ! -e {tmp_path}/broken\n'
        )
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return log


def request(folder: Path, owner: dict[str, str], text: str) -> dict:
    content = base64.b64encode(text.encode()).decode()
    file = {"dest": f"{folder}/sub/new/file", "content": content, "mode": "0644", "restarts": [], **owner}
    directory = {"path": f"{folder}/sub/new", "mode": "0755", **owner}
    return {"name": "x", "users": [], "directories": [directory], "files": [file], "binaries": []}


def test_new_files_and_folders_get_the_policy_s_labels_and_others_keep_theirs(calls, new_record, host, owner):
    folder = host / "etc"
    folder.mkdir()
    files.FileSet(request(folder, owner, "one"), new_record(), check_mode=False).apply({})
    assert calls.read_text() == f"restorecon -i {folder}/sub {folder}/sub/new {folder}/sub/new/file\n"
    files.FileSet(request(folder, owner, "two"), new_record(), check_mode=False).apply({})
    assert calls.read_text().splitlines()[1:] == [f"restorecon -i {folder}/sub/new/file"]
    files.FileSet(request(folder, owner, "two"), new_record(), check_mode=False).apply({})
    assert len(calls.read_text().splitlines()) == 2


def test_nothing_is_labelled_without_selinux(calls, monkeypatch):
    monkeypatch.setattr(selinux, "_FILESYSTEM", "/nowhere")
    selinux.relabel(["/etc/x"])
    assert selinux.boolean("haproxy_connect_any") == ""
    assert calls.read_text() == ""


def test_booleans_are_set_and_their_old_values_recorded(calls, new_record):
    record = new_record()
    names = ["haproxy_connect_any", "of_another_policy"]
    assert host_base._booleans(names, record, check_mode=True) == ["haproxy_connect_any"]
    assert calls.read_text() == ""
    assert host_base._booleans(names, record, check_mode=False) == ["haproxy_connect_any"]
    assert calls.read_text() == "setsebool -P haproxy_connect_any 1\n"
    assert new_record().data["selinux_booleans"] == {"haproxy_connect_any": "0"}


def test_a_boolean_that_can_t_be_set_is_an_error(calls, new_record):
    (calls.parent / "broken").touch()
    with pytest.raises(selinux.SELinuxError, match="setsebool -P haproxy_connect_any 1 failed"):
        host_base._booleans(["haproxy_connect_any"], new_record(), check_mode=False)
