"""The bucket for snapshots, as hosts read it: in one private file, and as the program there takes it."""

import json
import stat
from pathlib import Path

import pytest

from k8sbootstrap.errors import ConfigError
from k8sbootstrap.inventory.snapshot_store import read_store, write_store
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.resources import shared_rules
from k8sbootstrap.state import State
from tests.roles.scenarios import CERTIFICATE

HEAD = """\
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: demo
kubernetes: {version: 1.36.2}
hosts:
  - {name: m1, address: 10.0.0.11, roles: [master]}
"""
S3 = """\
etcd:
  snapshots:
    s3:
      endpoint: https://store.example.com/
      bucket: backups
      accessKey: AK
      secretKey: {env: S3_SECRET}
"""
PROXY = "proxy: {https: 'http://robot:hunter2@proxy:3128', noProxy: [.example.com]}\n"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_SECRET", "s3cr3t")


def plan_of(folder: Path, text: str) -> ClusterPlan:
    file = folder / "cluster.yaml"
    file.write_text(HEAD + text)
    return load_plan(file)


def test_what_the_program_on_hosts_takes(tmp_path: Path) -> None:
    store = read_store(plan_of(tmp_path, S3), tmp_path)
    taken = shared_rules("kube.etcd_bucket").Store(**store)
    assert (taken.endpoint, taken.url) == ("https://store.example.com", "s3://backups/demo")
    assert (taken.region, taken.keep, taken.days, taken.prune) == ("us-east-1", 60, 30, True)
    assert (taken.secret_key, taken.ca, taken.proxy, taken.virtual_host) == ("s3cr3t", "", "", False)


def test_folders_and_a_ca(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CERTIFICATE)
    more = "      prefix: a/b/\n      ca: ca.pem\n      style: virtual-host\n"
    store = read_store(plan_of(tmp_path, S3 + more), tmp_path)
    assert (store["folder"], store["ca"], store["virtual_host"]) == ("a/b/demo", CERTIFICATE, True)


def test_the_proxy_of_hosts_counts(tmp_path: Path) -> None:
    assert read_store(plan_of(tmp_path, S3 + PROXY), tmp_path)["proxy"] == ""
    elsewhere = S3.replace("store.example.com", "s3.us-east-1.amazonaws.com")
    store = read_store(plan_of(tmp_path, elsewhere + PROXY), tmp_path)
    assert store["proxy"] == "http://robot:hunter2@proxy:3128"


def test_it_is_kept_for_its_owner_alone_and_goes_with_the_bucket(tmp_path: Path) -> None:
    state = State(tmp_path)
    write_store(read_store(plan_of(tmp_path, S3), tmp_path), state)
    document = json.loads(state.snapshot_store.read_text())
    assert document["store"]["secret_key"] == "s3cr3t"
    assert document["salt"]
    assert stat.S_IMODE(state.snapshot_store.stat().st_mode) == 0o600
    write_store(read_store(plan_of(tmp_path, ""), tmp_path), state)
    assert not state.snapshot_store.exists()


def test_a_secret_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="NO_SUCH_SECRET is not set"):
        read_store(plan_of(tmp_path, S3.replace("S3_SECRET", "NO_SUCH_SECRET")), tmp_path)
