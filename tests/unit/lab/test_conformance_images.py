"""Images for upstream's Conformance tests, from packages and programs that stand in for the real ones."""

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.catalog.resolve import conformance, release, versions
from k8sbootstrap.formats.image_archive import read_archive
from k8sbootstrap.lab import conformance_images, go_build

VERSION = "1.37.2"
IMAGES = {image.ref.rpartition("/")[2]: image for image in conformance(VERSION, "amd64").images}


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture(autouse=True)
def _debian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's packages, where all programs are linked with libc alone."""

    def unpack(_suite: str, packages: Sequence[str], target: Path, *, dependencies: bool) -> None:
        assert dependencies
        assert "busybox-static" in packages
        for name in ("bash-static", "dig", "getent", "curl", "ss", "nc.openbsd"):
            _program(target / "usr/bin" / name, name)
        _program(target / "usr/bin/busybox", "echo busybox; echo ls; echo nc; echo sh")
        _program(target / "usr/lib/x86_64-linux-gnu/libc.so.6", "")
        loader = (
            "linux-vdso.so.1 (0x1)\\n libc.so.6 => /somewhere (0x2)\\n /lib64/ld-linux-x86-64.so.2 (0x3)\\n"
        )
        _program(target / "usr/lib64/ld-linux-x86-64.so.2", f"printf '{loader}'")

    monkeypatch.setattr(conformance_images, "unpack", unpack)


def _make(folder: Path, *names: str) -> list[Path]:
    images = [IMAGES[name] for name in names]
    for image in images:
        for part in conformance_images.parts(image, VERSION):
            _program(folder / part.key, part.key)
    conformance_images.make(images, VERSION, folder, [folder])
    return [folder / image.artifact.key for image in images]


def _look(path: Path) -> tuple[Mapping[str, Any], dict[str, tarfile.TarInfo], dict[str, bytes]]:
    """The configuration of an image, and the members of its layer and what its files contain, by path."""
    with tarfile.open(path) as tar:
        [manifest] = json.load(tar.extractfile("manifest.json"))
        config = json.load(tar.extractfile(manifest["Config"]))["config"]
        with tarfile.open(fileobj=io.BytesIO(tar.extractfile(manifest["Layers"][0]).read())) as layer:
            members = {member.name: member for member in layer.getmembers()}
            texts = {name: layer.extractfile(name).read() for name, each in members.items() if each.isfile()}
    return config, members, texts


@pytest.mark.parametrize("version", versions())
def test_every_image_of_a_release_can_be_made(version: str) -> None:
    pause = release(version, "amd64", "docker").pause
    for image in conformance(version, "amd64").images:
        if image != pause:
            assert all(map(go_build.can_build, conformance_images.parts(image, version))), image.ref


def test_programs_have_the_version_that_goes_with_the_image() -> None:
    keys = {
        name: [part.key for part in conformance_images.parts(IMAGES[name], VERSION)]
        for name in ("sample-apiserver:1.29.2", "etcd:3.7.0-0", "nonewprivs:1.4", "busybox:1.37.0-2")
    }
    assert keys == {
        "sample-apiserver:1.29.2": ["sample-apiserver/0.29.2/amd64/sample-apiserver"],
        "etcd:3.7.0-0": ["etcd/3.7.0/amd64/etcd"],
        "nonewprivs:1.4": ["conformance-images/1.37.2/amd64/nonewprivs"],
        "busybox:1.37.0-2": [],
    }


def test_agnhost_has_its_users_its_programs_and_their_libraries(tmp_path: Path) -> None:
    [path] = _make(tmp_path, "agnhost:2.66.1")
    assert read_archive(path).refs == ("registry.k8s.io/e2e-test-images/agnhost:2.66.1",)
    config, members, texts = _look(path)
    assert (config["Entrypoint"], config["Cmd"]) == (["/agnhost"], ["pause"])
    assert texts["agnhost"].endswith(b"/agnhost\n")
    assert members["agnhost-2"].linkname == "agnhost"
    assert {"localhost.crt", "bin/dig", "bin/curl", "lib64/ld-linux-x86-64.so.2"} <= {*members}
    assert "lib/x86_64-linux-gnu/libc.so.6" in members
    assert members["uploads"].isdir()
    assert b"user-defined-in-image:x:1000:" in texts["etc/passwd"]
    assert b"group-defined-in-image:x:50000:user-defined" in texts["etc/group"]
    assert members["bin/nc"].linkname == "nc.openbsd", "not that of busybox"


def test_the_shell_is_that_of_busybox_unless_variables_have_names_that_it_drops(tmp_path: Path) -> None:
    [path] = _make(tmp_path, "busybox:1.37.0-2")
    _, members, texts = _look(path)
    assert members["bin/ls"].linkname == "busybox"
    assert members["bin/busybox"].isfile()
    assert not any(name.startswith("lib") for name in members)
    programs = tmp_path / "programs"
    text = texts["bin/sh"].decode()
    for name in ("bash", "busybox"):
        _program(programs / name, f"echo {name} $@")
        text = text.replace(f" /bin/{name} ", f" {programs / name} ")
    shell = programs / "sh"
    shell.write_text(text)
    for variables, wanted in {("A=1", "B_2=3"): "busybox -c env", ("A=1", "data-1=2"): "bash -c env"}.items():
        ran = subprocess.run(
            ["env", "-i", *variables, "bash", shell, "-c", "env"], capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == wanted


def test_images_differ_in_what_their_tests_are_about(tmp_path: Path) -> None:
    setuid, nonroot, kitten = _make(tmp_path, "nonewprivs:1.4", "nonroot:1.5", "kitten:1.8")
    assert _look(setuid)[1]["usr/local/bin/nnp"].mode == 0o6755
    assert _look(nonroot)[0]["User"] == "1234"
    config, members, texts = _look(kitten)
    assert (config["Entrypoint"], config["Cmd"]) == (["/agnhost"], ["test-webserver"])
    assert json.loads(texts["data.json"]) == {"image": "kitten.jpg"}
    assert "bin/sh" not in members


def test_two_tags_are_two_images_and_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    old, new = _make(tmp_path / "1", "nginx:1.27.0-2", "nginx:1.28.0-2")
    again, _ = _make(tmp_path / "2", "nginx:1.27.0-2", "nginx:1.28.0-2")
    assert old.read_bytes() == again.read_bytes()
    configs = []
    for path in (old, new):
        with tarfile.open(path) as tar:
            configs.append(json.load(tar.extractfile("manifest.json"))[0]["Config"])
    assert configs[0] != configs[1]
