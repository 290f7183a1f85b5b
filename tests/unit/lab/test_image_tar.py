"""Images written without a container engine."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

from k8sbootstrap.lab.image_tar import write_image


def _image(path: Path) -> Path:
    write_image(path, "example.org/box:1", {"bin/box": b"program"}, {"Cmd": ["sh"]}, links={"bin/sh": "box"})
    return path


def _member(path: Path, name: str) -> bytes:
    with tarfile.open(path) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read()


def test_manifest_names_config_and_layer_by_their_content(tmp_path: Path) -> None:
    image = _image(tmp_path / "image.tar")
    [manifest] = json.loads(_member(image, "manifest.json"))
    assert manifest["RepoTags"] == ["example.org/box:1"]
    config = _member(image, manifest["Config"])
    assert manifest["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    [layer] = manifest["Layers"]
    digest = hashlib.sha256(_member(image, layer)).hexdigest()
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    assert json.loads(config)["config"] == {"Cmd": ["sh"]}


def test_layer_holds_executable_files_and_links(tmp_path: Path) -> None:
    image = _image(tmp_path / "image.tar")
    [manifest] = json.loads(_member(image, "manifest.json"))
    with tarfile.open(fileobj=io.BytesIO(_member(image, manifest["Layers"][0]))) as layer:
        assert layer.getmember("bin/box").mode == 0o755
        assert layer.getmember("bin/sh").linkname == "box"
        assert layer.getmember("tmp").mode == 0o1777


def test_modes_are_those_of_files_and_of_folders_beside_them(tmp_path: Path) -> None:
    write_image(
        tmp_path / "image.tar",
        "example.org/box:1",
        {"bin/box": b"", "bin/plain": b""},
        {},
        modes={"bin/box": 0o6755, "var/tmp": 0o1777},
    )
    [manifest] = json.loads(_member(tmp_path / "image.tar", "manifest.json"))
    with tarfile.open(fileobj=io.BytesIO(_member(tmp_path / "image.tar", manifest["Layers"][0]))) as layer:
        modes = {member.name: (member.isdir(), member.mode) for member in layer.getmembers()}
    assert modes["bin/box"] == (False, 0o6755)
    assert modes["bin/plain"] == (False, 0o755)
    assert modes["var/tmp"] == (True, 0o1777)


def test_a_compressed_layer_is_known_by_what_it_unpacks_to(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write_image(tmp_path / name, "example.org/box:1", {"bin/box": b"program" * 1000}, {}, compress=True)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    [manifest] = json.loads(_member(tmp_path / "1", "manifest.json"))
    layer = _member(tmp_path / "1", manifest["Layers"][0])
    assert len(layer) < 1000
    digest = hashlib.sha256(gzip.decompress(layer)).hexdigest()
    config = json.loads(_member(tmp_path / "1", manifest["Config"]))
    assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def test_same_input_gives_the_same_bytes_and_nothing_unfinished(tmp_path: Path) -> None:
    first, second = _image(tmp_path / "1" / "image.tar"), _image(tmp_path / "2" / "image.tar")
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == ["image.tar"]
