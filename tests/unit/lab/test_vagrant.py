"""The Vagrantfile."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import vagrant
from k8sbootstrap.lab.operations import Wanted

WANTED = Wanted(1, 2, 0, "debian13", "1.37.2", "docker", ())
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH test\n"


def test_every_host_has_a_machine_with_its_address() -> None:
    text = vagrant.vagrantfile(WANTED, KEY)
    for host in vagrant.hosts(WANTED):
        assert f'config.vm.define "{host.name}"' in text
        assert f'ip: "{host.address}"' in text
    assert text.count("config.vm.define") == 3
    assert 'config.vm.box = "debian/trixie64"' in text


def test_users_are_those_of_other_labs() -> None:
    text = vagrant.vagrantfile(WANTED, KEY)
    assert "for user in ops askpass" in text
    assert "ops ALL=(ALL) NOPASSWD:ALL" in text
    assert "askpass ALL=(ALL) ALL" in text
    assert KEY.strip() in text


def test_without_vagrant_the_files_are_there_and_the_error_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vagrant, "succeeds", lambda *_: False)
    with pytest.raises(LabError, match="vagrant is not installed"):
        vagrant.up(tmp_path / "cluster.yaml", WANTED, print)
    assert (tmp_path / "Vagrantfile").exists()
    assert (tmp_path / "cluster.yaml").exists()


def test_a_vagrantfile_of_the_user_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "Vagrantfile"
    own.write_text("# mine\n")
    assert not vagrant.down(tmp_path / "cluster.yaml")
    assert own.read_text() == "# mine\n"


def test_vagrant_accepts_it(tmp_path: Path) -> None:
    if shutil.which("vagrant") is None:
        pytest.skip("vagrant is not installed")
    (tmp_path / "Vagrantfile").write_text(vagrant.vagrantfile(WANTED, KEY))
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=tmp_path,
        env=dict(os.environ, VAGRANT_HOME=str(tmp_path / "home")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
