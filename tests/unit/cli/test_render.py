"""k8sbootstrap render."""

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from k8sbootstrap.artifacts.bundle.manifest import BundledFile, Manifest
from k8sbootstrap.artifacts.bundle.writer import write_bundle
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.resources import data_dir
from k8sbootstrap.run import lock
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml(
    "name: master-1, address: 10.0.0.11, roles: [master]",
    "worker1",
    runtime="{name: containerd}",
    ssh="{user: ops, sudoPassword: {env: DEMO_SUDO}}",
    artifacts="{sources: [{directory: files, ownBuilds: LIST}], upstream: false}",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cluster.yaml with a directory of files that stand in for the release's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("K8SBOOTSTRAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DEMO_SUDO", "s3same")
    (tmp_path / "files").mkdir()
    (tmp_path / "cluster.yaml").write_text(CLUSTER.replace("LIST", "a" * 64))
    release = load_plan(tmp_path / "cluster.yaml").release
    sums = []
    for file in [*release.binaries.values(), *release.cni_plugins.values()]:
        path = tmp_path / "files" / file.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.key)
        sums.append(f"{hashlib.sha256(file.key.encode()).hexdigest()}  {file.key}\n")
    (tmp_path / "files" / "SHA256SUMS").write_text("".join(sums))
    write_cluster(tmp_path, CLUSTER)
    return tmp_path


def write_cluster(folder: Path, text: str) -> None:
    """Write cluster.yaml, whose source has the list that is there now."""
    own = hashlib.sha256((folder / "files/SHA256SUMS").read_bytes()).hexdigest()
    (folder / "cluster.yaml").write_text(text.replace("LIST", own))


def test_the_inventory_and_the_command_that_uses_it(run, folder: Path) -> None:
    ended = run("render", "--output", "out")
    assert ended.code == 0, ended.err
    hosts = yaml.safe_load((folder / "out" / "hosts.yml").read_text())
    assert hosts["all"]["children"]["masters"]["hosts"] == {"master-1": None}
    command = ended.out.strip()
    assert command.endswith(f"-i {folder}/out {data_dir()}/playbooks/site.yml")
    assert f"ANSIBLE_ROLES_PATH={data_dir()}/roles " in command
    assert "K8SBOOTSTRAP_SUDO_PASSWORD_MASTER_1, K8SBOOTSTRAP_SUDO_PASSWORD_WORKER1" in ended.err
    assert "known_hosts" in ended.err  # no host was asked for its key
    assert (folder / ".k8sbootstrap" / "demo" / "pki" / "ca.key").exists()
    made = "New certificate authorities were made for the cluster demo. If it runs already, "
    assert made in ended.err
    assert made not in run("render", "--output", "out").err


def test_no_secret_leaves_the_state_directory(run, folder: Path) -> None:
    ended = run("render", "--output", "out")
    written = "".join(path.read_text() for path in (folder / "out").rglob("*.yml"))
    for text in (written, ended.out, ended.err):
        assert "s3same" not in text
        assert "PRIVATE KEY" not in text
    assert (folder / "out").stat().st_mode & 0o777 == 0o700


def test_again_writes_the_same(run, folder: Path) -> None:
    def snapshot() -> dict[Path, tuple[int, str]]:
        return {
            path: (path.stat().st_mtime_ns, path.read_text())
            for path in [*(folder / "out").rglob("*.yml"), *(folder / ".k8sbootstrap").rglob("*.key")]
        }

    assert run("render", "--output", "out").code == 0
    first = snapshot()
    assert run("render", "--output", "out").code == 0
    assert snapshot() == first


def test_output_is_required(run) -> None:
    ended = run("render")
    assert ended.code == 2
    assert "--output" in ended.err


def test_a_missing_file_is_named(run, folder: Path) -> None:
    next((folder / "files").rglob("kubelet")).unlink()
    ended = run("render", "--output", "out")
    assert ended.code == 8
    assert "kubernetes/1.36.2/amd64/kubelet" in ended.err


def test_not_while_the_cluster_is_being_changed(run, folder: Path) -> None:
    state = folder / ".k8sbootstrap" / "demo"
    state.mkdir(parents=True)
    with lock.hold(state / "lock", "k8sbootstrap up"):
        ended = run("render", "--output", "out")
    assert ended.code == 7
    assert '"k8sbootstrap up"' in ended.err


@pytest.mark.parametrize("more", ["", "releases: {1.36.99: {}}\n"])
def test_a_release_that_the_catalogue_does_not_have(run, folder: Path, more: str) -> None:
    text = CLUSTER.replace("1.36.2", "1.36.99") + more
    for path in [*(folder / "files").rglob("1.36.2")]:
        path.rename(path.with_name("1.36.99"))
    sums = folder / "files/SHA256SUMS"
    sums.write_text(sums.read_text().replace("1.36.2/", "1.36.99/"))
    write_cluster(folder, text)
    assert run("validate").code == 0
    ended = run("render", "--output", "out")
    assert ended.code == 0, ended.err
    variables = yaml.safe_load((folder / "out/group_vars/all.yml").read_text())
    assert variables["kubelet_binaries"]["kubelet"]["path"].endswith("kubernetes/1.36.99/amd64/kubelet")


def test_files_of_all_architectures(run, folder: Path) -> None:
    text = CLUSTER.replace("roles: [worker]", "roles: [worker], arch: arm64")
    write_cluster(folder, text)
    missing = run("render", "--output", "out")
    assert missing.code != 0
    assert "kubernetes/1.36.2/arm64/" in missing.err
    for amd64 in [path for path in (folder / "files").rglob("amd64") if path.is_dir()]:
        shutil.copytree(amd64, amd64.with_name("arm64"))
    sums = folder / "files/SHA256SUMS"
    sums.write_text(sums.read_text() + sums.read_text().replace("/amd64/", "/arm64/"))
    write_cluster(folder, text)
    ended = run("render", "--output", "out")
    assert ended.code == 0, ended.err
    worker = yaml.safe_load((folder / "out/host_vars/worker1.yml").read_text())
    assert worker["kubelet_binaries"]["kubelet"]["path"].endswith("kubernetes/1.36.2/arm64/kubelet")


def test_all_comes_from_a_bundle(run, folder: Path) -> None:
    """The option wins over sources that are not there any more, and hosts are the same with it."""
    files = {str(path.relative_to(folder / "files")): path for path in (folder / "files").rglob("*/*/*/*")}
    packages = {"packages/debian12/amd64/Packages": b"the index"}
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    entries = {name: BundledFile(files[name].stat().st_size, sha256) for name, sha256 in hashes.items()}
    entries |= {
        name: BundledFile(len(data), hashlib.sha256(data).hexdigest()) for name, data in packages.items()
    }
    manifest = Manifest("demo", "1.36.2", ("amd64",), {}, (), {"debian12/amd64": ("socat",)}, entries)
    write_bundle(folder / "b.tar", manifest, {**files, **packages}, lambda _: None)
    assert run("render", "--output", "before").code == 0
    shutil.rmtree(folder / "files")
    text = CLUSTER.replace("upstream: false", f"bundleManifestSHA256: {manifest.sha256}")
    (folder / "cluster.yaml").write_text(text.replace("LIST", "a" * 64))
    ended = run("render", "--output", "after", "--bundle", "b.tar")
    assert ended.code == 0, ended.err
    variables = yaml.safe_load((folder / "after" / "group_vars" / "all.yml").read_text())
    where = Path(variables["packages_repositories"]["debian12/amd64"])
    assert (where / "Packages").read_bytes() == b"the index"
    assert str(folder / "cache") in variables["kubelet_binaries"]["kubelet"]["path"]
    one, two = ((folder / name / "host_vars/worker1.yml").read_text() for name in ("before", "after"))
    assert one == two  # digests are in it


def test_a_bundle_of_cluster_yaml_that_is_gone_is_named(run, folder: Path) -> None:
    text = (folder / "cluster.yaml").read_text()
    (folder / "cluster.yaml").write_text(text.replace("upstream: false", "bundle: gone.tar"))
    ended = run("render", "--output", "out")
    assert ended.code == 3
    assert f"artifacts.bundle: {folder}/gone.tar is not a file; make it with" in ended.err
