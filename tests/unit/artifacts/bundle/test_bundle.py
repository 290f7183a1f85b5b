"""Bundles: the same bytes again, read without unpacking, damage found."""

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from k8sbootstrap.artifacts.bundle.manifest import BundledFile, Manifest
from k8sbootstrap.artifacts.bundle.reader import open_bundle
from k8sbootstrap.artifacts.bundle.writer import write_bundle
from k8sbootstrap.errors import BundleError

from .conftest import Make

KUBELET = "kubernetes/1.36.4/amd64/kubelet"
LONG = f"packages/debian12/amd64/{'long-' * 30}name_1.0+dfsg~1-1_amd64.deb"
CONTENT = {
    KUBELET: b"a kubelet" * 5000,
    LONG: b"a package",
    "packages/debian12/amd64/Packages": b"an index",
    "SHA256SUMS": b"",
}


def test_the_same_content_makes_the_same_bytes(make: Make) -> None:
    first, second = make(CONTENT), make(dict(reversed(CONTENT.items())), "other.tar")
    assert first.read_bytes() == second.read_bytes()


def test_any_tar_reads_it_and_the_manifest_comes_first(make: Make, tmp_path: Path) -> None:
    names = subprocess.check_output(["tar", "-tf", make(CONTENT)], text=True).splitlines()
    assert names == ["manifest.json", *sorted(CONTENT)]
    subprocess.run(["tar", "-xf", tmp_path / "bundle.tar", "-C", tmp_path], check=True)
    assert {name: (tmp_path / name).read_bytes() for name in CONTENT} == CONTENT


def test_files_are_read_from_the_middle(make: Make) -> None:
    bundle = open_bundle(make(CONTENT))
    for name, data in CONTENT.items():
        with bundle.open(name) as content:
            assert content.read(3) + content.read() == data
            assert content.read(10) == b""
    assert bundle.damaged(lambda _: None) == {}


def test_a_flipped_bit_is_found(make: Make) -> None:
    path = make(CONTENT)
    place = open_bundle(path).places[KUBELET]
    data = bytearray(path.read_bytes())
    data[place + 100] ^= 1
    path.write_bytes(data)
    wrong = bytearray(CONTENT[KUBELET])
    wrong[100] ^= 1
    assert open_bundle(path).damaged(lambda _: None) == {KUBELET: hashlib.sha256(wrong).hexdigest()}


def test_half_a_bundle_is_refused(make: Make) -> None:
    path = make(CONTENT)
    path.write_bytes(path.read_bytes()[:30_000])
    with pytest.raises(BundleError, match="damaged"):
        open_bundle(path)


@pytest.mark.parametrize("data", [b"", b"something else", b"\0" * 20_000])
def test_something_else_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BundleError, match=r"x is not a bundle, or is damaged") as caught:
        open_bundle(tmp_path / "x")
    assert "bundle create" in caught.value.hint


def test_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"there is no bundle .*nothing\.tar"):
        open_bundle(tmp_path / "nothing.tar")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "k8sbootstrap-bundle/2"}, "reads format k8sbootstrap-bundle/1"),
        ({"files": {"../../etc/passwd": {"size": 1, "sha256": "a" * 64}}}, "it lists '../../etc/passwd'"),
        ({"files": {"/etc/passwd": {"size": 1, "sha256": "a" * 64}}}, "it lists '/etc/passwd'"),
        ({"files": {"gone": {"size": 1, "sha256": "a" * 64}}}, "gone is missing or has the wrong size"),
        ({"files": {"kubelet": {"size": 1, "sha256": "short"}}}, "it lists 'kubelet'"),
        ({"files": {"kubelet\n": {"size": 1, "sha256": "a" * 64}}}, r"it lists 'kubelet\\n'"),
        ({"files": {"kubelet": {"size": 1, "sha256": "a" * 64 + "\n"}}}, "it lists 'kubelet'"),
        ({"packages": {"debian12/amd64": ["hello"]}}, "it has no packages for 'debian12/amd64'"),
        ({"packages": {"../amd64": []}}, r"it has no packages for '\.\./amd64'"),
        ({"kubernetes": 5}, r"manifest\.json is damaged"),
    ],
)
def test_a_manifest_that_lies_is_refused(make: Make, tmp_path: Path, change: dict, said: str) -> None:
    manifest = json.loads(open_bundle(make({})).manifest.text()) | change
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with tarfile.open(tmp_path / "lies.tar", "w") as tar:
        tar.add(tmp_path / "manifest.json", "manifest.json")
    with pytest.raises(BundleError, match=said):
        open_bundle(tmp_path / "lies.tar")


@pytest.mark.parametrize("now", [b"other", b"longer", b"l"])
def test_a_file_that_changes_meanwhile_makes_no_bundle(tmp_path: Path, now: bytes) -> None:
    (tmp_path / "kubelet").write_bytes(now)
    files = {KUBELET: BundledFile(5, hashlib.sha256(b"whole").hexdigest())}
    manifest = Manifest("demo", "1.36.4", ("amd64",), {}, (), {}, files)
    with pytest.raises(BundleError, match="changed while the bundle was written"):
        write_bundle(tmp_path / "out.tar", manifest, {KUBELET: tmp_path / "kubelet"}, lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["kubelet"]


def test_a_place_that_takes_no_file_is_named(tmp_path: Path) -> None:
    manifest = Manifest("demo", "1.36.4", ("amd64",), {}, (), {})
    with pytest.raises(BundleError, match=r"gone/out\.tar can't be written: No such file or directory"):
        write_bundle(tmp_path / "gone" / "out.tar", manifest, {}, lambda _: None)
