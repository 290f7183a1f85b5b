"""Scripts and configuration that lab hosts get."""

import json
import subprocess
from pathlib import Path

import pytest

from k8sbootstrap.lab import root_image


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    config = {
        "process": {"oomScoreAdj": -998, "env": ['A="oomScoreAdj":-5'], "args": ["/pause"]},
        "linux": {"cgroupsPath": "x"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config, separators=(",", ":")))
    return tmp_path


def _runc(folder: Path, *arguments: str) -> str:
    """Run the wrapper with a stand-in for runc that prints its arguments."""
    script = folder / "wrapper"
    real = folder / "real"
    real.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    real.chmod(0o755)
    script.write_text(root_image._RUNC.replace("/usr/sbin/runc", str(real)))
    return subprocess.run(["sh", script, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("form", ["--bundle DIR", "--bundle=DIR", "-b DIR"])
def test_a_negative_oom_score_becomes_zero_and_nothing_else_changes(bundle: Path, form: str) -> None:
    before = json.loads((bundle / "config.json").read_text())
    words = ["--root", "/run/runc", "create", *form.replace("DIR", str(bundle)).split(), "name with space"]
    assert _runc(bundle, *words).splitlines() == words
    after = json.loads((bundle / "config.json").read_text())
    before["process"]["oomScoreAdj"] = 0
    assert after == before


def test_a_score_that_needs_no_capability_stays(bundle: Path) -> None:
    text = '{"process":{"oomScoreAdj":985}}'
    (bundle / "config.json").write_text(text)
    _runc(bundle, "create", "--bundle", str(bundle), "name")
    assert (bundle / "config.json").read_text() == text


def test_the_process_of_exec_is_changed_too(tmp_path: Path) -> None:
    process = tmp_path / "process.json"
    process.write_text('{"args":["sh"],"oomScoreAdj":-500}')
    _runc(tmp_path, "exec", "--process", str(process), "name")
    assert json.loads(process.read_text())["oomScoreAdj"] == 0


def test_commands_without_a_bundle_pass_through(tmp_path: Path) -> None:
    assert _runc(tmp_path, "--version").splitlines() == ["--version"]


@pytest.mark.parametrize("script", [root_image._RUNC, root_image._MOUNTS])
def test_scripts_are_valid_shell(script: str) -> None:
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_hosts_hold_what_either_runtime_needs() -> None:
    assert {"docker.io", "containerd", "haproxy", "conntrack", "socat", "ethtool"} <= {
        *root_image._packages()
    }


def test_the_image_is_named_after_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SBOOTSTRAP_CACHE", str(tmp_path))
    made = []

    def make(suite: str, root: Path) -> None:
        made.append(suite)
        root.mkdir()

    monkeypatch.setattr(root_image, "_make", make)
    said: list[str] = []
    first = root_image.ensure("debian12", said.append)
    assert root_image.ensure("debian12", said.append) == first
    assert first.is_dir()
    assert made == ["bookworm"]
    assert len(said) == 1
    monkeypatch.setattr(root_image, "_MOUNTS", "#!/bin/sh\n")
    assert root_image.ensure("debian12", said.append) != first


def test_an_image_that_failed_is_not_taken_for_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SBOOTSTRAP_CACHE", str(tmp_path))

    def fail(suite: str, root: Path) -> None:
        (root / "etc").mkdir(parents=True)
        raise KeyboardInterrupt

    def succeed(suite: str, root: Path) -> None:
        root.mkdir()

    monkeypatch.setattr(root_image, "_make", fail)
    with pytest.raises(KeyboardInterrupt):
        root_image.ensure("debian13", print)
    monkeypatch.setattr(root_image, "_make", succeed)
    assert not list(root_image.ensure("debian13", print).iterdir())
