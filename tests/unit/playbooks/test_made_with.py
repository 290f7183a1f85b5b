"""What a host keeps of what its cluster was made with, and refuses to change."""

import base64
import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import playbook_code
import pytest

from tests.golden_tree import golden_paths

MADE = {"network.serviceCIDR": "10.96.0.0/16", "network.dnsDomain": "cluster.local", "hosts[].name": "a"}
APISERVER = """\
[Service]
ExecStart=/usr/local/bin/kube-apiserver \\
  --advertise-address=10.0.0.11 \\
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \\
  --service-cluster-ip-range={} \\
  --tls-min-version=VersionTLS12
Restart=always
"""


@pytest.fixture
def module(host: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with the host's files in a temporary folder."""
    found = importlib.import_module("ansible.module_utils.k8sbootstrap.made_with")
    fixed = importlib.import_module("ansible.module_utils.k8sbootstrap.fixed")
    unit = "/etc/systemd/system/kube-apiserver.service"
    here = str(host / "kube-apiserver.service")
    monkeypatch.setattr(found, "FILES", (here,))
    monkeypatch.setattr(
        found, "values_in", lambda path, text: fixed.values_in(path.replace(here, unit), text)
    )
    return found


def asked(name: str, made_with: dict[str, str], **files: str) -> tuple[Any, ...]:
    items = [
        {"dest": path, "content": base64.b64encode(text.encode()).decode()} for path, text in files.items()
    ]
    return name, made_with, items


def test_it_is_kept_once_the_cluster_begins(module: ModuleType, new_record: Callable[..., Any]) -> None:
    record = new_record()
    module.require_same(record, *asked("host", MADE | {"network.plugin": "routed"}))
    assert record.data["made_with"] == {}
    module.require_same(record, *asked("kubelet", MADE | {"network.plugin": "routed"}))
    assert record.data["made_with"] == MADE


def test_another_value_is_refused_by_every_component(
    module: ModuleType, new_record: Callable[..., Any]
) -> None:
    record = new_record()
    record.data["made_with"] = dict(MADE)
    for name in ("packages", "host", "kube_apiserver"):
        with pytest.raises(module.MadeWithError) as caught:
            module.require_same(record, *asked(name, MADE | {"network.serviceCIDR": "10.112.0.0/16"}))
        assert "Services have addresses in 10.96.0.0/16, and the inventory says" in str(caught.value)
        assert str(caught.value).endswith("\nNothing was changed here.")
    assert record.data["made_with"] == MADE
    module.require_same(record, *asked("host", MADE))
    module.require_same(record, *asked("host", {}))


def test_an_inventory_written_by_hand_is_judged_by_the_files_that_it_makes(
    module: ModuleType, new_record: Callable[..., Any], host: Path
) -> None:
    record = new_record()
    record.data["made_with"] = dict(MADE)
    path = str(host / "kube-apiserver.service")
    module.require_same(record, *asked("kube_apiserver", {}, **{path: APISERVER.format("10.96.0.0/16")}))
    with pytest.raises(module.MadeWithError, match=r"10\.112\.0\.0/16"):
        module.require_same(record, *asked("kube_apiserver", {}, **{path: APISERVER.format("10.112.0.0/16")}))


def test_without_a_record_our_own_files_are_read(
    module: ModuleType, new_record: Callable[..., Any], host: Path
) -> None:
    path = host / "kube-apiserver.service"
    path.write_text(APISERVER.format("10.96.0.0/16"))
    record = new_record()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record.component("kube_apiserver")["files"][str(path)] = {
        "sha256": digest,
        "stat": None,
        "original": None,
    }
    assert module.made_with(record) == {
        "network.serviceCIDR": "10.96.0.0/16",
        "hosts[].privateAddress": "10.0.0.11",
        "kubernetes.extraArgs.kube-apiserver.service-account-issuer": (
            "https://kubernetes.default.svc.cluster.local"
        ),
        "kubernetes.extraArgs.kube-apiserver.etcd-prefix": "/registry",
    }
    path.write_text(APISERVER.format("10.1.0.0/16"))  # somebody changed it: it says nothing
    assert module.made_with(record) == {}


GOLDEN = playbook_code.PLAYBOOKS.parent / "tests/roles/golden"
PLACES = {
    "kube_apiserver/kube-apiserver.service": "/etc/systemd/system/kube-apiserver.service",
    "kube_controller_manager/kube-controller-manager.service": (
        "/etc/systemd/system/kube-controller-manager.service"
    ),
    "kubelet/kubelet.service": "/etc/systemd/system/kubelet.service",
    "kubelet/config.yaml": "/var/lib/kubelet/config.yaml",
    "etcd/etcd.service": "/etc/systemd/system/etcd.service",
    "kube_proxy/kube-proxy.service": "/etc/systemd/system/kube-proxy.service",
    "pod_network/pod-network": "/etc/k8sbootstrap/pod-network",
}


@pytest.mark.parametrize("scenario", sorted(path.name for path in GOLDEN.iterdir() if path.is_dir()))
def test_the_roles_files_say_all_of_it(scenario: str) -> None:
    """What is read from files is what the roles write there, in every release."""
    fixed = importlib.import_module("ansible.module_utils.k8sbootstrap.fixed")
    found: dict[str, str] = {}
    paths = golden_paths(GOLDEN / scenario)
    for name, place in PLACES.items():
        if path := paths.get(f"master1/{name}"):
            found.update(fixed.values_in(place, path.read_text()))
    assert found["hosts[].name"] == "master1"
    assert {"network.serviceCIDR", "network.dnsDomain", "network.nodeCIDRMaskSize"} <= set(found)
    assert found["runtime.name"] == scenario.split("-")[1]
    assert fixed.ISSUER in found
    assert fixed.ADDRESS in found
