"""A component that a host no longer needs is taken off, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host.files import FileSet
from ansible.module_utils.k8sbootstrap.host.retire import stop_retired, take_off

New = Callable[..., Any]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that writes down how it is called."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "calls").touch()
    return tmp_path / "calls"


@pytest.fixture
def installed(host: Path, new_record: New, owner: dict[str, str]) -> list[dict[str, Any]]:
    """Two components, one of which replaced a file of somebody else's."""
    (host / "etc").mkdir()
    (host / "etc/haproxy.cfg").write_text("theirs")

    def file(path: str) -> dict[str, Any]:
        return {"dest": str(host / path), "content": "b3Vycw==", "mode": "0644", "restarts": [], **owner}

    requests = [
        {"name": "api_loadbalancer", "files": [file("etc/haproxy.cfg"), file("etc/new/drop.conf")]},
        {"name": "kubelet", "files": [file("etc/kubelet.conf")]},
    ]
    for request in requests:
        folder = {"path": str(host / "etc/new"), "mode": "0755", **owner}
        whole = {"users": [], "directories": [folder], "binaries": [], **request}
        record = new_record()
        FileSet(whole, record, check_mode=False).apply({})
        record.component(request["name"])["units"].append(f"{request['name']}.service")
        record.pend([f"{request['name']}.service"])
        record.save()
    return requests


def files(host: Path) -> dict[str, str]:
    return {
        str(path.relative_to(host)): path.read_text() for path in (host / "etc").rglob("*") if path.is_file()
    }


def test_units_and_files_go_and_what_was_there_comes_back(calls, host, new_record, installed):
    changes = take_off("api_loadbalancer", new_record(), check_mode=False)
    assert [change["text"] for change in changes] == [
        "api_loadbalancer.service stopped and disabled",
        f"{host}/etc/haproxy.cfg removed",
        f"{host}/etc/new/drop.conf removed",
    ]
    assert files(host) == {"etc/haproxy.cfg": "theirs", "etc/kubelet.conf": "ours"}
    assert not (host / "etc/new").exists()
    assert calls.read_text().splitlines() == ["disable --now api_loadbalancer.service", "daemon-reload"]
    record = new_record()
    assert list(record.data["components"]) == ["kubelet"]
    assert record.data["pending_restarts"] == ["kubelet.service"]
    assert take_off("api_loadbalancer", record, check_mode=False) == []


def test_folders_that_hold_something_stay_until_reset(calls, host, new_record, installed):
    (host / "etc/new/theirs").touch()
    take_off("api_loadbalancer", new_record(), check_mode=False)
    assert (host / "etc/new/theirs").exists()
    assert new_record().data["residue"] == [str(host / "etc/new")]


def test_check_mode_says_the_same_and_changes_nothing(calls, host, new_record, installed):
    before = files(host)
    assert len(take_off("api_loadbalancer", new_record(check_mode=True), check_mode=True)) == 3
    assert files(host) == before
    assert calls.read_text() == ""
    assert "api_loadbalancer" in new_record().data["components"]


@pytest.mark.parametrize("check_mode", [False, True])
def test_units_that_a_component_no_longer_has_stop(tmp_path, calls, new_record, *, check_mode: bool) -> None:
    (tmp_path / "bin/systemctl").write_text(
        "#!/bin/sh\n"
        f'[ "$1" = show ] && printf "Id=etcd-snapshot.timer\nLoadState=loaded\n" || echo "$@" >>{calls}\n'
    )
    record = new_record()
    part = record.component("etcd")
    part["units"] = ["etcd.service", "etcd-snapshot.timer", "theirs.service"]
    record.data["units_before"] = {"theirs.service": {"enabled": True, "active": True}}
    changes = stop_retired("etcd", [{"name": "etcd.service"}], record, check_mode)
    assert [change["text"] for change in changes] == ["etcd-snapshot.timer stopped and disabled"]
    if check_mode:
        assert calls.read_text() == ""
        assert len(part["units"]) == 3
    else:
        assert calls.read_text() == "disable --now etcd-snapshot.timer\n"
        assert part["units"] == ["etcd.service", "theirs.service"]
    assert stop_retired("etcd", [{"name": name} for name in part["units"]], record, check_mode) == []
