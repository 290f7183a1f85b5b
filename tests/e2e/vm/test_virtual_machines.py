"""Master and worker on virtual machines: what only hosts with a kernel of their own can show.

In software emulation this takes an hour and more, so `make e2e` leaves it out: `make e2e-vm`.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from clusters import VIRTUAL_MACHINES
from labs import COMMAND, Lab, make_lab, wait_for
from snapshot import differences, snapshot

from k8sbootstrap.lab import model

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

HOURS = 2 * 3600.0
MODULES = {"overlay", "br_netfilter", "nf_conntrack"}
SYSCTLS = "/etc/sysctl.d/90-k8sbootstrap.conf"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("vm"), *VIRTUAL_MACHINES.options, "--provider", "vagrant")


@pytest.fixture(scope="module")
def bare(lab: Lab) -> dict[str, dict[str, list[str]]]:
    """What the hosts are like before anything is installed."""
    return {name: snapshot(lab, name) for name in lab.hosts}


def states(lab: Lab) -> dict[str, str]:
    """State of every host, as the command prints it."""
    return {host["name"]: host["state"] for host in json.loads(lab.k("lab", "status", "-o", "json").stdout)}


def boot_id(lab: Lab, name: str) -> str:
    """Another one after each boot of a kernel."""
    return lab.sh(name, "cat /proc/sys/kernel/random/boot_id").strip()


def reboot_from_inside(lab: Lab, name: str) -> None:
    """Let a host boot again by itself, and wait until users may log in."""
    before = boot_id(lab, name)
    lab.sh(name, "systemctl reboot", code=None)

    def is_back() -> bool:
        command = [*COMMAND, "lab", "ssh", name, "--", "cat", "/proc/sys/kernel/random/boot_id"]
        said = subprocess.run(command, cwd=lab.directory, capture_output=True, text=True, check=False)
        return said.returncode == 0 and said.stdout.strip() != before

    wait_for(is_back, 900, f"{name} is back")


def ready_nodes(lab: Lab, since: str) -> int:
    """How many nodes are Ready whose kubelets have reported since a moment; 0 while no API server is ready.

    An emulated API server needs a while, and calls a node Ready until its kubelet was silent for 40 seconds.
    """
    kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf get"
    leases = "-n kube-node-lease leases -o 'jsonpath={.items[*].spec.renewTime}'"
    script = (
        f"{kubectl} --raw /readyz >/dev/null && {kubectl} {leases} && echo && {kubectl} nodes --no-headers"
    )
    reported, *nodes = lab.sh("master1", script, code=None).splitlines() or [""]
    return min(
        sum(moment > since for moment in reported.split()), sum(node.split()[1] == "Ready" for node in nodes)
    )


def settings(lab: Lab, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """The sysctls that a host is to have, and what its kernel has of them."""
    lines = [line for line in lab.sh(name, f"cat {SYSCTLS}").splitlines() if not line.startswith("#")]
    wanted = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    kernel = lab.sh(name, f"sysctl -n {' '.join(wanted)}").splitlines()
    return wanted, dict(zip(wanted, kernel, strict=True))


def assert_kernel_is_prepared(lab: Lab) -> None:
    """Modules are loaded, sysctls are set, and kube-proxy has raised the limit of connections."""
    for name in lab.hosts:
        assert {line.split()[0] for line in lab.sh(name, "lsmod").splitlines()} >= MODULES, name
        wanted, kernel = settings(lab, name)
        assert "net.ipv4.ip_forward" in wanted
        assert kernel == wanted, name
        processors = int(lab.sh(name, "nproc"))
        limit = int(lab.sh(name, "cat /proc/sys/net/netfilter/nf_conntrack_max"))
        assert limit == max(32768 * processors, 131072), name


def services(lab: Lab, name: str) -> dict[str, bool]:
    """Which kinds of rules a host has for Services."""
    chains, _, tables = lab.sh(name, "iptables-save; echo; nft list tables").rpartition("\n\n")
    return {"iptables": "-j KUBE-SVC-" in chains, "nftables": "table ip kube-proxy" in tables.splitlines()}


class TestHosts:
    """The machines themselves, before anything is installed."""

    def test_each_boots_a_kernel_of_its_own(self, lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
        assert states(lab) == {"master1": "running", "worker1": "running"}
        own = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert len({own, *(boot_id(lab, name) for name in lab.hosts)}) == 3
        for question in ("cat /etc/machine-id", "cat /etc/ssh/ssh_host_ed25519_key.pub", "hostname"):
            assert len({lab.sh(name, question) for name in lab.hosts}) == 2, question
        assert {lab.sh(name, "stat -fc %T /sys/fs/cgroup").strip() for name in lab.hosts} == {"cgroup2fs"}
        assert bare["worker1"]["units"]

    def test_up_again_changes_nothing(self, lab: Lab) -> None:
        before = lab.file.read_text(), boot_id(lab, "worker1")
        lab.k("lab", "up", *VIRTUAL_MACHINES.options, "--provider", "vagrant")
        assert (lab.file.read_text(), boot_id(lab, "worker1")) == before

    def test_ssh_and_exec(self, lab: Lab) -> None:
        assert lab.k("lab", "ssh", "worker1", "--", "id -un; hostname").stdout.split() == ["ops", "worker1"]
        assert lab.sh("worker1", "id -u; echo out; exit 42", code=42).split() == ["0", "out"]
        lab.sh("worker1", "kill -9 $$", code=137)

    def test_a_partitioned_host_runs_on_alone(self, lab: Lab) -> None:
        ask = f"timeout 5 bash -c '</dev/tcp/{lab.address('master1')}/22'"
        lab.sh("worker1", ask)
        lab.k("lab", "partition", "worker1")
        try:
            assert states(lab) == {"master1": "running", "worker1": "partitioned"}
            lab.sh("worker1", f"! {ask}")  # no answer in time, or no route once the address is forgotten
        finally:
            lab.k("lab", "heal", "worker1")
        assert states(lab)["worker1"] == "running"
        assert lab.k("lab", "ssh", "worker1", "--", "hostname").stdout == "worker1\n"


class TestCluster:
    """A cluster on them, from `up` to `reset`."""

    def test_up_and_verify(self, lab: Lab) -> None:
        lab.k("up", timeout=HOURS)
        lab.k("verify", timeout=HOURS)
        print(lab.k("status").stdout)  # noqa: T201

    def test_the_kubelet_and_containerd_use_cgroup_v2(self, lab: Lab) -> None:
        for name in lab.hosts:
            pods = lab.sh(name, "find /sys/fs/cgroup/kubepods.slice -name 'cri-containerd-*.scope'").split()
            assert pods, name
            assert "cgroupv2" not in lab.sh(name, "journalctl -u kubelet -p warning --no-pager"), name

    def test_kernels_are_prepared(self, lab: Lab) -> None:
        assert_kernel_is_prepared(lab)

    def test_all_is_there_again_after_a_boot(self, lab: Lab) -> None:
        """The worker is shut down and started, the master boots again by itself."""
        before = boot_id(lab, "worker1")
        lab.k("lab", "stop", "--graceful", "worker1")
        assert states(lab) == {"master1": "running", "worker1": "stopped"}
        lab.k("lab", "start", "worker1")
        assert boot_id(lab, "worker1") != before
        reboot_from_inside(lab, "master1")
        since = lab.sh("master1", "date -u +%FT%TZ")
        wait_for(lambda: ready_nodes(lab, since) == 2, 1800, "both nodes are Ready")
        lab.k("verify", timeout=HOURS)
        assert_kernel_is_prepared(lab)
        assert "Nothing to change" in lab.k("up", timeout=HOURS).stdout

    def test_kube_proxy_with_nftables(self, lab: Lab) -> None:
        def nftables(config: dict[str, Any]) -> None:
            config["network"] = {"kubeProxyMode": "nftables"}

        changed = lab.variant("nftables.yaml", nftables)
        lab.k("up", file=changed, timeout=HOURS)
        lab.k("verify", file=changed, timeout=HOURS)
        for name in lab.hosts:
            assert services(lab, name) == {"iptables": False, "nftables": True}, name
        lab.k("up", timeout=HOURS)
        for name in lab.hosts:
            assert services(lab, name) == {"iptables": True, "nftables": False}, name

    def test_reset_leaves_hosts_as_they_were(self, lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
        lab.k("reset", "--yes", timeout=HOURS)
        for name in lab.hosts:
            assert differences(bare[name], snapshot(lab, name)) == {}


def test_down_leaves_nothing_after_a_power_cut(lab: Lab) -> None:
    """The last test: one machine is stopped, one runs, and lab.json is cut short."""
    known = model.require(lab.file)
    lab.k("lab", "stop", "worker1")
    (model.lab_directory(lab.file) / "lab.json").write_text('{"number": ')
    lab.k("lab", "down")
    time.sleep(1)
    listed = ["virsh", "-c", "qemu:///system"]
    for words in (["list", "--all", "--name"], ["pool-list", "--all", "--name"]):
        said = subprocess.run([*listed, *words], capture_output=True, text=True, check=False).stdout
        assert known.bridge not in said
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"guest={known.bridge}-" not in processes
    assert not known.folder.exists()
    assert not Path(f"/sys/class/net/{known.bridge}").exists()
    assert not list(Path("/var/log/libvirt/qemu").glob(f"{known.bridge}-*"))
