"""Releases whose programs are at hand, and which of them: what the environment says.

- K8SBOOTSTRAP_E2E_VERSIONS: releases, as in 1.35.6,1.36.3. Those whose programs are nowhere are skipped.
- K8SBOOTSTRAP_E2E_ARTIFACTS: artifact directories (NAME/VERSION/ARCH/FILE), separated by colons; the caches
  of k8sbootstrap and of the lab are looked in too.
- K8SBOOTSTRAP_E2E_OS: debian12, debian13 or both, separated by a comma; debian12 where it says nothing.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.catalog.data import numbers
from k8sbootstrap.catalog.resolve import release
from k8sbootstrap.config.models.releases import OwnRelease
from k8sbootstrap.lab import artifacts
from k8sbootstrap.lab.image_tar import write_image

if TYPE_CHECKING:
    from labs import Lab

ARCH = "amd64"


def named(variable: str, default: str = "", separator: str = ",") -> list[str]:
    """The words of an environment variable."""
    return [word.strip() for word in os.environ.get(variable, default).split(separator) if word.strip()]


VERSIONS = named("K8SBOOTSTRAP_E2E_VERSIONS")
FOLDERS = [Path(name).resolve() for name in named("K8SBOOTSTRAP_E2E_ARTIFACTS", separator=":")]
SYSTEMS = named("K8SBOOTSTRAP_E2E_OS", "debian12")


def require(version: str, runtime: str, source: str = "distribution") -> None:
    """Skip the test unless all programs of a release are in a folder or a cache."""
    wanted = release(version, ARCH, runtime, {version: OwnRelease(**own(version)).overrides()}, source=source)
    files = [*wanted.binaries.values(), *wanted.cni_plugins.values()]
    cached = cache_dir() / "artifacts"

    def is_there(key: str) -> bool:
        if any((folder / key).exists() for folder in (*FOLDERS, artifacts.directory())):
            return True
        return any((cached / key).parent.glob(f"{Path(key).name}@*"))

    absent = sorted({str(Path(file.key).parent) for file in files if not is_there(file.key)})
    if absent:
        where = ", ".join(map(str, [*FOLDERS, artifacts.directory(), cached]))
        pytest.skip(f"Kubernetes {version} is not there: {', '.join(absent)} of it not whole in {where}")


def own(version: str) -> dict[str, str]:
    """CoreDNS and runc of a release, where only other versions of them are at hand than the catalogue's."""
    resolved = release(version, ARCH, "containerd", source="upstream")
    catalogued = {"coredns": resolved.coredns.artifact.version, "runc": resolved.binaries["runc"].version}
    others = {}
    for name, usual in catalogued.items():
        found = {
            path.parents[1].name for folder in FOLDERS for path in folder.glob(f"{name}/*/{ARCH}/{name}")
        }
        if found and usual not in found:
            others[name] = max(found, key=numbers)
    return others


def bring(lab: Lab, *versions: str) -> None:
    """Have a lab's cluster.yaml use what is at hand: runc, and CoreDNS as an image made of its program."""
    config = lab.config
    config["releases"] = {version: own(version) for version in versions}
    images = lab.directory / "images"
    config["artifacts"]["sources"].insert(0, {"directory": str(images)})
    for version in versions:
        image = release(version, ARCH, "docker", {version: OwnRelease(**own(version)).overrides()}).coredns
        program = Path(image.artifact.key).with_name("coredns")
        for found in (folder / program for folder in FOLDERS if (folder / program).exists()):
            layer, entry = {"coredns": found.read_bytes()}, {"Entrypoint": ["/coredns"]}
            write_image(images / image.artifact.key, image.ref, layer, entry)
            config.pop("dns", None)
    images.mkdir(exist_ok=True)
    made = [path for path in images.rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(images)}\n" for path in made)
    (images / "SHA256SUMS").write_text("".join(sums))
    lab.file.write_text(yaml.safe_dump(config, sort_keys=False))
