"""The commands doctor and support, where no host answers and where an archive is judged."""

import stat
import subprocess
import tarfile

import pytest

from k8sbootstrap.checks.doctor.causes import diagnose
from k8sbootstrap.cli import doctor, support
from tests.unit.checks.cluster.healthy import make_plan
from tests.unit.checks.doctor.sound import sound
from tests.unit.checks.doctor.test_rules import member_stopped


def test_no_host_at_all_is_exit_code_5(run, folder):
    ran = run("doctor")
    assert ran.code == 5
    assert "No host can be reached" in ran.err
    assert "Check the network of this machine first" in ran.err


def test_exit_codes_and_both_forms(run, tmp_path, monkeypatch):
    plan = make_plan(tmp_path)
    monkeypatch.setattr(doctor, "look", lambda *_: sound(plan))
    ran = run("-f", str(tmp_path / "cluster.yaml"), "doctor")
    assert (ran.code, ran.out) == (0, "Nothing found: the cluster demo is well (0.0 s).\n")
    monkeypatch.setattr(doctor, "look", lambda *_: member_stopped(sound(plan)))
    ran = run("-f", str(tmp_path / "cluster.yaml"), "doctor")
    assert ran.code == 6
    assert ran.out.startswith("1. etcd-member-down  m3: etcd.service is inactive (dead)\n")
    ran = run("-f", str(tmp_path / "cluster.yaml"), "doctor", "-o", "json")
    assert ran.code == 6
    assert '"id": "etcd-member-down"' in ran.out


def test_an_archive_is_written_private_and_judged_without_cluster_yaml(run, folder, tmp_path):
    ran = run("support", "--output", "a.tar.gz")
    assert ran.code == 0
    assert "a.tar.gz: 0.0 MB, 0 of 2 hosts. Doctor found 2 causes." in ran.out
    assert "not in it: master1" in ran.err
    assert stat.S_IMODE((folder / "a.tar.gz").stat().st_mode) == 0o600
    (folder / "cluster.yaml").unlink()
    ran = run("doctor", "--from", "a.tar.gz")
    assert ran.code == 6
    assert "1. host-unreachable  master1: does not answer over SSH" in ran.out


def test_the_name_of_an_archive_says_when_it_was_made(run, folder):
    run("support")
    (made,) = folder.glob("support-demo-*.tar.gz")
    assert tarfile.is_tarfile(made)


def test_an_archive_for_one_recipient(run, folder):
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    assert run("support", "--output", "a.p7m", "--recipient", str(certificate)).code == 0
    assert run("doctor", "--from", "a.p7m").code == 2
    command = f"openssl cms -decrypt -binary -inform DER -in a.p7m -inkey {key} -out a.tar.gz"
    subprocess.run(command.split(), check=True, capture_output=True, cwd=folder)
    assert run("doctor", "--from", "a.tar.gz").code == 6
    ran = run("support", "--output", "b.p7m", "--recipient", "cluster.yaml")
    assert ran.code == 2
    assert "cluster.yaml is no PEM file with a certificate of an RSA key" in ran.err
    assert not (folder / "b.p7m").exists()


@pytest.mark.parametrize("content", [b"", b"not an archive", None])
def test_something_else_than_an_archive(run, folder, content):
    path = folder / "a.tar.gz"
    if content is None:
        with tarfile.open(path, "w:gz") as tar:
            tar.add(folder / "cluster.yaml", "support/look.json")
    else:
        path.write_bytes(content)
    ran = run("doctor", "--from", "a.tar.gz")
    assert ran.code == 2
    assert "a.tar.gz can't be judged" in ran.err


def test_an_archive_that_cannot_be_written(run, folder):
    ran = run("support", "--output", "nowhere/a.tar.gz")
    assert ran.code == 2
    assert "nowhere is not a directory" in ran.err
    assert support.default_name(make_plan(folder)).startswith("support-demo-")
    assert diagnose(make_plan(folder), sound(make_plan(folder))).causes == ()
