"""The playbook that a survey is cut down to, and the JSON form of what check mode found."""

import json
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8sbootstrap.actions.plan import HostPreview, PlannedChange, Preview, _changes, require_all
from k8sbootstrap.cli import plan as plan_command
from k8sbootstrap.cli.main import main
from k8sbootstrap.errors import HostError
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.models import UnplannedNode
from k8sbootstrap.run.events import TaskResult
from k8sbootstrap.run.playbook import write_playbook
from k8sbootstrap.survey.todo import Survey, Work
from k8sbootstrap.survey.upgrade.models import PendingUpgrade
from tests.cluster_yaml import cluster_yaml
from tests.json_form import form_of

WHY = Work(("drift",))
UPGRADE = PendingUpgrade(
    version="1.36.2",
    before=("1.35.8",),
    etcd="3.6.8",
    etcd_before=("3.6.6",),
    api_servers=("master1",),
    masters=("master1",),
    workers=("worker1", "worker2"),
    max_unavailable=2,
)
CHANGE = Change(text="/etc/x changed", kind="file", action="change", name="/etc/x", causes=("drift",))


def test_a_playbook_has_only_what_is_to_do(tmp_path: Path) -> None:
    survey = Survey(
        {"master1": {"kube_apiserver": WHY, "kube_scheduler": WHY}, "worker1": {"api_loadbalancer": WHY}},
        {"worker2": HostError("gone")},
    )
    site = write_playbook(survey, tmp_path / "playbooks")
    assert yaml.safe_load(site.read_text()) == [
        {"ansible.builtin.import_playbook": "control_plane.yml"},
        {"ansible.builtin.import_playbook": "kubelet.yml"},
    ]
    (masters,) = yaml.safe_load((site.parent / "control_plane.yml").read_text())
    assert masters["hosts"] == "master1"
    assert masters["tasks"] == [
        {"ansible.builtin.import_role": {"name": name, "rolespec_validate": False}}
        for name in ("kube_apiserver", "kube_scheduler")
    ]
    assert masters["vars"] == {}
    assert "module_defaults" not in masters
    (workers,) = yaml.safe_load((site.parent / "kubelet.yml").read_text())
    assert "when" in workers["tasks"][0]


def test_roles_of_different_hosts_are_different_plays(tmp_path: Path) -> None:
    survey = Survey(
        {"master1": {"kube_apiserver": WHY, "kube_scheduler": WHY}, "master2": {"kube_scheduler": WHY}}
    )
    site = write_playbook(survey, tmp_path)
    plays = yaml.safe_load((site.parent / "control_plane.yml").read_text())
    assert [play["hosts"] for play in plays] == ["master1", "master1,master2"]


def test_roles_on_one_host_after_another(tmp_path: Path) -> None:
    roles = {"kube_apiserver": WHY, "kube_controller_manager": WHY, "kube_scheduler": WHY}
    one_by_one = ("kube_controller_manager", "kube_scheduler")
    site = write_playbook(Survey({"master1": roles, "master2": roles}, one_by_one=one_by_one), tmp_path)
    together, serial = yaml.safe_load((site.parent / "control_plane.yml").read_text())
    assert (_roles(together), "serial" in together) == (["kube_apiserver"], False)
    assert _roles(serial) == list(one_by_one)
    assert (serial["hosts"], serial["serial"], serial["any_errors_fatal"]) == ("master1,master2", 1, True)


def test_all_hosts_are_asked_before_etcd_is_begun(tmp_path: Path) -> None:
    work = {"master1": {"etcd": WHY}, "worker1": {"host": WHY}}
    site = write_playbook(Survey(work, etcd_asked=("worker1", "master1", "master2")), tmp_path)
    (play,) = yaml.safe_load((site.parent / "etcd.yml").read_text())
    assert play["hosts"] == "master1,worker1,master2"
    assert play["vars"]["etcd_only_asked"] == ["worker1", "master2"]
    (host,) = yaml.safe_load((site.parent / "host.yml").read_text())
    assert (host["hosts"], "etcd_only_asked" in host["vars"]) == ("worker1", False)


def test_only_members_that_change_are_asked_otherwise(tmp_path: Path) -> None:
    site = write_playbook(Survey({"master1": {"etcd": WHY}}), tmp_path)
    (play,) = yaml.safe_load((site.parent / "etcd.yml").read_text())
    assert (play["hosts"], "etcd_only_asked" in play["vars"]) == ("master1", False)


def test_etcd_does_not_start_where_a_restore_brings_its_data(tmp_path: Path) -> None:
    work = {"master1": {"host": WHY, "etcd": WHY}}
    site = write_playbook(Survey(work, etcd_asked=("master1", "worker1"), etcd_restoring="r1"), tmp_path)
    (play,) = yaml.safe_load((site.parent / "etcd.yml").read_text())
    assert play["vars"] == {"etcd_only_asked": ["worker1"], "etcd_restoring": "r1"}
    (host,) = yaml.safe_load((site.parent / "host.yml").read_text())
    assert "etcd_restoring" not in host["vars"]


def test_a_part_prepares_hosts_as_every_run_does(tmp_path: Path) -> None:
    """The role packages notes which folders were there before: that comes first, also in a part."""
    roles = dict.fromkeys(("host", "etcd", "kube_apiserver", "packages", "kubelet"), WHY)
    part = Survey({"master1": roles}).until("etcd")
    site = write_playbook(part, tmp_path)
    imports = [each["ansible.builtin.import_playbook"] for each in yaml.safe_load(site.read_text())]
    assert imports == ["host.yml", "etcd.yml"]
    (host,) = yaml.safe_load((site.parent / "host.yml").read_text())
    assert _roles(host) == ["packages", "host"]
    assert set(part.work["master1"]) == {"host", "etcd", "packages"}  # no programs of others are sent ahead
    prepared = Survey({"master1": {"etcd": WHY, "packages": WHY}, "worker1": {"packages": WHY}}).until("etcd")
    assert prepared.work == {"master1": {"etcd": WHY}}  # it would wait for packages


def test_nodes_of_an_upgrade_do_their_roles_in_batches(tmp_path: Path) -> None:
    node = {"kubelet": WHY, "kube_proxy": WHY}
    survey = Survey(
        {
            "master1": {"kube_apiserver": WHY, **node},
            "worker1": {"container_runtime": WHY, **node},
            "worker2": {"kube_proxy": WHY},
            "worker3": {"container_runtime": WHY, **node, "pod_network": WHY},
        },
        {"worker4": HostError("gone")},
        upgrade=UPGRADE,
    )
    site = write_playbook(survey, tmp_path)
    assert [play["ansible.builtin.import_playbook"] for play in yaml.safe_load(site.read_text())] == [
        "control_plane.yml",
        "upgrade.yml",
        "container_runtime.yml",
        "kubelet.yml",
        "pod_network.yml",
        "kube_proxy.yml",
    ]
    masters, workers = yaml.safe_load((site.parent / "upgrade.yml").read_text())
    assert (masters["hosts"], masters["serial"]) == ("master1", 1)
    assert (workers["hosts"], workers["serial"]) == ("worker1,worker2", 2)
    names = ["node_drain", "kubelet", "kube_proxy", "node_uncordon"]
    assert _roles(masters) == names
    assert _roles(workers) == [names[0], "container_runtime", *names[1:]]
    assert workers["vars"] == {
        "kubelet_unreachable": ["worker4"],
        "node_drain_unreachable": ["worker4"],
        "node_uncordon_unreachable": ["worker4"],
        "node_drain_bare_pods": False,
    }
    (joining,) = yaml.safe_load((site.parent / "kubelet.yml").read_text())
    assert joining["hosts"] == "worker3"


def _roles(play: dict[str, Any]) -> list[str]:
    return [task["ansible.builtin.import_role"]["name"] for task in play["tasks"]]


def result(diff: str) -> TaskResult:
    return TaskResult(
        time=1.0,
        phase="etcd",
        host="master1",
        task="t",
        role="etcd",
        action="component",
        status="changed",
        seconds=0.1,
        changes=(CHANGE,),
        diff=[{"name": "/etc/x", "prepared": diff}],
    )


@pytest.mark.parametrize(
    ("prepared", "shown"),
    [("--- a\n+++ b\n-1\n+2\n", "--- a\n+++ b\n-1\n+2\n"), ("/etc/x: changed (contents not shown)\n", "")],
)
def test_diffs_belong_to_their_files(prepared: str, shown: str) -> None:
    (planned,) = _changes(result(prepared))
    assert (planned.diff, planned.role, planned.change) == (shown, "etcd", CHANGE)


def test_json_form() -> None:
    planned = PlannedChange("etcd", "etcd", CHANGE, "--- a\n")
    preview = Preview(
        "demo", "1.36.2", (HostPreview("a", (planned,)), HostPreview("b", error="b: no answer"))
    )
    assert preview.to_json() == {
        "version": 1,
        "cluster": "demo",
        "kubernetes": "1.36.2",
        "changes": 1,
        "unplannedNodes": [],
        "upgrade": None,
        "etcd": None,
        "hosts": [
            {
                "name": "a",
                "error": "",
                "changes": [
                    {
                        "phase": "etcd",
                        "role": "etcd",
                        "kind": "file",
                        "action": "change",
                        "name": "/etc/x",
                        "causes": ("drift",),
                        "why": (),
                        "diff": "--- a\n",
                    }
                ],
            },
            {"name": "b", "error": "b: no answer", "changes": []},
        ],
    }
    with pytest.raises(HostError, match="1 of 2 hosts could not be reached and have no plan\nb: no answer"):
        require_all(preview)


def test_json_keeps_its_form(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[Path, str], None],
) -> None:
    (tmp_path / "cluster.yaml").write_text(cluster_yaml("master1", "worker1"))
    restart = Change(text="x", kind="unit", action="restart", name="x.service", why=("/etc/x",))
    changed = HostPreview(
        "master1", (PlannedChange("etcd", "etcd", CHANGE, "--- a\n"), PlannedChange("etcd", "etcd", restart))
    )
    lost = HostPreview("worker1", error="worker1: no answer")
    nodes = (UnplannedNode("old", IPv4Address("192.0.2.31"), None),)
    previews = [
        Preview("demo", "1.36.2", (changed, lost), nodes, UPGRADE),
        Preview("demo", "1.36.2", (changed,)),
    ]
    printed = []
    for preview in previews:
        monkeypatch.setattr(plan_command, "run_plan", lambda *_, preview=preview, **__: preview)
        with pytest.raises(SystemExit):
            main(["--file", str(tmp_path / "cluster.yaml"), "plan", "-o", "json"])
        printed.append(json.loads(capsys.readouterr().out))
    golden(Path(__file__).parent / "golden/plan.json", form_of(printed))
