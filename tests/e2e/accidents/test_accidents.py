"""Accidents of three masters and two workers, and their CAs replaced: what takes CI too long.

`make e2e-accidents`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from clusters import ACCIDENTS
from labs import Lab, kill, make_lab, wait_for
from load import KUBELET_CLIENT, load
from observed import ETCDCTL, etcd_names
from rotation import replace_cas

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

API = "https://127.0.0.1:6443/api/v1/nodes"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("accidents"), *ACCIDENTS.options)


def test_a_killed_first_run_goes_on(lab: Lab) -> None:
    """With two of three members formed and the third never started, that one joins them."""
    lab.sh("master3", "mkdir -p /etc/systemd/system/etcd.service/in-the-way")
    process = lab.start("up")
    wait_for(lambda: formed(lab, "master1") and formed(lab, "master2"), 300, "two members form a cluster")
    kill(process)
    assert "master3, https://" in lab.sh("master1", f"{ETCDCTL} member list")
    assert lab.sh("master3", "ls /var/lib/etcd/member 2>/dev/null", code=None) == ""
    lab.sh("master3", "rm -r /etc/systemd/system/etcd.service")
    lab.k("up")
    lists = {lab.sh(name, f"{ETCDCTL} member list") for name in ("master1", "master2", "master3")}
    assert len(lists) == 1
    assert lists.pop().count(", started, ") == 3
    lab.k("verify")


def formed(lab: Lab, name: str) -> bool:
    return '"formed": true' in lab.sh(name, "cat /var/lib/k8sbootstrap/record.json", code=None)


def test_members_are_not_taken_out_and_stay_where_they_are(lab: Lab) -> None:
    away = ("master2", "master3")
    file = lab.variant("fewer.yaml", lambda config: config.update(hosts=_without(config["hosts"], away)))
    said = lab.k("plan", file=file, code=4).stderr
    for name in away:
        assert f"{name} ({lab.address(name)}) is a member of etcd, but no longer in cluster.yaml" in said
    other = lab.address("master1").rpartition(".")[0] + ".99"
    file = lab.variant("moved.yaml", lambda config: config["hosts"][1].update(privateAddress=other))
    said = lab.k("plan", file=file, code=4).stderr
    assert f"etcd's member master2 has the address {lab.address('master2')}, but cluster.yaml says" in said


def _without(hosts: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [host for host in hosts if host["name"] not in names]


def test_one_of_three_members_loses_its_data(lab: Lab) -> None:
    """The others go on, an empty one does not take its place, and with the data back it is one of them."""
    lab.sh("master2", "systemctl stop etcd; mv /var/lib/etcd/member /root/; systemctl start etcd", code=1)
    said = lab.k("up", code=4).stderr
    assert "etcd's data is gone from master2" in said
    assert "the other members have a quorum, and the cluster works without it" in said
    lab.kubectl("get nodes")
    lab.sh("master2", "mv /root/member /var/lib/etcd/")
    lab.k("up")
    lab.k("verify")


NEW_DISK = """
systemctl stop etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy docker
for mount in $(awk '$2 ~ "^/var/lib/kubelet/" {print $2}' /proc/mounts); do umount -l $mount; done
rm -rf /var/lib/etcd /etc/etcd /etc/kubernetes /var/lib/kubelet /var/lib/k8sbootstrap \\
  /etc/systemd/system/etcd.service /etc/systemd/system/kube*.service /usr/local/bin/etcd* /usr/local/bin/kube*
systemctl daemon-reload
"""


def test_a_member_whose_host_is_new_and_empty_is_replaced(lab: Lab) -> None:
    """The host under its name is empty: refused with the commands, and these are right."""
    lab.sh("master2", NEW_DISK)
    said = lab.k("up", code=4).stderr
    assert "master2 has no etcd data, but etcd has a member master2" in said
    assert "If the host is new: k8sbootstrap remove master2 --dead, then up." in said
    lab.k("remove", "master2", "--dead", "--yes")
    assert etcd_names(lab) == {"master1", "master3"}
    # keys of dead hosts are forgotten
    lab.k("up", "--ignore-preflight", "leftovers", "--accept-new-host-keys")
    assert lab.sh("master2", f"{ETCDCTL} member list").count(", started, ") == 3
    lab.k("verify")


def test_cas_are_replaced(lab: Lab) -> None:
    """Under load: clients that read their files again see no error."""
    with load(lab, "api", "worker1", f"{API}/worker1", KUBELET_CLIENT) as reads:
        replace_cas(lab)
        counted = reads.end()
    print(counted)  # noqa: T201
    assert counted.lost == []
    assert counted.sent > 500
    lab.k("verify")
