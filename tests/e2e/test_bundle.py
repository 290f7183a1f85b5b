"""Hosts that reach nothing but each other: installed from a bundle alone, and gone again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from labs import Lab, make_lab
from snapshot import differences, snapshot

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

NOWHERE = "http://127.0.0.1:9"
"""A proxy that refuses everything."""
APT = (
    "find /etc/apt /var/lib/apt/lists -type f -printf '%p %s %T@\\n' | sort;"
    " ls /var/lib/k8sbootstrap/packages 2>&1"
)
"""Shows all of a host's own configuration of apt, and what the bundle's packages leave."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    yield from make_lab(tmp_path_factory.mktemp("bundle"), "--sealed", "--masters", "1", "--workers", "1")


@pytest.fixture(scope="module")
def bundle(lab: Lab) -> Path:
    path = lab.directory / "lab.tar"
    said = lab.k("bundle", "create", "--os", "debian12", "--output", str(path)).stdout
    again = lab.directory / "again.tar"
    assert lab.k("bundle", "create", "--os", "debian12", "--output", str(again)).stdout.splitlines()[-2] == (
        said.splitlines()[-2].replace(str(path), str(again))
    ), "the same bytes"
    again.unlink()
    return path


def test_inspect_and_verify(lab: Lab, bundle: Path) -> None:
    found = json.loads(lab.k("bundle", "inspect", str(bundle), "-o", "json").stdout)
    assert "packages/debian12/amd64/Packages" in found["files"]
    assert found["missing"] == []
    lab.k("bundle", "verify", str(bundle))
    with bundle.open("r+b") as file:
        file.seek(bundle.stat().st_size // 2)
        kept = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([kept[0] ^ 1]))
        file.flush()
        said = lab.k("bundle", "verify", str(bundle), code=8).stderr
        file.seek(-1, 1)
        file.write(kept)
    assert f"1 of {len(found['files'])} files are damaged" in said


def test_up_and_reset(lab: Lab, bundle: Path) -> None:
    """Neither hosts nor this program reach anything but each other; later runs need no bundle."""
    for name in lab.hosts:
        assert "default" not in lab.sh(name, "ip route")
        lab.sh(name, "getent hosts example.com", code=2)
    bare = {name: snapshot(lab, name) for name in lab.hosts}
    apt = {name: lab.sh(name, APT, code=None) for name in lab.hosts}
    sealed = lab.variant("sealed.yaml", lambda config: config.pop("artifacts"))
    alone = {
        "K8SBOOTSTRAP_CACHE": str(lab.directory / "cache"),
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
        "no_proxy": "",
    }
    lab.k("up", "--bundle", str(bundle), file=sealed, **alone)
    assert {name: lab.sh(name, APT, code=None) for name in lab.hosts} == apt
    bundle.unlink()
    assert "Nothing to change: 2 hosts, 0 changed." in lab.k("up", file=sealed, **alone).stdout
    lab.k("verify", file=sealed)
    lab.k("reset", "--yes", file=sealed)
    for name in lab.hosts:
        assert differences(bare[name], snapshot(lab, name)) == {}
