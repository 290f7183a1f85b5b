"""Reset takes off what is recorded, and leaves folders that were there before as they were."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.k8sbootstrap.host import reset, trees

New = Callable[..., Any]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts something")


@pytest.fixture
def root(host: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host's root; what is mounted there goes afterwards."""
    folder = host / "var/lib/k8sbootstrap"
    monkeypatch.setattr(reset, "DIRECTORY", str(folder))
    monkeypatch.setattr(reset, "PATH", str(folder / "record.json"))
    yield host
    for point in sorted(trees.below(str(host), trees.mount_points()), reverse=True):
        subprocess.run(["/usr/bin/umount", "--lazy", point], check=True)


def mount(what: Path, where: Path) -> None:
    what.mkdir(parents=True, exist_ok=True)
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["/usr/bin/mount", "--bind", str(what), str(where)], check=True)


def take_off(record: Any) -> list[str]:
    """The part of reset that deletes folders."""
    record.data["cluster"] = "demo"
    record.save()
    run = reset.Reset(record)
    run._unmount()
    run._trees()
    run._own()
    return run.done


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_disk_of_its_own_is_emptied_and_stays_as_it_was(root: Path, new_record: New) -> None:
    (root / "disk/lost+found").mkdir(parents=True)
    (root / "disk").chmod(0o751)
    mount(root / "disk", root / "etcd")
    record = new_record()
    record.data["found"] = trees.as_found(str(root / "etcd"), data=True)
    os.chown(root / "etcd", 4, 4)
    (root / "etcd").chmod(0o700)
    (root / "etcd/member").mkdir()
    (root / "etcd/member/db").write_text("all Secrets")
    mount(root / "volume", root / "etcd/member/pod")
    (root / "volume/precious").touch()
    take_off(record)
    assert names(root / "etcd") == ["lost+found"]
    now = (root / "etcd").stat()
    assert (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (0o751, 0, 0)
    assert trees.below(str(root), trees.mount_points()) == [str(root / "etcd")]
    assert names(root / "volume") == ["precious"]


def test_a_disk_that_came_later_is_emptied_and_stays(root: Path, new_record: New) -> None:
    record = new_record()
    record.data["residue"] = [str(root / "kubelet")]
    mount(root / "disk", root / "kubelet")
    os.chown(root / "kubelet", 4, 4)
    (root / "kubelet/pods").mkdir()
    done = take_off(record)
    assert done[0] == f"{root}/kubelet emptied; the directory is kept because something is mounted there"
    assert names(root / "kubelet") == []
    assert (root / "kubelet").stat().st_uid == 0


def test_a_link_to_another_disk_stays(root: Path, new_record: New) -> None:
    (root / "big/docker").mkdir(parents=True)
    (root / "docker").symlink_to(root / "big/docker")
    record = new_record()
    record.data["found"] = trees.as_found(str(root / "docker"), data=True)
    mount(root / "volume", root / "docker/overlay2/merged")
    take_off(record)
    assert (root / "docker").is_symlink()
    assert names(root / "big/docker") == []
    assert trees.below(str(root), trees.mount_points()) == []


def test_nothing_is_deleted_where_something_stays_mounted(
    root: Path, new_record: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = new_record()
    record.data["residue"] = [str(root / "kubelet"), str(root / "cni")]
    (root / "cni").mkdir()
    mount(root / "volume", root / "kubelet/pods/x/volume")
    (root / "volume/precious").touch()
    record.save()
    with monkeypatch.context() as patched:
        patched.setattr(trees, "_LAZY", 1 << 20)  # which the kernel refuses
        with pytest.raises(reset.ResetError, match=r"pods/x/volume can't be unmounted .*run reset again"):
            take_off(record)
    assert names(root / "volume") == ["precious"]
    assert (root / "cni").exists()
    take_off(new_record())
    assert names(root / "volume") == ["precious"]
    assert not (root / "kubelet").exists()
    assert not (root / "var/lib/k8sbootstrap").exists()


def test_folders_that_only_held_ours_stay_where_others_use_them(root: Path, new_record: New) -> None:
    record = new_record()
    part = record.component("image_registry")
    for path in ("srv/a", "srv/b"):
        (root / path / "registry").mkdir(parents=True)
        part["directories"] += [str(root / path), str(root / path / "registry")]
        part["parents"].append(str(root / path))
    (root / "srv/b/theirs").touch()
    take_off(record)
    assert names(root / "srv") == ["b"]
    assert names(root / "srv/b") == ["theirs"]


def test_the_record_may_be_on_a_disk_of_its_own(root: Path, new_record: New) -> None:
    mount(root / "disk", root / "var/lib/k8sbootstrap")
    (root / "disk/lost+found").mkdir()
    record = new_record()
    record.data["cluster"] = "x"
    record.save()
    (root / "var/lib/k8sbootstrap/images").mkdir()
    take_off(record)
    assert names(root / "var/lib/k8sbootstrap") == ["lost+found"]


@pytest.mark.parametrize(
    ("name", "namespace", "ends"),
    [
        ("containerd-shim-runc-v2", "k8s.io", True),
        ("containerd-shim-runc-v2", "moby", False),
        ("x", "k8s.io", False),
    ],
)
def test_what_held_pods_containers_is_ended_and_nothing_else(
    tmp_path: Path,
    name: str,
    namespace: str,
    ends: bool,  # noqa: FBT001
) -> None:
    command = [f"/usr/bin/{name}", "-c", "import time; time.sleep(60)", "-namespace", namespace, "-id", "1"]
    with subprocess.Popen(command, executable=sys.executable) as process:
        try:
            (tmp_path / str(process.pid)).mkdir()
            cmdline = b"\0".join(word.encode() for word in command) + b"\0"
            (tmp_path / str(process.pid) / "cmdline").write_bytes(cmdline)
            (tmp_path / "self").mkdir()
            (tmp_path / "1").mkdir()
            reset._kill_shims(str(tmp_path))
            if ends:
                assert process.wait(10) == -signal.SIGKILL
            else:
                assert process.poll() is None
        finally:
            process.kill()
