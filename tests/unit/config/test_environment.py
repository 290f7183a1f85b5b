"""Variables that cluster.yaml names for secrets are read once, and no child process has them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from k8sbootstrap.config.load import load_cluster, resolve_secret

TEXT = """\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes: {version: 1.36.2}
hosts:
  - {name: m1, address: 10.0.0.11, roles: [master], ssh: {user: a, sudoPassword: {env: TEST_OF_A_HOST}}}
ssh: {sudoPassword: {env: TEST_OF_ALL}}
runtime:
  registries: [{host: quay.io, username: a, password: {env: TEST_OF_A_REGISTRY}}]
"""
NAMES = ("TEST_OF_A_HOST", "TEST_OF_ALL", "TEST_OF_A_REGISTRY")


def test_children_do_not_have_them(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, f"canary of {name}")
    cluster = load_cluster(write(TEXT))
    assert not set(NAMES) & set(os.environ)
    assert "canary" not in subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
    password = cluster.runtime.registries[0].password
    assert password is not None
    assert resolve_secret(password, Path("/")) == "canary of TEST_OF_A_REGISTRY"
