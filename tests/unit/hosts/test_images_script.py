"""The script that has a node's runtime get images, with commands in the place of ctr and crictl."""

import hashlib
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.host_code import program
from k8sbootstrap.hosts.ask import PYTHON

CTR = """#!/bin/sh
case "$*" in
  *"images ls"*) cat {folder}/there ;;
  *import*) for last; do :; done; cat "$last" >>{folder}/there ;;
esac
"""
CRICTL = """#!/bin/sh
echo 'time=now level=error msg="pulling: failed to do request: Head: no such host"' >&2
exit 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("ctr", CTR.format(folder=tmp_path)), ("crictl", CRICTL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "there").write_text("registry.k8s.io/pause:3.10\n")
    return tmp_path


def ask(folder: Path, **request: Any) -> dict[str, str]:
    whole = {"runtime": "containerd", "look": [], "load": [], "pull": [], "seconds": 0.3} | request
    text = program(Path(str(files("k8sbootstrap.hosts.scripts"))) / "images.py")
    done = subprocess.run(
        ["sh", "-c", PYTHON.replace("python3", sys.executable)],
        input=json.dumps(whole).encode() + b"\n" + text,
        capture_output=True,
        check=False,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, dict[str, str]] = json.loads(done.stdout)
    return answer["lacking"]


def archive(folder: Path, ref: str) -> dict[str, str]:
    path = folder / "archive"
    path.write_text(f"{ref}\n")
    return {"ref": ref, "path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_what_is_there_is_not_lacking(folder: Path) -> None:
    assert ask(folder, look=["registry.k8s.io/pause:3.10", "x/y:1"]) == {"x/y:1": "it is not there"}


def test_an_archive_is_loaded(folder: Path) -> None:
    assert ask(folder, load=[archive(folder, "x/y:1")]) == {}
    assert ask(folder, look=["x/y:1"]) == {}


def test_an_archive_that_was_exchanged_is_not_loaded(folder: Path) -> None:
    image = archive(folder, "x/y:1")
    Path(image["path"]).write_text("z\n")
    assert ask(folder, load=[image]) == {"x/y:1": "its archive is not the file that was sent"}
    assert ask(folder, look=["z"]) == {"z": "it is not there"}


def test_an_archive_of_another_image_is_named(folder: Path) -> None:
    image = archive(folder, "z:1") | {"ref": "x/y:1"}
    assert "does not contain an image named x/y:1" in ask(folder, load=[image])["x/y:1"]


def test_an_archive_that_does_not_arrive(folder: Path) -> None:
    image = {"ref": "x/y:1", "path": str(folder / "none"), "sha256": ""}
    assert ask(folder, load=[image]) == {"x/y:1": "its archive did not arrive"}


def test_an_image_that_can_not_be_pulled_is_lacking_for_its_cause(folder: Path) -> None:
    assert ask(folder, pull=["x/y:1"]) == {"x/y:1": "Head: no such host"}


def test_without_crictl_nothing_is_pulled(folder: Path) -> None:
    (folder / "crictl").unlink()
    assert ask(folder, pull=["x/y:1"]) == {"x/y:1": "crictl is not installed, so it was not pulled"}


def test_a_runtime_that_is_not_there(folder: Path) -> None:
    (folder / "ctr").unlink()
    assert "containerd does not answer: " in ask(folder, look=["x/y:1"])[""]
