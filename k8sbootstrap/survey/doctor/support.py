"""What else an archive for support has of each host and of the API: commands, by the file that they fill.

No command reads a file that holds a key or a password. Each may print so much and no more.
"""

import shlex
from collections.abc import Iterator

from k8sbootstrap.hosts.answers import RunCommand
from k8sbootstrap.plan.components import components_of
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.kubectl import argv
from k8sbootstrap.survey.cluster.requests import SNAPSHOT_FOLDER, etcdctl
from k8sbootstrap.survey.doctor.requests import MISSING_COMMAND, helpers, keeps_routes

JOURNAL_LINES = 2000
_JOURNAL_BYTES = 600_000
_BYTES = 250_000
_API_CHARACTERS = 1_000_000
_TIMEOUT = 20.0
_SETTINGS = (
    "/etc/kubernetes/*.yaml",
    "/var/lib/kubelet/config.yaml",
    "/etc/containerd/config.toml",
    "/etc/docker/daemon.json",
    "/etc/haproxy/haproxy.cfg",
    "/etc/keepalived/keepalived.conf",
    "/etc/docker/registry/config.yml",
    "/etc/cni/net.d/*",
    "/etc/k8sbootstrap/*",
    "/etc/sysctl.d/90-k8sbootstrap.conf",
    "/etc/modules-load.d/k8sbootstrap.conf",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/var/lib/k8sbootstrap/record.json",
)
"""Files of settings; none of them holds a secret as k8sbootstrap writes it."""
_HOST = {
    "system/os-release": "cat /etc/os-release; uname -a; uptime",
    "system/memory": "free; cat /proc/pressure/* 2>/dev/null",
    "system/processes": "ps -eo pid,ppid,user,stat,etime,pcpu,pmem,rss,comm --sort=-pcpu",
    "system/disks": "df -h; df -i; cat /proc/mounts",
    "system/time": "date -u; timedatectl; chronyc -n tracking 2>/dev/null",
    "system/units": "systemctl list-units --all --no-pager --plain; systemctl --failed --no-pager --plain",
    "network/addresses": "ip -d addr; ip -s link",
    "network/routes": "ip rule; ip route show table all; ip neigh; bridge fdb",
    "network/sockets": "ss -ltnp; ss -s",
    "network/iptables": "iptables-save",
    "network/nftables": "nft list ruleset",
    "network/settings": "sysctl net.ipv4 net.bridge net.netfilter 2>/dev/null",
}
_NODE = {
    "runtime/containers": "crictl ps -a",
    "runtime/pods": "crictl pods",
    "runtime/images": "crictl images",
}
_API = {
    "nodes.txt": ("get", "nodes", "-o", "wide"),
    "nodes-described.txt": ("describe", "nodes"),
    "pods.txt": ("get", "pods", "-A", "-o", "wide"),
    "services.txt": ("get", "services,endpointslices", "-A", "-o", "wide"),
    "volumes.txt": ("get", "pv,pvc,storageclasses", "-A", "-o", "wide"),
    "events.txt": ("get", "events", "-A", "--sort-by=.lastTimestamp"),
    "health.txt": ("get", "--raw", "/readyz?verbose"),
    "versions.txt": ("version",),
    "kube-system/workloads.json": (
        "get",
        "deployments,daemonsets,replicasets",
        "-n",
        "kube-system",
        "-o",
        "json",
    ),
    "kube-system/pods.json": ("get", "pods", "-n", "kube-system", "-o", "json"),
    "kube-system/services.json": ("get", "services,endpointslices", "-n", "kube-system", "-o", "json"),
    "kube-system/configmaps.json": ("get", "configmaps", "-n", "kube-system", "-o", "json"),
    "kube-system/leases.json": ("get", "leases", "-n", "kube-system", "-o", "json"),
    "kube-system/coredns.log": (
        "logs",
        "-n",
        "kube-system",
        "-l",
        "k8s-app=kube-dns",
        "--prefix",
        "--tail=500",
    ),
}
"""Never Secrets."""


def host_commands(plan: ClusterPlan, host: HostPlan) -> dict[str, RunCommand]:
    """Commands for a host, by the file that holds what they print."""
    found = {f"{name}.txt": _shell(script) for name, script in _HOST.items()}
    found["settings.txt"] = _shell(f"tail -n +1 {' '.join(_SETTINGS)} 2>/dev/null")
    found["journal/kernel.log"] = _journal("-k")
    if host.is_node:
        found |= {f"{name}.txt": _shell(script) for name, script in _NODE.items()}
    if keeps_routes(plan, host):
        found["network/missing.txt"] = _shell(shlex.join(MISSING_COMMAND))
    for unit in (*(each.unit for each in components_of(plan, host)), *helpers(plan, host)):
        name = unit.removesuffix(".service")
        found[f"journal/{name}.log"] = _journal("-u", unit)
        found[f"units/{name}.txt"] = _shell(f"systemctl cat --no-pager {unit}; systemctl show {unit}")
    return found | dict(_etcd(host))


def api_commands() -> dict[str, RunCommand]:
    """Commands for one master, by the file that holds what they print."""
    return {name: RunCommand(argv(*words), _TIMEOUT, _API_CHARACTERS) for name, words in _API.items()}


def _etcd(host: HostPlan) -> Iterator[tuple[str, RunCommand]]:
    if host.is_etcd:
        yield "etcd/snapshots.txt", _shell(f"ls -l --time-style=full-iso {SNAPSHOT_FOLDER}")
        for words in (("member", "list"), ("endpoint", "status"), ("endpoint", "health"), ("alarm", "list")):
            yield f"etcd/{'-'.join(words)}.json", etcdctl(*words)


def _journal(*options: str) -> RunCommand:
    words = ("journalctl", "-q", "--no-pager", "-o", "short-iso", f"-n{JOURNAL_LINES}", *options)
    return RunCommand(("sh", "-c", f"{shlex.join(words)} | tail -c {_JOURNAL_BYTES}"), _TIMEOUT)


def _shell(script: str) -> RunCommand:
    return RunCommand(("sh", "-c", f"{{ {script}; }} 2>&1 | head -c {_BYTES}"), _TIMEOUT)
