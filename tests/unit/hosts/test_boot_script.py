"""The script that says whether a host should be rebooted, with files and commands of the test."""

import json
import platform
from pathlib import Path

import pytest

from k8sbootstrap.hosts.scripts import boot


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host without a reason; commands are looked for in its folder alone."""
    monkeypatch.setattr(boot, "REQUIRED", str(tmp_path / "reboot-required"))
    monkeypatch.setattr(boot, "KERNELS", (f"{tmp_path}/vmlinuz-*", f"{tmp_path}/modules/*/vmlinuz"))
    monkeypatch.setattr(boot, "CONTAINER", str(tmp_path / "container"))
    monkeypatch.setattr(platform, "release", lambda: "6.1.0-18-amd64")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def reasons(capsys: pytest.CaptureFixture[str]) -> list[str]:
    boot.main()
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["boot"]) == 36
    found: list[str] = answer["reasons"]
    return found


def test_nothing_asks_for_it(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "vmlinuz-6.1.0-18-amd64").touch()
    assert reasons(capsys) == []


def test_packages_of_debian(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "reboot-required").touch()
    path = host / "reboot-required"
    assert reasons(capsys) == [f"{path} is there"]
    (host / "reboot-required.pkgs").write_text("linux-base\nlibc6\nlibc6\n")
    assert reasons(capsys) == [f"{path} is there, made for linux-base, libc6"]
    (host / "reboot-required.pkgs").write_text("\n".join("abcdefg"))
    assert reasons(capsys) == [f"{path} is there, made for a, b, c, d, e, and 2 more"]


@pytest.mark.parametrize(
    ("said", "code", "required"),
    [
        ("Reboot is required to fully utilize these updates.", 1, True),
        ("No such command: needs-restarting.", 1, False),
        ("Reboot should not be necessary.", 0, False),
    ],
)
def test_needs_restarting(
    host: Path, capsys: pytest.CaptureFixture[str], said: str, code: int, *, required: bool
) -> None:
    """Where yum-utils are not installed, dnf may have it."""
    command = host / "dnf"
    command.write_text(f'#!/bin/sh\n[ "$*$LC_ALL" = "needs-restarting -rC" ] && echo "{said}"; exit {code}\n')
    command.chmod(0o755)
    assert reasons(capsys) == (["needs-restarting says so"] if required else [])


@pytest.mark.parametrize(
    "kernels",
    [
        ("6.1.0-18-amd64", ["6.1.0-9-amd64", "6.1.0-20-amd64", "6.1.0-19-amd64"], "6.1.0-20-amd64"),
        ("6.1.0-18-amd64", ["6.1.0-20-cloud-amd64", "0-rescue-1f9", "6.5.0-0.deb12.4-amd64"], ""),
        ("5.14.0-362.el9_3.x86_64", ["5.14.0-427.13.1.el9_4.x86_64"], "5.14.0-427.13.1.el9_4.x86_64"),
        ("5.14.0-362.el9_3.x86_64", ["5.14.0-427.el9_4.x86_64+debug"], ""),
        ("6.8.0-31-generic", ["6.8.0-31-generic", "5.15.0-105-generic"], ""),
    ],
)
def test_a_newer_kernel_of_the_same_kind(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    kernels: tuple[str, list[str], str],
) -> None:
    running, installed, newest = kernels
    monkeypatch.setattr(platform, "release", lambda: running)
    for version in installed:
        (host / "modules" / version).mkdir(parents=True)
        (host / "modules" / version / "vmlinuz").touch()
    wanted = [f"the kernel {newest} is installed, and {running} runs"] if newest else []
    assert reasons(capsys) == wanted
    (host / "container").touch()
    assert reasons(capsys) == []
