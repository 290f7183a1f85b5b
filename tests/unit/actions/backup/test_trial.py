"""An etcd and an API server from a backup: what is said where they don't start, and that nothing stays."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.actions.backup import trial, verify
from k8sbootstrap.actions.backup.sealed import Backup, opened
from k8sbootstrap.config.models.cluster import Cluster
from k8sbootstrap.errors import BackupError
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run import with_parent

from .conftest import KEY

pytestmark = pytest.mark.usefixtures("filled")

ETCDUTL = """#!/bin/sh
case $2 in status) echo '{"revision": REVISION}';; restore) echo 'no space' >&2; exit CODE;; esac
"""
LASTS = "#!/bin/sh\necho $$ >PIDS/$(basename $0).pid\nexec sleep 300\n"


@pytest.fixture
def programs(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Makes programs that stand for those of a release."""

    def make(revision: int = 77, code: int = 0, etcd: str = LASTS, api: str = LASTS) -> dict[str, Path]:
        texts = {
            "etcdutl": ETCDUTL.replace("REVISION", str(revision)).replace("CODE", str(code)),
            "etcd": etcd,
            "kube-apiserver": api,
        }
        for name, text in texts.items():
            (tmp_path / name).write_text(text.replace("PIDS", str(tmp_path)))
        return {name: tmp_path / name for name in texts}

    return make


@pytest.fixture
def config(plan: ClusterPlan) -> Cluster:
    return plan.config


@pytest.mark.parametrize(
    "case",
    [
        ({"revision": 5}, "its snapshot of etcd has revision 5, and the backup says 77"),
        ({"code": 1}, "etcdutl restore failed: no space"),
        ({"etcd": "#!/bin/sh\necho it is torn; exit 2\n"}, "etcd ended .* from the backup: it is torn"),
        ({"api": "#!/bin/sh\nexit 2\n"}, "kube-apiserver ended .* from the backup: it said nothing"),
        ({}, "the API server that was started from the backup is not ready after 2 s"),
    ],
)
def test_one_that_does_not_start(
    make, programs, config: Cluster, monkeypatch, case: tuple[dict[str, object], str]
) -> None:
    wrong, said = case
    monkeypatch.setattr(trial, "_SECONDS", 2.0 if not wrong else 60.0)
    with (
        opened(make(), KEY) as backup,
        pytest.raises(BackupError, match=said),
        trial.running(backup, config, programs(**wrong)),
    ):
        pass


def test_nothing_goes_on_to_run(make, programs, config: Cluster, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(trial.ApiServer, "why_not_ready", lambda _: _unready(tmp_path))
    with opened(make(), KEY) as backup, trial.running(backup, config, programs()):
        processes = [int((tmp_path / f"{name}.pid").read_text()) for name in ("etcd", "kube-apiserver")]
        assert all(_lives(process) for process in processes)
    assert not any(_lives(process) for process in processes)


def _unready(folder: Path) -> str:
    return "" if len([path for path in folder.glob("*.pid") if path.read_text()]) == 2 else "not yet"


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, time\n"
        f"command = [*{with_parent.COMMAND!r}, str(os.getpid()), '/bin/sleep', '300']\n"
        "print(subprocess.Popen(command).pid, flush=True)\n"
        "time.sleep(300)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    command = Path(f"/proc/{child}/cmdline")
    _wait(lambda: command.read_bytes().startswith(b"/bin/sleep"))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _wait(lambda: not _lives(child) or Path(f"/proc/{child}/stat").read_text().split()[2] == "Z")


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_elsewhere_than_on_linux(make, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(verify.platform, "system", lambda: "Darwin")
    with opened(make(), KEY) as backup, pytest.raises(BackupError, match="on Linux alone") as caught:
        verify.try_out(backup, tmp_path, None, lambda _: None)
    assert "--no-trial" in caught.value.hint


def test_flags_that_an_api_server_needs_to_know_all_objects(make, config: Cluster) -> None:
    own = {"feature-gates": "X=true", "audit-log-path": "/var/log/x"}
    changed = config.model_copy(
        update={"kubernetes": config.kubernetes.model_copy(update={"extra_args": {"kube-apiserver": own}})}
    )
    flags = trial._api(trial._Files(Path("/x"), Path("/x/pki")), changed, 1, 2)
    assert flags["feature-gates"] == "X=true"
    assert "audit-log-path" not in flags


def test_programs_are_those_of_the_backups_release(make, config: Cluster, monkeypatch) -> None:
    asked: list[str] = []

    def fetch(files, *_: object, **__: object):
        asked.extend(file.key for file in files)
        return {key: type("Fetched", (), {"path": Path(key)}) for key in asked}

    monkeypatch.setattr(verify, "fetch_all", fetch)
    with opened(make(), KEY) as backup:
        release = backup.manifest.kubernetes
        found = verify._programs(backup, config, Path())
    assert set(found) == set(trial.PROGRAMS)
    assert any(key.startswith(f"kubernetes/{release}/") for key in asked)
    assert isinstance(backup, Backup)
