"""What the hosts of a lab say about their services and the members of etcd."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labs import Lab

ETCDCTL = (
    "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/pki/ca.crt "
    "--cert=/etc/etcd/pki/healthcheck-client.crt --key=/etc/etcd/pki/healthcheck-client.key"
)


def etcd_names(lab: Lab, on: str = "master1") -> set[str]:
    """Names of etcd's voters."""
    lines = lab.sh(on, f"{ETCDCTL} member list").splitlines()
    return {line.split(", ")[2] for line in lines if line.endswith("false")}


def service_starts(lab: Lab) -> dict[tuple[str, str], str]:
    """(host, unit) of every unit that was set up to when it was last started."""
    command = (
        'python3 -c \'import json; r = json.load(open("/var/lib/k8sbootstrap/record.json"));'
        ' print(*[u for c in r["components"].values() for u in c["units"]])\''
        " | tr ' ' '\\n' | while read u; do"
        " echo $u $(systemctl show -p ExecMainStartTimestampMonotonic --value $u) timer; done"
    )
    lines = [(name, line.split()) for name in lab.hosts for line in lab.sh(name, command).splitlines()]
    return {(name, words[0]): "".join(words[1:]) for name, words in lines}
