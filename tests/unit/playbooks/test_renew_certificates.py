"""The program that masters run every day: what it renews, what it writes down, what it leaves alone."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.util
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from k8sbootstrap.pki import x509
from k8sbootstrap.pki.kubeconfig import client_pair, render
from k8sbootstrap.pki.table import BOTH, Subject
from k8sbootstrap.resources import data_dir

if TYPE_CHECKING:
    from types import ModuleType

SUBJECT = Subject("m1", ("a", "b"), BOTH, frozenset({"m1", "10.0.0.1", "::1"}))
Host = Callable[..., dict[str, Any]]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = data_dir() / "roles/kube_apiserver/files/renew_certificates.py"
    spec = importlib.util.spec_from_file_location("renew_certificates", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(module, "PKI", tmp_path / "pki")
    return module


@pytest.fixture
def restarts(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Units that are restarted."""
    seen: list[str] = []
    real = subprocess.run

    def run(command: list[str], **options: Any) -> Any:
        if command[0] != "systemctl":
            return real(command, **options)
        if command[1] == "try-restart":
            seen.append(command[-1])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(program.subprocess, "run", run)
    return seen


@pytest.fixture
def authorities(program: ModuleType) -> dict[str, x509.Pair]:
    made = {}
    for name in program.AUTHORITIES:
        key = x509.new_key()
        pair = x509.Pair(x509.make_authority(f"authority {name}", key), key)
        path = program.PKI / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f"{path.name}.crt").write_bytes(pair.certificate_pem)
        path.with_name(f"{path.name}.key").write_bytes(pair.key_pem)
        made[name] = pair
    return made


@pytest.fixture
def host(program: ModuleType, authorities: dict[str, x509.Pair], tmp_path: Path) -> Host:
    """A master with a certificate of etcd, and a kubeconfig of the scheduler; the record of it."""

    def make(days: float, until: float = 4e9) -> dict[str, Any]:
        life = dt.timedelta(days=days)
        etcd = x509.issue(SUBJECT, authorities["etcd/ca"], life)
        scheduler = x509.issue(Subject("system:kube-scheduler"), authorities["ca"], life)
        kubeconfig = render(cluster="demo", user="s", server="a:1", ca_pem=b"x", pair=scheduler)
        files = {
            "etcd": {"server.crt": etcd.certificate_pem, "server.key": etcd.key_pem, "ca.crt": b"ca"},
            "kube_scheduler": {"scheduler.conf": kubeconfig, "config.yaml": b"x"},
        }
        units = {"etcd": ["etcd.service"], "kube_scheduler": ["kube-scheduler.service"]}
        leaf = {"name": "x", "says": "it", "authority_ends": until}
        components: dict[str, Any] = {name: {"files": {}, "units": units[name]} for name in files}
        for component, contents in files.items():
            for name, content in contents.items():
                path = tmp_path / name
                path.write_bytes(content)
                path.chmod(0o640)
                entry: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest(), "stat": None}
                if name not in {"ca.crt", "config.yaml"}:
                    entry["leaf"] = leaf
                components[component]["files"][str(path)] = entry
        program.RECORD.write_text(json.dumps({"components": components, "pending_restarts": []}))
        return components

    return make


def run(program: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["renew_certificates.py", *arguments])
    code: int = program.main()
    return code


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"
    }


def test_what_ends_soon_is_renewed(
    program: ModuleType,
    host: Host,
    restarts: list[str],
    *,
    tmp_path: Path,
    authorities: dict[str, x509.Pair],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says the same, has the same key, mode and owner, and the record knows it."""
    host(19)
    before = contents(tmp_path)
    assert run(program, monkeypatch) == 0
    after = contents(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {
        "server.crt",
        "scheduler.conf",
        "record.json",
    }
    key = x509.load_key(after["server.key"])
    pairs = {
        "etcd/ca": (SUBJECT, x509.Pair(x509.load_certificate(after["server.crt"]), key)),
        "ca": (Subject("system:kube-scheduler"), client_pair(after["scheduler.conf"])),
    }
    for name, (subject, pair) in pairs.items():
        assert x509.why_renew(pair, subject, authorities[name]) == ""
        left = pair.certificate.not_valid_after_utc - x509.now()
        assert dt.timedelta(days=364) < left <= dt.timedelta(days=365)
    record = json.loads(after["record.json"])
    for part in record["components"].values():
        for path, entry in part["files"].items():
            now = Path(path).stat()
            assert entry["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
            assert entry["stat"] in (None, [now.st_size, now.st_ino, now.st_ctime_ns])
            assert stat.S_IMODE(now.st_mode) == 0o640
    assert restarts == ["kube-scheduler.service"]
    assert record["pending_restarts"] == []


@pytest.mark.parametrize(("days", "arguments"), [(21, []), (19, ["--less-than", "18"])])
def test_what_lasts_stays(
    program: ModuleType,
    host: Host,
    restarts: list[str],
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: float,
    arguments: list[str],
) -> None:
    host(days)
    before = contents(tmp_path)
    assert run(program, monkeypatch, *arguments) == 0
    assert (contents(tmp_path), restarts) == (before, [])


def test_what_has_expired_is_renewed_too(
    program: ModuleType, host: Host, restarts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(-0.001)
    assert run(program, monkeypatch) == 0
    assert x509.load_certificate((tmp_path / "server.crt").read_bytes()).not_valid_after_utc > x509.now()
    assert restarts


def test_none_lasts_longer_than_its_ca(
    program: ModuleType, host: Host, restarts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(5, until=x509.now().timestamp() + 10.5 * 86_400)
    assert run(program, monkeypatch) == 0
    left = x509.load_certificate((tmp_path / "server.crt").read_bytes()).not_valid_after_utc - x509.now()
    assert left.days == 9
    host(9.9, until=x509.now().timestamp() + 10 * 86_400)
    before = contents(tmp_path)
    assert run(program, monkeypatch) == 0
    assert contents(tmp_path) == before
    assert restarts == ["kube-scheduler.service"]


@pytest.mark.parametrize("name", ["server.crt", "scheduler.conf"])
def test_what_somebody_changed_is_left_alone(
    program: ModuleType,
    host: Host,
    restarts: list[str],
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """The others are renewed, and the timer's service fails."""
    host(5)
    changed = (tmp_path / name).read_bytes() + b"\n"
    (tmp_path / name).write_bytes(changed)
    assert run(program, monkeypatch) == 1
    assert (tmp_path / name).read_bytes() == changed
    assert f"{name}: not renewed: somebody changed it" in capsys.readouterr().err
    assert ("kube-scheduler.service" in restarts) == (name != "scheduler.conf")


def test_what_no_ca_here_signed_is_left_alone(
    program: ModuleType,
    host: Host,
    restarts: list[str],
    *,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    host(5)
    key = x509.new_key()
    (program.PKI / "etcd/ca.crt").write_bytes(x509.certificate_pem(x509.make_authority("other", key)))
    assert run(program, monkeypatch) == 1
    assert "server.crt: not renewed: no CA of this master signed it" in capsys.readouterr().err
    assert restarts == ["kube-scheduler.service"]


def test_without_openssl(
    program: ModuleType,
    host: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    host(5)
    before = contents(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    assert run(program, monkeypatch) == 1
    assert "not renewed" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_a_run_that_was_killed_before_its_restarts_does_them_later(
    program: ModuleType, host: Host, restarts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    host(5)
    with monkeypatch.context() as patched:
        patched.setattr(program, "restart", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(program, monkeypatch)
    assert json.loads(program.RECORD.read_text())["pending_restarts"] == ["kube-scheduler.service"]
    assert run(program, monkeypatch) == 0
    assert restarts == ["kube-scheduler.service"]
    assert json.loads(program.RECORD.read_text())["pending_restarts"] == []


OTHER = """
import pathlib, sys, time
sys.path.insert(0, sys.argv[2])
import playbook_code
from ansible.module_utils.k8sbootstrap.host import record
record.PATH = sys.argv[1]
record.write_atomically = lambda path, content, *_: pathlib.Path(path).write_bytes(content)
known = record.Record()
print("read", flush=True)
time.sleep(1)
known.data["cluster"] = "theirs"
known.save()
"""


def test_it_waits_while_a_run_of_k8sbootstrap_has_the_record(
    program: ModuleType, host: Host, restarts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither loses what the other wrote."""
    host(5)
    command = [sys.executable, "-c", OTHER, str(program.RECORD), str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "read\n"
        assert run(program, monkeypatch) == 0
    record = json.loads(program.RECORD.read_text())
    assert record["cluster"] == "theirs"
    name = str(tmp_path / "server.crt")
    sha256 = hashlib.sha256(Path(name).read_bytes()).hexdigest()
    assert record["components"]["etcd"]["files"][name]["sha256"] == sha256
    assert restarts == ["kube-scheduler.service"]
