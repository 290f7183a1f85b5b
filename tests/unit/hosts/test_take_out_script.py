"""The script that takes a host out of its cluster, with commands in the place of systemctl and kubectl."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.host_code import program
from k8sbootstrap.hosts.ask import PYTHON

SYSTEMCTL = """#!/bin/sh
case "$1" in
  show)
    printf 'Id=kubelet.service\\nLoadState=loaded\\n'
    case "$2" in *,TriggeredBy) echo TriggeredBy=kubelet.socket ;; esac
    printf '\\nId=kube-proxy.service\\nLoadState=not-found\\n' ;;
  *) echo "$*" >>{folder}/asked; echo "it hangs" >&2; exit {rc} ;;
esac
"""


def ask(folder: Path, rc: int = 0, **request: Any) -> dict[str, Any]:
    (folder / "systemctl").write_text(SYSTEMCTL.format(folder=folder, rc=rc))
    (folder / "systemctl").chmod(0o755)
    text = program(Path(str(files("k8sbootstrap.hosts.scripts"))) / "take_out.py")
    done = subprocess.run(
        ["sh", "-c", PYTHON.replace("python3", sys.executable)],
        input=json.dumps(request).encode() + b"\n" + text,
        capture_output=True,
        check=False,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_services_that_are_there_stop_for_good(tmp_path: Path) -> None:
    assert ask(tmp_path, do="retire", units=["kubelet.service", "kube-proxy.service"]) == {
        "done": True,
        "problem": "",
    }
    assert (tmp_path / "asked").read_text() == "disable --now kubelet.service\n"


def test_services_that_stop_for_a_while_start_after_a_boot(tmp_path: Path) -> None:
    assert ask(tmp_path, do="stop", groups=[["kubelet.service"], ["kube-proxy.service"]])["done"]
    assert (tmp_path / "asked").read_text() == "stop kubelet.socket kubelet.service\n" * 2


def test_they_start_with_their_sockets(tmp_path: Path) -> None:
    assert ask(tmp_path, do="start", units=["kubelet.service", "kube-proxy.service"])["done"]
    assert (tmp_path / "asked").read_text() == "start kubelet.socket kubelet.service\n"


def test_a_reboot_does_not_wait_for_itself(tmp_path: Path) -> None:
    assert ask(tmp_path, do="reboot") == {"done": True, "problem": ""}
    assert (tmp_path / "asked").read_text() == "--no-block reboot\n"


def test_one_that_does_not_stop_is_said(tmp_path: Path) -> None:
    answer = ask(tmp_path, rc=1, do="retire", units=["kubelet.service"])
    assert answer["problem"] == "systemctl disable --now kubelet.service failed: it hangs"


@pytest.mark.skipif(Path("/etc/etcd").exists(), reason="this machine has an etcd")
def test_an_etcd_that_does_not_answer_is_said(tmp_path: Path) -> None:
    answer = ask(tmp_path, do="leave", address="10.0.0.12")
    assert not answer["done"]
    assert answer["problem"].startswith("127.0.0.1: ")
