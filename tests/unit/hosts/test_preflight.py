"""The probe over a real SSH connection to this machine."""

import platform
from dataclasses import replace

import pytest

from k8sbootstrap.checks.hosts.run import probe
from k8sbootstrap.errors import K8sBootstrapError, SudoError
from k8sbootstrap.hosts.client import SSHSession

QUESTION = {"platforms": [], "address": "127.0.0.1", "free": ""}


def test_the_probe_sees_this_machine(target):
    with SSHSession(replace(target, sudo=True)) as session:
        seen = probe("m1", session, QUESTION)
    assert seen.facts.hostname == platform.node()
    assert seen.asked <= seen.facts.clock[0] <= seen.facts.clock[1] <= seen.answered


def test_no_python(target, server, tmp_path):
    for name in ("env", "sh"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    server.environment["PATH"] = f"{tmp_path}/bin"
    with SSHSession(target) as session, pytest.raises(K8sBootstrapError, match="python3 is not installed"):
        probe("m1", session, QUESTION)


def test_a_python_that_does_not_work(target, tmp_path):
    python = tmp_path / "bin" / "python3"
    python.write_text("#!/bin/sh\necho 'Could not find platform libraries' >&2; exit 1\n")
    python.chmod(0o755)
    with SSHSession(target) as session, pytest.raises(K8sBootstrapError, match="python3 failed: Could not"):
        probe("m1", session, QUESTION)


def test_sudo_that_refuses(target, server):
    server.environment["SUDO_MODE"] = "password"
    with SSHSession(replace(target, sudo=True)) as session, pytest.raises(SudoError):
        probe("m1", session, QUESTION)
