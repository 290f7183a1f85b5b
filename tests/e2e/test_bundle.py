"""Hosts that reach nothing but each other: installed from a bundle alone, and gone again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from clusters import BUNDLE
from labs import Lab, make_lab
from registry import image_file, serve
from snapshot import differences, snapshot

from k8sbootstrap.lab.image_tar import write_image

pytestmark = pytest.mark.e2e

REGISTRY = {"host": "worker1", "images": ["tool.tar"]}
NOWHERE = "http://127.0.0.1:9"
"""A proxy that refuses everything."""
APT = (
    "find /etc/apt /var/lib/apt/lists -type f -printf '%p %s %T@\\n' | sort;"
    " ls /var/lib/k8sbootstrap/packages 2>&1"
)
"""Shows all of a host's own configuration of apt, and what the bundle's packages leave."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    yield from make_lab(tmp_path_factory.mktemp("bundle"), *BUNDLE.options)


@pytest.fixture(scope="module")
def bundle(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made of the lab's own files, but for an image that comes from a registry with a CA of its own."""
    source = Path(lab.config["artifacts"]["sources"][-1]["directory"])
    here = lab.directory / "files"
    here.mkdir()
    for each in source.iterdir():
        if each.name not in {"busybox", "SHA256SUMS"}:
            (here / each.name).symlink_to(each)
    sums = (source / "SHA256SUMS").read_text().splitlines(keepends=True)
    (here / "SHA256SUMS").write_text("".join(line for line in sums if "busybox" not in line))
    own = hashlib.sha256((here / "SHA256SUMS").read_bytes()).hexdigest()
    tool = image_file(next(source.glob("busybox/*/amd64/image.tar")), "bin/busybox")
    write_image(lab.directory / "tool.tar", "docker.io/team/tool:1", {"bin/sleep": tool}, {})
    made = []
    with serve(tmp_path_factory.mktemp("registry"), "127.0.0.1", login=False) as registry:
        image = next(source.glob("busybox/*/amd64/image.tar"))
        registry.push(image, "library/busybox", image.parts[-3])
        registries = [
            {"host": "docker.io", "mirrors": [f"https://{registry.host}"]},
            {"host": registry.host, "ca": str(registry.ca)},
        ]
        file = lab.variant(
            "connected.yaml",
            lambda config: config.update(
                artifacts={"sources": [{"directory": "files", "ownBuilds": own}], "upstream": False},
                runtime=config["runtime"] | {"registries": registries},
                registry=REGISTRY,
            ),
        )
        for path in (lab.directory / "lab.tar", lab.directory / "again.tar"):
            command = ("bundle", "create", "--os", "debian12", "--output", str(path))
            said = lab.k(*command, file=file).stdout.splitlines()
            made.append([line.replace(path.name, "") for line in said[-3:-1]])
        assert len(registry.requests(f'"GET /v2/library/busybox/manifests/{image.parts[-3]} ')) >= 1
    assert made[0] == made[1], "the same bytes"
    (lab.directory / "again.tar").unlink()
    return lab.directory / "lab.tar"


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
    manifest = json.loads(lab.k("bundle", "inspect", str(bundle), "-o", "json").stdout)["sha256"]
    sealed = lab.variant("sealed.yaml", lambda config: _sealed(config, manifest))
    alone = {
        "K8SBOOTSTRAP_CACHE": str(lab.directory / "cache"),
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
        "no_proxy": "",
    }
    other = lab.variant("other.yaml", lambda config: _sealed(config, "5" * 64))
    said = lab.k("up", "--bundle", str(bundle), file=other, code=8, **alone).stderr
    assert f"is a different bundle: its manifest has sha256 {manifest}" in said
    lab.k("up", "--bundle", str(bundle), file=sealed, **alone)
    assert {name: lab.sh(name, APT, code=None) for name in lab.hosts} == apt
    bundle.unlink()
    assert "Nothing to change: 2 hosts, 0 changed." in lab.k("up", file=sealed, **alone).stdout
    lab.k("verify", file=sealed)
    _pull(lab)
    _lose_an_image(lab, sealed, alone)
    lab.k("reset", "--yes", file=sealed)
    for name in lab.hosts:
        assert differences(bare[name], snapshot(lab, name)) == {}


def _sealed(config: dict[str, Any], manifest: str) -> None:
    """The lab's files are builds of its own, so the bundle's manifest vouches for them."""
    config["artifacts"] = {"bundleManifestSHA256": manifest}
    config["registry"] = REGISTRY


def _pull(lab: Lab) -> None:
    """Nodes pull from the cluster's own registry, by docker.io's names and by its own; nobody may push."""
    registry = f"{lab.address('worker1')}:5000"
    for name, ref in (("hub", "docker.io/team/tool:1"), ("own", f"{registry}/team/tool:1")):
        pod = {"containers": [{"name": "c", "image": ref, "imagePullPolicy": "Always"}], "hostNetwork": True}
        pod["containers"][0]["command"] = ["sleep", "600"]
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}
        lab.kubectl(f"apply -f - <<'END'\n{json.dumps(body)}\nEND")
    wait = "wait pod/hub pod/own --for=condition=Ready --timeout=120s"
    assert lab.kubectl(wait).count("condition met") == 2
    lab.kubectl("delete pod hub own --grace-period=1")
    upload = f"https://{registry}/v2/team/tool/blobs/uploads/"
    answer = f"curl -s -o /dev/null -w '%{{http_code}}' -X POST --cacert /etc/kubernetes/pki/ca.crt {upload}"
    assert lab.sh("master1", answer) == "405"
    assert lab.sh("worker1", "systemctl show -p User --value docker-registry").strip() == "docker-registry"


def _lose_an_image(lab: Lab, sealed: Path, alone: dict[str, str]) -> None:
    """An image that somebody removed from the registry is found missing, and put back."""
    top = "/var/lib/k8sbootstrap-registry/docker/registry/v2/repositories/team/tool"
    lab.sh("worker1", f"rm -r {top}")
    found = json.loads(lab.k("plan", "-o", "json", file=sealed, **alone).stdout)["hosts"]
    assert [
        (host["name"], change["action"], change["name"], change["causes"])
        for host in found
        for change in host["changes"]
    ] == [("worker1", "load", "docker.io/team/tool:1", ["drift"])]
    lab.k("up", file=sealed, **alone)
    assert lab.sh("worker1", f"ls {top}/_manifests/tags").strip() == "1"
