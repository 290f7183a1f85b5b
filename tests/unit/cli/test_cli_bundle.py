"""k8sbootstrap bundle: create, inspect, verify, on real bundles of small files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.actions.bundle import Created
from k8sbootstrap.artifacts.bundle.manifest import BundledFile, Manifest
from k8sbootstrap.artifacts.bundle.reader import open_bundle
from k8sbootstrap.artifacts.bundle.writer import write_bundle
from k8sbootstrap.cli import bundle as command
from k8sbootstrap.errors import ArtifactError
from k8sbootstrap.plan.models import ClusterPlan
from tests.json_form import form_of

KUBELET = "kubernetes/1.36.2/amd64/kubelet"
PAUSE = "images/pause/amd64/image.tar"
CONTENT = {
    KUBELET: b"a kubelet" * 50_000,
    PAUSE: b"an image",
    "packages/debian12/amd64/Packages": b"an index",
    "packages/debian12/amd64/socat.deb": b"a package",
}
REF, GONE = "registry.k8s.io/pause:3.10", "registry.k8s.io/coredns:1.12"


def write(path: Path, cluster: str = "demo") -> Created:
    """A bundle of ``CONTENT``."""
    files = {
        name: BundledFile(len(data), hashlib.sha256(data).hexdigest())
        for name, data in sorted(CONTENT.items())
    }
    packages = {"debian12/amd64": ("socat",)}
    manifest = Manifest(cluster, "1.36.2", ("amd64",), {PAUSE: REF}, (GONE,), packages, files)
    sha256 = write_bundle(path, manifest, CONTENT, lambda _: None)
    return Created(manifest, path.stat().st_size, sha256, {GONE: "registry.k8s.io: no route to host"})


@pytest.fixture
def made(folder: Path) -> Created:
    """The bundle b.tar."""
    return write(folder / "b.tar")


@pytest.fixture
def given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was to be fetched and written; it is not fetched."""
    seen: dict[str, Any] = {"error": None}

    def create(plan: ClusterPlan, file: Path, output: Path, systems: tuple[str, ...], **_: Any) -> Created:
        seen.update(file=file, systems=systems)
        if seen["error"]:
            raise seen["error"]
        return write(output, plan.config.name)

    monkeypatch.setattr(command, "create_bundle", create)
    return seen


SUMMARY = f"""\
Kubernetes 1.36.2 for the cluster demo
  images/pause/amd64 ({REF}): 1 file, 0.0 MB
  kubernetes/1.36.2/amd64: 1 file, 0.5 MB
  packages/debian12/amd64: 2 files, 0.0 MB
"""


def test_create_says_what_it_made_and_what_to_do_with_it(run, given: dict[str, Any], folder: Path) -> None:
    ended = run("bundle", "create", "--output", "out.tar")
    assert ended.code == 0
    sha256 = hashlib.sha256((folder / "out.tar").read_bytes()).hexdigest()
    assert ended.out == (
        f"{SUMMARY}out.tar: 0 MB, sha256 {sha256}\n"
        f"manifest: sha256 {open_bundle(folder / 'out.tar').manifest.sha256}\n"
        "Next: k8sbootstrap up --bundle out.tar\n"
    )
    assert ended.err == f"Missing: {GONE}: registry.k8s.io: no route to host\n"


def test_create_is_for_all_systems_unless_some_are_named(run, given: dict[str, Any]) -> None:
    run("bundle", "create", "--output", "out.tar")
    assert given["systems"] == ("debian12", "debian13")
    run("bundle", "create", "--output", "out.tar", "--os", "debian13")
    assert given["systems"] == ("debian13",)


def test_what_cannot_be_had_is_an_error(run, given: dict[str, Any]) -> None:
    given["error"] = ArtifactError("kubelet could not be had", hint="Name a source.")
    ended = run("bundle", "create", "--output", "out.tar")
    assert (ended.code, ended.out) == (8, "")
    assert ended.err == "kubelet could not be had\nNext: Name a source.\n"


def test_create_fetches_nothing_for_a_wrong_cluster_yaml(run, given: dict[str, Any], wrong_role: str) -> None:
    ended = run("bundle", "create", "--output", "out.tar")
    assert (ended.code, ended.out, ended.err) == (3, "", wrong_role)
    assert "systems" not in given


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Missing option '--output'"),
        (["--output", "."], "File '.' is a directory"),
        (["--output", "out.tar", "--os", "debian11"], "'debian11' is not one of 'debian12', 'debian13'"),
        (["--output", "out.tar", "more"], "unexpected extra argument (more)"),
    ],
)
def test_create_fetches_nothing_for_a_wrong_command_line(
    run, given: dict[str, Any], args: list[str], said: str
) -> None:
    ended = run("bundle", "create", *args)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert "systems" not in given


def test_inspect_lists_what_is_in_it_and_what_is_not(run, made: Created) -> None:
    ended = run("bundle", "inspect", "b.tar")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{SUMMARY}manifest: sha256 {made.manifest.sha256}\nmissing: {GONE}\n"


def test_json_of_inspect(run, made: Created, golden) -> None:
    ended = run("bundle", "inspect", "b.tar", "-o", "json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    assert document["sha256"] == made.manifest.sha256
    assert document["files"][KUBELET]["size"] == len(CONTENT[KUBELET])
    golden(Path(__file__).parent / "golden/bundle-inspect.json", form_of([document]))


def test_verify_of_a_whole_bundle(run, made: Created) -> None:
    ended = run("bundle", "verify", "b.tar")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "b.tar: all 4 files match its manifest\n"


def test_verify_names_every_damaged_file(run, made: Created, folder: Path) -> None:
    data = bytearray((folder / "b.tar").read_bytes())
    wrong = {}
    for name in (KUBELET, PAUSE):
        place = open_bundle(folder / "b.tar").places[name]
        data[place] ^= 1
        content = bytes(data[place : place + len(CONTENT[name])])
        wrong[name] = hashlib.sha256(content).hexdigest()
    (folder / "b.tar").write_bytes(data)
    ended = run("bundle", "verify", "b.tar")
    assert (ended.code, ended.out) == (8, "")
    lines = ended.err.splitlines()
    assert lines[0] == "b.tar: 2 of 4 files are damaged"
    assert sorted(lines[1:-1]) == sorted(
        f"  {name} has sha256 {sha256} and must have {made.manifest.files[name].sha256}"
        for name, sha256 in wrong.items()
    )
    assert lines[-1] == "Next: Copy the bundle again, or make a new one: k8sbootstrap bundle create"


@pytest.mark.parametrize("what", ["inspect", "verify"])
def test_what_is_no_bundle_is_named(run, folder: Path, what: str) -> None:
    ended = run("bundle", what, "cluster.yaml")
    assert (ended.code, ended.out) == (8, "")
    assert ended.err.startswith("cluster.yaml is not a bundle, or is damaged: ")
    assert "Next: Copy the bundle again, or make a new one: k8sbootstrap bundle create\n" in ended.err


@pytest.mark.parametrize("what", ["inspect", "verify"])
def test_a_bundle_that_is_not_there_is_named(run, folder: Path, what: str) -> None:
    ended = run("bundle", what, "gone.tar")
    assert (ended.code, ended.out) == (2, "")
    assert "'gone.tar' does not exist" in ended.err
