"""Real programs take the command lines that roles render for them, where such programs are at hand.

They are looked for, as NAME/VERSION/ARCH/FILE, in $K8SBOOTSTRAP_TEST_ARTIFACTS and in the caches of the lab
and of k8sbootstrap.
"""

import os
import platform
import subprocess
import tomllib
from pathlib import Path

import pytest
from scenarios import Rendered
from units import command

from k8sbootstrap.artifacts.cache import cache_dir
from k8sbootstrap.catalog.models import ArtifactFile

PROGRAMS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "cri-dockerd",
)
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def find(artifact: ArtifactFile) -> Path:
    """Where this machine has the program.

    Raises:
        pytest.skip.Exception: Nowhere, or it is another machine's.
    """
    if platform.machine() != MACHINES[artifact.arch]:
        pytest.skip(f"{artifact.key} does not run on {platform.machine()}")
    folders = [cache_dir() / "artifacts", cache_dir() / "lab" / "artifacts"]
    if "K8SBOOTSTRAP_TEST_ARTIFACTS" in os.environ:
        folders.insert(0, Path(os.environ["K8SBOOTSTRAP_TEST_ARTIFACTS"]).resolve())
    for folder in folders:
        if os.access(folder / artifact.key, os.X_OK):
            return folder / artifact.key
    pytest.skip(f"no {artifact.key} in {' or '.join(map(str, folders))}")


def run(program: Path, arguments: list[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(tmp_path), "PATH": "/nonexistent"}
    return subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
        env=environment,
    )


def test_containerd_takes_its_configuration(rendered: Rendered, tmp_path: Path) -> None:
    """Of the version that upstream's takes; a plugin that it does not know would be left out of the dump."""
    if rendered.plan.config.runtime.source != "upstream":
        pytest.skip(f"{rendered.scenario.name} takes the distribution's containerd")
    program = find(rendered.plan.release.binaries["containerd"])
    config = tmp_path / "config.toml"
    config.write_text(rendered.file("worker1", "/etc/containerd/config.toml").text)
    done = run(program, ["--config", str(config), "config", "dump"], tmp_path)
    assert done.returncode == 0, done.stderr
    plugins = tomllib.loads(done.stdout)["plugins"]
    images, cri = plugins["io.containerd.cri.v1.images"], plugins["io.containerd.cri.v1.runtime"]
    assert images["pinned_images"]["sandbox"] == rendered.plan.release.pause.ref
    assert images["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert cri["cni"]["bin_dirs"] == ["/opt/cni/bin"]
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert "deprecat" not in done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_takes_its_command_line(rendered: Rendered, name: str, tmp_path: Path) -> None:
    """With --version at the end a program parses all its flags and their values, and does nothing more."""
    if name not in rendered.plan.release.binaries:
        pytest.skip(f"{rendered.scenario.name} has no {name}")
    program = find(rendered.plan.release.binaries[name])
    units = [unit for unit in rendered.services if command(unit.text)[0] == f"/usr/local/bin/{name}"]
    assert units
    for unit in units:
        done = run(program, [*command(unit.text)[1:], "--version"], tmp_path)
        assert done.returncode == 0, f"{unit}: {(done.stdout + done.stderr)[-2000:]}"
        wanted = rendered.plan.release.binaries[name].version
        assert wanted in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    refused = run(program, ["--no-such-flag=1", "--version"], tmp_path)
    assert refused.returncode != 0, "it takes unknown flags: nothing is proven"
