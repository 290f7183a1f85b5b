"""k8sbootstrap kubeconfig --user, and certs users."""

import json

import pytest
import yaml

from k8sbootstrap.cli import kubeconfig as cli
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.state import State
from tests.cluster_yaml import cluster_yaml


@pytest.fixture(autouse=True)
def issued(monkeypatch, tmp_path):
    """A cluster that was brought up from here, and whose API does not answer this machine."""
    monkeypatch.setattr(cli, "living", lambda _plan, _text: None)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "cluster.yaml"
    file.write_text(cluster_yaml("m1", "w1"))
    state = State.beside(file, "demo")
    ensure_pki(load_plan(file), state)
    return state


def test_it_is_printed_and_listed(run, issued):
    ran = run("kubeconfig", "--user", "jane", "--group", "dev", "--group", "ops", "--days", "3")
    assert ran.code == 0
    made = yaml.safe_load(ran.out)
    admin = yaml.safe_load(issued.kubeconfig.read_text())
    assert made["clusters"] == admin["clusters"]
    assert made["users"] != admin["users"]
    assert made["users"][0]["name"] == "demo-jane"
    assert "jane (groups: dev, ops): valid until" in ran.err
    assert "when the cluster's CA ends" not in ran.err
    listed = run("certs", "users")
    assert [line.split() for line in listed.out.splitlines()] == [
        ["days", "expires", "issued", "user", "groups"],
        ["2", *listed.out.splitlines()[1].split()[1:3], "jane", "dev,", "ops"],
    ]
    (user,) = json.loads(run("certs", "users", "-o", "json").out)["users"]
    assert (user["name"], user["groups"], user["days_left"]) == ("jane", ["dev", "ops"], 2)


def test_it_is_written_for_its_owner_alone(run, tmp_path):
    ran = run("kubeconfig", "--user", "jane", "--output", "jane.conf")
    assert ran.code == 0
    assert (tmp_path / "jane.conf").stat().st_mode & 0o777 == 0o600
    assert "client-key-data" not in ran.out
    assert " 29 " in run("certs", "users").out.splitlines()[1]


def test_it_is_merged_beside_the_admins(run, tmp_path):
    target = tmp_path / "mine"
    for options in ([], ["--user", "jane"]):
        assert run("kubeconfig", "--merge", "--kubeconfig", str(target), *options).code == 0
    document = yaml.safe_load(target.read_text())
    assert [each["name"] for each in document["contexts"]] == ["kubernetes-admin@demo", "jane@demo"]
    assert document["current-context"] == "jane@demo"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--group", "dev"], "--group and --days need --user."),
        (["--days", "3"], "--group and --days need --user."),
        (["--user", "system:admin"], "Kubernetes' own"),
        (["--user", "jane", "--group", "system:masters"], "kubeadm:cluster-admins"),
        (["--user", ""], "1 to 64 characters"),
        (["--user", "jane", "--days", "0"], "0 is not in the range"),
    ],
)
def test_bad_input(run, issued, options, said):
    ran = run("kubeconfig", *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.split())
    assert not issued.users.exists()


def test_none_was_issued(run):
    assert run("certs", "users").out == "No kubeconfig was issued to a user from here.\n"
    assert json.loads(run("certs", "users", "-o", "json").out) == {"users": []}


def test_without_the_ca(run, issued):
    (issued.pki / "ca.key").unlink()
    ran = run("kubeconfig", "--user", "jane")
    assert (ran.code, ran.out) == (9, "")
    assert "nothing can be signed without it" in ran.err
