"""Virtual machines: their Vagrantfile, their CDs, what is refused, and what is removed."""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import model, vagrant
from k8sbootstrap.lab.model import Lab, LabHost
from k8sbootstrap.lab.root_image import PASSWORD_USER, USER

LAB = Lab(
    7,
    "debian13",
    (LabHost("master1", 1, ("master",)), LabHost("worker1", 2, ("worker",))),
    provider="vagrant",
)


@pytest.fixture(autouse=True)
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "labs"
    monkeypatch.setattr(model, "ROOT", path)
    monkeypatch.setattr(vagrant, "ROOT", path)
    (path / "7").mkdir(parents=True)
    return path


def test_every_host_is_on_the_bridge_with_its_cd_and_its_console() -> None:
    text = vagrant.vagrantfile_text(LAB, "/here", emulated=True)
    assert text.count("config.vm.define") == text.count('dev: "k8slab7"') == 2
    for host in LAB.hosts:
        assert f'config.vm.define "{host.name}"' in text
        assert f'mac: "{LAB.hardware_address(host)}"' in text
        assert f'path: "{LAB.folder}/{host.name}.iso"' in text
        assert f'path: "{LAB.folder}/{host.name}.console"' in text


@pytest.mark.parametrize(
    ("emulated", "settings"),
    [
        (True, ('driver = "qemu"', 'cpu_mode = "maximum"', "cpus = 1")),
        (False, ('driver = "kvm"', 'cpu_mode = "host-passthrough"', "cpus = 2")),
    ],
)
def test_without_kvm_one_processor_is_emulated(settings: tuple[str, ...], *, emulated: bool) -> None:
    text = vagrant.vagrantfile_text(LAB, "/here", emulated=emulated)
    for setting in settings:
        assert f"libvirt.{setting}\n" in text


@pytest.mark.parametrize("emulated", [True, False])
def test_the_vagrantfile_tells_later_whether_it_is_emulation(*, emulated: bool) -> None:
    (LAB.folder / "Vagrantfile").write_text(vagrant.vagrantfile_text(LAB, "/here", emulated=emulated))
    assert vagrant.is_emulated(LAB) is emulated


def test_all_that_vagrant_makes_is_named_after_the_lab() -> None:
    text = vagrant.vagrantfile_text(LAB, "/here", emulated=True)
    for setting in ('vm.box = "k8slab7"', 'default_prefix = "k8slab7-"', 'storage_pool_name = "k8slab7"'):
        assert setting in text


@pytest.mark.parametrize("which", ["the lab's", "the one for VirtualBox"])
def test_vagrant_accepts_it(tmp_path: Path, which: str) -> None:
    if shutil.which("vagrant") is None:
        pytest.skip("vagrant is not installed")
    text = vagrant.vagrantfile_text(LAB, str(tmp_path), emulated=True)
    if which != "the lab's":
        page = Path(__file__).resolve().parents[3] / "docs/lab.md"
        [text] = re.findall(r"```ruby\n(.*?)```", page.read_text(), re.DOTALL)
    (tmp_path / "Vagrantfile").write_text(text)
    (tmp_path / "id_ed25519").touch()
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=tmp_path,
        env=dict(os.environ, VAGRANT_HOME=str(tmp_path / "home")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_too_little_memory_is_refused_before_anything_starts() -> None:
    vagrant.require(0)
    with pytest.raises(LabError, match=r"9999 virtual machines need \d+ MiB of memory, \d+ MiB are free"):
        vagrant.require(9999)


def test_a_cd_carries_what_is_the_hosts_own_and_is_made_once(top: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    for user in (USER, PASSWORD_USER):
        (image / "home" / user).mkdir(parents=True)
    key = vagrant._seed(LAB, LAB.hosts[1], image, "ssh-ed25519 AAAA lab\n")
    assert vagrant._seed(LAB, LAB.hosts[1], image, "another") == key
    disc = top / "7/worker1.iso"
    assert disc.stat().st_mode & 0o777 == 0o600
    with tarfile.open(disc) as archive:
        names = archive.getnames()
        secret = archive.getmember("etc/ssh/ssh_host_ed25519_key")
        network = archive.extractfile("usr/local/sbin/lab-network")
        assert network
        script = network.read().decode()
    assert {"etc/hostname", "etc/hosts", f"home/{USER}/.ssh/authorized_keys"} <= {*names}
    assert "etc/machine-id" not in names
    assert secret.mode == 0o600
    assert key.startswith("ssh-ed25519 ")
    assert "10.86.7.12/24 dev eth0" in script
    assert "default via 10.86.7.1" in script


def test_labs_of_containers_leave_libvirt_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(vagrant.libvirt, "ensure", lambda: asked.append("ensure"))
    monkeypatch.setattr(vagrant.libvirt, "stop_own", lambda: asked.append("stop"))
    vagrant.remove_remains(LAB)
    assert asked == ["stop"]


def test_the_daemons_stay_for_another_lab(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(vagrant.libvirt, "ensure", lambda: None)
    monkeypatch.setattr(vagrant.libvirt, "domains", lambda prefix: [f"{prefix}master1"])
    monkeypatch.setattr(vagrant.libvirt, "remove_domain", done.append)
    monkeypatch.setattr(vagrant.libvirt, "remove_pool", done.append)
    monkeypatch.setattr(vagrant.libvirt, "stop_own", lambda: done.append("stop"))
    (top / "7/vagrant").mkdir()
    (top / "8/vagrant").mkdir(parents=True)
    vagrant.remove_remains(LAB)
    assert done == ["k8slab7-master1", "k8slab7"]
    shutil.rmtree(top / "8")
    vagrant.remove_remains(LAB)
    assert done[-1] == "stop"


class Libvirt:
    """Stands in for libvirt: machines by name, and whether each has its network interface."""

    def __init__(self, machines: dict[str, bool]) -> None:
        self.machines = machines
        self.done: list[str] = []

    def ensure(self) -> None:
        pass

    def domains(self, prefix: str) -> list[str]:
        return [name for name in self.machines if name.startswith(prefix)]

    def remove_domain(self, name: str) -> None:
        del self.machines[name]

    def virsh(self, command: str, name: str) -> str:
        self.done.append(f"{command} {name}")
        if command == "domiflist" and self.machines[name]:
            return " ".join(LAB.hardware_address(host) for host in LAB.hosts)
        return ""


@pytest.mark.parametrize(
    ("machines", "started", "created", "kept"),
    [
        ({}, "", "master1 worker1", ""),
        ({"master1": True}, "master1", "worker1", "box.img k8slab7-master1.img"),
        ({"master1": False}, "", "master1 worker1", ""),
        ({"master1": True, "worker1": True}, "master1 worker1", "", "all"),
    ],
)
def test_whole_machines_start_and_what_a_killed_vagrant_left_is_made_again(
    monkeypatch: pytest.MonkeyPatch, machines: dict[str, bool], started: str, created: str, kept: str
) -> None:
    libvirt = Libvirt({f"k8slab7-{name}": whole for name, whole in machines.items()})
    monkeypatch.setattr(vagrant, "libvirt", libvirt)
    ran: list[str] = []
    monkeypatch.setattr(vagrant, "_vagrant", lambda _lab, *words: ran.extend(words[3:]))
    disks = LAB.folder / "disks"
    disks.mkdir()
    there = {"box.img", "k8slab7-master1.img", "k8slab7-worker1.img"}
    for name in there:
        (disks / name).touch()
    vagrant.start(LAB, LAB.hosts)
    assert [words for words in libvirt.done if words.startswith("start ")] == [
        f"start k8slab7-{name}" for name in started.split()
    ]
    assert ran == created.split()
    assert {path.name for path in disks.iterdir()} == (there if kept == "all" else {*kept.split()})
