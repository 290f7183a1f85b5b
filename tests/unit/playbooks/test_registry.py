"""What is put into the cluster's own image registry; tests/e2e does it with a real one."""

import hashlib
import io
import json
import tarfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.images import registry

from k8sbootstrap.formats.image_archive import ImagePart, digest_of, write_archive
from k8sbootstrap.lab.image_tar import write_image
from k8sbootstrap.plan.registries import name_in_local

REF = "registry.example.com/team/app:1"


class Recorder:
    """Stands for the connection to a registry that has nothing."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}

    def ask(self, method: str, path: str, body: Any = None, good: tuple = (200,), **headers: str) -> Any:
        status = good[0]
        if method == "HEAD":
            status = 200 if path.rpartition("/")[2] in self.blobs else 404
        elif method == "PUT" and "/manifests/" in path:
            self.manifests[path] = (body, headers["Content_Type"])
        elif method == "PUT":
            content = body.read()
            digest = path.partition("digest=")[2]
            assert digest_of(content) == digest
            assert headers["Content_Length"] == str(len(content))
            self.blobs[digest] = content
        return SimpleNamespace(status=status, headers={"Location": "/v2/upload?state=x"})


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()

    @contextmanager
    def writer(_data: str, _user: str) -> Any:
        yield found

    monkeypatch.setattr(registry, "_writer", writer)
    return found


def image(archive: Path, ref: str = REF, arch: str = "amd64") -> dict[str, str]:
    name, tag = name_in_local(ref)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    return {"ref": ref, "name": name, "tag": tag, "arch": arch, "sha256": sha256}


def keep(data: Path, part: dict[str, Any]) -> None:
    """Do what a real registry does with a tag."""
    for entry in part["registry"]["images"].values():
        tag = data / f"docker/registry/v2/repositories/{entry['name']}/_manifests/tags/{entry['tag']}/current"
        tag.mkdir(parents=True, exist_ok=True)
        (tag / "link").write_text(entry["digest"])


def fill(tmp_path: Path, part: dict[str, Any], *images: tuple[dict[str, str], Path]) -> list[tuple[str, Any]]:
    wanted = {"data": str(tmp_path / "data"), "user": "me", "images": [each for each, _ in images]}
    archives = {each["sha256"]: str(path) for each, path in images}
    changes = registry.fill(wanted, part, archives, check_mode=False)
    keep(tmp_path / "data", part)
    assert registry.lacking(wanted, part) == []
    return [(change["name"], change["causes"]) for change in changes]


def test_a_docker_archive_is_put_in_once_and_again_when_it_changes(
    tmp_path: Path, recorder: Recorder
) -> None:
    archive = tmp_path / "image.tar"
    write_image(archive, REF, {"bin/x": b"x"}, {})
    part: dict[str, Any] = {"registry": {}}
    assert fill(tmp_path, part, (image(archive), archive)) == [(REF, ["new"])]
    body, kind = recorder.manifests["/v2/registry.example.com/team/app/manifests/1"]
    manifest = json.loads(body)
    assert kind == manifest["mediaType"]
    assert {manifest["config"]["digest"], manifest["layers"][0]["digest"]} == set(recorder.blobs)
    assert fill(tmp_path, part, (image(archive), archive)) == []
    write_image(archive, REF, {"bin/x": b"y"}, {})
    assert fill(tmp_path, part, (image(archive), archive)) == [(REF, ["configuration"])]
    other = tmp_path / "other.tar"
    write_image(other, "docker.io/library/other:2", {"bin/x": b"y"}, {})
    added = (image(other, "docker.io/library/other:2"), other)
    assert fill(tmp_path, part, added) == [("docker.io/library/other:2", ["configuration"])]
    assert list(part["registry"]["images"]) == ["docker.io/library/other:2"]


def test_what_was_removed_from_it_is_seen_and_put_back(tmp_path: Path, recorder: Recorder) -> None:
    archive = tmp_path / "image.tar"
    write_image(archive, REF, {"bin/x": b"x"}, {})
    part: dict[str, Any] = {"registry": {}}
    assert registry.registry_drift(part) == []
    fill(tmp_path, part, (image(archive), archive))
    assert registry.registry_drift(part) == []
    next((tmp_path / "data").rglob("link")).unlink()
    assert [change["causes"] for change in registry.registry_drift(part)] == [["drift"]]
    assert fill(tmp_path, part, (image(archive), archive)) == [(REF, ["drift"])]
    assert recorder.blobs


def test_an_image_from_a_registry_keeps_its_digest(tmp_path: Path, recorder: Recorder) -> None:
    paths = {}
    for name, content in (("config", b'{"architecture": "amd64"}'), ("layer", b"a layer")):
        paths[name] = tmp_path / name
        paths[name].write_bytes(content)
    config, layer = (ImagePart(digest_of(path.read_bytes()), path) for path in paths.values())
    described = [{"digest": each.digest, "size": each.path.stat().st_size} for each in (config, layer)]
    manifest = json.dumps({"schemaVersion": 2, "config": described[0], "layers": described[1:]}).encode()
    archive = tmp_path / "image.tar"
    write_archive(archive, REF, manifest, [config, layer])
    part: dict[str, Any] = {"registry": {}}
    fill(tmp_path, part, (image(archive), archive))
    assert part["registry"]["images"][REF]["digest"] == digest_of(manifest)
    assert recorder.manifests["/v2/registry.example.com/team/app/manifests/1"] == (
        manifest,
        "application/vnd.oci.image.manifest.v1+json",
    )


def test_an_image_for_two_architectures_is_a_list(tmp_path: Path, recorder: Recorder) -> None:
    images = []
    for arch in ("amd64", "arm64"):
        archive = tmp_path / f"{arch}.tar"
        write_image(archive, REF, {"bin/x": arch.encode()}, {}, arch=arch)
        images.append((image(archive, arch=arch), archive))
    part: dict[str, Any] = {"registry": {}}
    assert fill(tmp_path, part, *images) == [(REF, ["new"])]
    listed = json.loads(recorder.manifests["/v2/registry.example.com/team/app/manifests/1"][0])["manifests"]
    assert [each["platform"]["architecture"] for each in listed] == ["amd64", "arm64"]
    assert all(
        f"/v2/registry.example.com/team/app/manifests/{each['digest']}" in recorder.manifests
        for each in listed
    )


def test_an_archive_of_another_image_is_named(tmp_path: Path, recorder: Recorder) -> None:
    archive = tmp_path / "image.tar"
    write_image(archive, "docker.io/library/other:1", {"bin/x": b"x"}, {})
    with pytest.raises(
        registry.RegistryError, match=f"{REF} could not be .* does not contain an image with this name"
    ):
        fill(tmp_path, {"registry": {}}, (image(archive), archive))
    assert not recorder.manifests


def test_compressed_layers_are_said_to_be(tmp_path: Path, recorder: Recorder) -> None:
    archive = tmp_path / "image.tar"
    content = {
        "config.json": b"{}",
        "layer": b"\x1f\x8b" + b"x" * 50,
        "manifest.json": json.dumps(
            [{"Config": "config.json", "RepoTags": ["team/app:1"], "Layers": ["layer"]}]
        ).encode(),
    }
    with tarfile.open(archive, "w") as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    fill(tmp_path, {"registry": {}}, (image(archive, "docker.io/team/app:1"), archive))
    manifest = json.loads(recorder.manifests["/v2/team/app/manifests/1"][0])
    assert manifest["layers"][0]["mediaType"].endswith(".tar.gzip")
