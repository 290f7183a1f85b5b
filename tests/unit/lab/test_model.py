"""Labs, their numbers and their files."""

import json
from pathlib import Path

import pytest

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import model
from k8sbootstrap.lab.model import LabHost

HOSTS = (LabHost("master1", 1, ("master",)), LabHost("worker1", 2, ("worker",)))


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "root"
    monkeypatch.setattr(model, "ROOT", path)
    return path


def _file(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name / "cluster.yaml"


def test_labs_have_different_numbers_and_a_free_one_is_taken_again(tmp_path: Path) -> None:
    first = model.claim(_file(tmp_path, "a"), "debian12", HOSTS)
    second = model.claim(_file(tmp_path, "b"), "debian12", HOSTS)
    assert first.number != second.number
    (first.folder / "owner").unlink()
    first.folder.rmdir()
    assert model.claim(_file(tmp_path, "c"), "debian12", HOSTS).number == first.number


def test_names_on_the_machine_are_short_and_differ_between_labs(tmp_path: Path) -> None:
    labs = [model.claim(_file(tmp_path, name), "debian12", HOSTS) for name in "ab"]
    named = [
        name
        for lab in labs
        for host in lab.hosts
        for name in (
            lab.machine(host),
            lab.cgroup(host),
            lab.address(host),
            lab.hardware_address(host),
            str(lab.root(host)),
        )
    ]
    assert len(set(named)) == len(named)
    interfaces = [f"vb-{lab.machine(host)}" for lab in labs for host in lab.hosts]
    assert max(map(len, interfaces)) <= 15, "longer names are hashed by systemd-nspawn"


def test_what_was_claimed_is_loaded(tmp_path: Path) -> None:
    file = _file(tmp_path, "a")
    lab = model.claim(file, "debian13", HOSTS, sealed=True, provider="vagrant")
    assert model.load(file) == lab


@pytest.mark.parametrize("content", ["", '{"number": 3, "os', "[]", '{"number": 0}'])
def test_a_damaged_record_still_finds_the_number(tmp_path: Path, content: str) -> None:
    model.claim(_file(tmp_path, "other"), "debian12", HOSTS)
    file = _file(tmp_path, "a")
    number = model.claim(file, "debian12", HOSTS).number
    (model.lab_directory(file) / "lab.json").write_text(content)
    found = model.load(file)
    assert found
    assert found.number == number


def test_a_lost_record_still_finds_the_number(tmp_path: Path) -> None:
    file = _file(tmp_path, "a")
    number = model.claim(file, "debian12", HOSTS).number
    (model.lab_directory(file) / "lab.json").unlink()
    found = model.load(file)
    assert found
    assert found.number == number


def test_no_lab(tmp_path: Path) -> None:
    file = _file(tmp_path, "a")
    assert model.load(file) is None
    with pytest.raises(LabError, match="there is no lab next to") as caught:
        model.require(file)
    assert "lab up" in caught.value.hint


def test_an_unknown_host_is_named_with_those_there_are(tmp_path: Path) -> None:
    lab = model.claim(_file(tmp_path, "a"), "debian12", HOSTS)
    assert lab.host("worker1") == HOSTS[1]
    with pytest.raises(LabError, match="no host worker7") as caught:
        lab.host("worker7")
    assert "master1, worker1" in caught.value.hint


def test_the_record_is_json_that_says_what_the_hosts_are(tmp_path: Path) -> None:
    file = _file(tmp_path, "a")
    model.claim(file, "debian12", HOSTS)
    record = json.loads((model.lab_directory(file) / "lab.json").read_text())
    assert [host["name"] for host in record["hosts"]] == ["master1", "worker1"]
    assert not list(model.lab_directory(file).glob(".*"))
