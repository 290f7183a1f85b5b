"""Folders are emptied, and nothing that is mounted in them is gone into."""

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.module_utils.k8sbootstrap.host import trees

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts something")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file on the same file system; whatever is mounted below tmp_path goes afterwards."""
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "precious").write_text("theirs")
    yield folder
    for point in sorted(trees.below(str(tmp_path), trees.mount_points()), reverse=True):
        subprocess.run(["/usr/bin/umount", "--lazy", point], check=True)


def mount(what: Path, where: Path) -> None:
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["/usr/bin/mount", "--bind", str(what), str(where)], check=True)


def test_a_tree_goes(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("stays")
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/file").write_text("x")
    (tmp_path / "a/link").symlink_to(outside)
    (tmp_path / "a/b/dangling").symlink_to(tmp_path / "nothing")
    trees.remove(str(tmp_path / "a"))
    trees.remove(str(tmp_path / "a"))  # a reset that was killed runs again
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "file").read_text() == "stays"
    (tmp_path / "link").symlink_to(outside)
    trees.remove(str(tmp_path / "link"))
    assert (outside / "file").read_text() == "stays"


def test_a_folder_is_emptied_but_for_what_was_there(tmp_path: Path) -> None:
    for name in ("lost+found", "theirs", "ours"):
        (tmp_path / name).mkdir()
    trees.empty(str(tmp_path), keep=("theirs",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lost+found", "theirs"]


@needs_root
@pytest.mark.parametrize("where", ["a", "a/b/c", "a/with blank and ü"])
def test_what_is_mounted_is_not_gone_into(tmp_path: Path, disk: Path, where: str) -> None:
    """A bind mount has the same device as the folder it is in."""
    mount(disk, tmp_path / where)
    with pytest.raises(trees.TreeError, match=f"{tmp_path / where} is mounted, so nothing is deleted there"):
        trees.remove(str(tmp_path / "a"))
    assert (disk / "precious").read_text() == "theirs"


@needs_root
def test_a_mounted_file_stays(tmp_path: Path, disk: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").touch()
    subprocess.run(["/usr/bin/mount", "--bind", str(disk / "precious"), str(tmp_path / "a/file")], check=True)
    with pytest.raises(trees.TreeError, match="a/file can't be removed: Device or resource busy"):
        trees.remove(str(tmp_path / "a"))
    assert (disk / "precious").read_text() == "theirs"


@needs_root
def test_mounts_go_innermost_first_and_more_than_once(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is called umount on the host's PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/umount").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/umount").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (disk / "inner").mkdir()
    root = tmp_path / "a"
    mount(disk, root / "volume with blank")
    mount(disk, root / "volume with blank")
    mount(disk, root / "volume with blank/inner")
    points = trees.below(str(root), trees.mount_points())
    assert len(points) == 3
    trees.unmount(points)
    assert trees.below(str(root), trees.mount_points()) == []
    trees.remove(str(root))
    assert (disk / "precious").read_text() == "theirs"


@needs_root
def test_what_can_not_be_unmounted_is_named_with_who_uses_it(
    tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refuses:
        @staticmethod
        def umount2(*_: object) -> int:
            trees.ctypes.set_errno(1)
            return -1

    mount(disk, tmp_path / "a")
    monkeypatch.setattr(trees.ctypes, "CDLL", lambda *_, **__: Refuses)
    with (tmp_path / "a/precious").open():
        with pytest.raises(trees.TreeError) as refused:
            trees.unmount([str(tmp_path / "a")])
        assert f"{tmp_path}/a can't be unmounted (Operation not permitted), so nothing is" in str(
            refused.value
        )
        assert f"(process {os.getpid()})" in str(refused.value)


def test_how_a_folder_was_found(tmp_path: Path) -> None:
    (tmp_path / "bare/empty").mkdir(parents=True)
    (tmp_path / "bare/lost+found").mkdir()
    (tmp_path / "bare").chmod(0o751)
    (tmp_path / "used/deep").mkdir(parents=True)
    (tmp_path / "used/deep/file").touch()
    bare = trees.as_found(str(tmp_path / "bare"), data=True)
    assert {path: entry["entries"] for path, entry in bare.items()} == {
        f"{tmp_path}/bare": ["empty", "lost+found"],
        f"{tmp_path}/bare/empty": [],
    }
    assert bare[f"{tmp_path}/bare"]["mode"] == "0751"
    assert bare[f"{tmp_path}/bare"]["uid"] == os.getuid()
    used = trees.as_found(str(tmp_path / "used"), data=True)
    assert {path: entry["entries"] for path, entry in used.items()} == {f"{tmp_path}/used": ["deep"]}
    settings = trees.as_found(str(tmp_path / "used"), data=False)
    assert settings[f"{tmp_path}/used"]["entries"] is None
    assert stat.S_IMODE((tmp_path / "bare").stat().st_mode) == 0o751
