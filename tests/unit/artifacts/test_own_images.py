"""Docker archives: their names, their architecture, and what can be wrong with them."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from k8sbootstrap.artifacts.own_images import own_images
from k8sbootstrap.errors import ConfigError
from k8sbootstrap.formats.image_archive import ImageArchiveError, read_archive
from k8sbootstrap.lab.image_tar import write_image


def archive(path: Path, manifest: object, **documents: object) -> Path:
    """An archive with a manifest and other JSON files."""
    with tarfile.open(path, "w") as tar:
        for name, document in {"manifest.json": manifest, **documents}.items():
            content = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("tag", "ref"),
    [
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("team/app:1", "docker.io/team/app:1"),
        ("registry.example.com/app:1", "registry.example.com/app:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("registry:5000/app:1", "registry:5000/app:1"),
    ],
)
def test_names_are_the_runtimes_own(tag: str, ref: str, tmp_path: Path) -> None:
    write_image(tmp_path / "image.tar", tag, {}, {}, arch="arm64")
    found = read_archive(tmp_path / "image.tar")
    assert (found.refs, found.arch) == ((ref,), "arm64")


def test_every_image_of_an_archive_is_loaded_from_it(tmp_path: Path) -> None:
    manifest = [{"Config": "a", "RepoTags": ["one:1", "one:2"]}, {"Config": "a", "RepoTags": ["two:1"]}]
    archive(tmp_path / "two.tar", manifest, a={"architecture": "amd64"})
    images = own_images([Path("two.tar")], tmp_path, tmp_path / "cache")
    assert [image.ref for image in images] == [
        f"docker.io/library/{name}" for name in ("one:1", "one:2", "two:1")
    ]
    assert {(image.path, image.arch) for image in images} == {(tmp_path / "two.tar", "amd64")}
    assert len({image.sha256 for image in images}) == 1


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    amd64, arm64 = {"architecture": "amd64"}, {"architecture": "arm64"}
    whole = archive(tmp_path / "whole.tar", [{"Config": "a", "RepoTags": ["one:1"]}], a=amd64)
    compressed = tmp_path / "image.tar.gz"
    compressed.write_bytes(gzip.compress(whole.read_bytes()))
    mixed = [{"Config": "a", "RepoTags": ["one:1"]}, {"Config": "b", "RepoTags": ["two:1"]}]
    for path, words in (
        (compressed, "compressed"),
        (archive(tmp_path / "oci.tar", {"schemaVersion": 2}), "not a docker archive"),
        (archive(tmp_path / "half.tar", [{"Config": "gone", "RepoTags": ["one:1"]}]), "not a docker archive"),
        (archive(tmp_path / "unnamed.tar", [{"Config": "a", "RepoTags": None}], a=amd64), "without names"),
        (archive(tmp_path / "mixed.tar", mixed, a=amd64, b=arm64), "several architectures"),
    ):
        with pytest.raises(ImageArchiveError, match=words):
            read_archive(path)
    with pytest.raises(ConfigError, match=r"image\.tar\.gz"):
        own_images([compressed], tmp_path, tmp_path / "cache")
