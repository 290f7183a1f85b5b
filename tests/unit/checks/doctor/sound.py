"""What the hosts and the API of a sound cluster answer to doctor; tests break one thing in it at a time."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from k8sbootstrap.checks.doctor.causes import Cause, diagnose
from k8sbootstrap.hosts.answers import Answer, HttpAnswer, RunAnswer
from k8sbootstrap.pki import x509
from k8sbootstrap.pki.table import BOTH, CLIENT, SERVER, Subject
from k8sbootstrap.plan.components import components_of, port_number
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.survey.cluster.requests import SNAPSHOTS, UNITS
from k8sbootstrap.survey.doctor.look import ClusterLook, HostLook
from k8sbootstrap.survey.doctor.requests import (
    DEPLOYMENTS,
    DISKS,
    EVENTS,
    FORWARDS,
    MISSING,
    NODES,
    PODS,
    RESTORING,
    ROUTES,
    RULES,
    SOCKETS,
    SWAPS,
    UPLOADED,
    UPTIME,
    doctor_request,
    helpers,
    journal_key,
)
from tests.unit.checks.cluster.healthy import answer_of, node_of

GIB = 1 << 30
UP = 5000.0
"""Seconds since the boot of hosts."""
SWAP_HEAD = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
DF_HEAD = "File                  Filesystem                1B-blocks        Avail   Inodes    IFree\n"
KEY = x509.new_key()
CA = x509.Pair(x509.make_authority("kubernetes", KEY), KEY)
ETCD_CA = x509.Pair(x509.make_authority("etcd-ca", KEY), KEY)
NOW = (CA.certificate.not_valid_before_utc.timestamp()) + 7200


@cache
def leaf(name: str, usages: frozenset[str], address: str, *, etcd: bool = False) -> str:
    """A certificate of the cluster."""
    pair = x509.issue(Subject(name, "", usages, frozenset({address})), ETCD_CA if etcd else CA)
    return pair.certificate_pem.decode()


def certificates_of(host: HostPlan) -> dict[str, str]:
    """Those that a host has."""
    address, found = str(host.private_address), {}
    ca, etcd_ca = CA.certificate_pem.decode(), ETCD_CA.certificate_pem.decode()
    if host.is_master:
        found["/etc/kubernetes/pki/ca.crt"] = ca
        found["/etc/kubernetes/pki/etcd/ca.crt"] = etcd_ca
        found["/etc/kubernetes/pki/apiserver.crt"] = leaf("kube-apiserver", SERVER, address)
        found["/etc/kubernetes/admin.conf"] = leaf("kubernetes-admin", CLIENT, address)
    if host.is_etcd:
        found["/etc/etcd/pki/ca.crt"] = etcd_ca
        found["/etc/etcd/pki/server.crt"] = leaf(host.name, BOTH, address, etcd=True)
    if host.is_node:
        found["/var/lib/kubelet/pki/kubelet-client-current.pem"] = leaf("system:node", CLIENT, address)
        found["/var/lib/kubelet/pki/kubelet-serving.crt"] = leaf("system:node", SERVER, address)
    return found


def unit(
    name: str,
    state: str = "active",
    sub: str = "running",
    result: str = "success",
    *,
    status: int = 0,
    restarts: int = 0,
) -> str:
    """A unit as systemctl shows it; it was active last 60 seconds ago."""
    full = name if "." in name else f"{name}.service"
    return (
        f"NRestarts={restarts}\nId={full}\nLoadState=loaded\nActiveState={state}\nSubState={sub}\n"
        f"StateChangeTimestampMonotonic={int((UP - 60) * 1e6)}\nActiveExitTimestampMonotonic=0\n"
        f"ExecMainStatus={status}\nResult={result}\n"
    )


def number_of(plan: ClusterPlan, name: str) -> int:
    """The place of a host in the plan, from 0 on; the third number of its podCIDR."""
    return [host.name for host in plan.hosts].index(name)


def host_look(plan: ClusterPlan, host: HostPlan) -> HostLook:
    """What a sound host answers."""
    request, health = doctor_request(plan, host), answer_of(plan, host)
    names = [each.name for each in components_of(plan, host) if each.observed]
    sockets = [
        f'LISTEN 0 4096 *:{port_number(port.number, plan)} *:* users:(("{each.name[:15]}",pid=7,fd=3))'
        for each in components_of(plan, host)
        for port in each.ports
    ]
    folders = request.run[DISKS].argv[3:]
    others = [each for each in plan.nodes if each != host]
    run = {
        **health.run,
        UNITS: "\n".join(unit(name) for name in (*names, *helpers(plan, host))),
        UPTIME: f"{UP} 1234.5\n",
        SWAPS: SWAP_HEAD,
        FORWARDS: "1\n",
        DISKS: DF_HEAD
        + "".join(f"{folder} /dev/vda1 {40 * GIB} {20 * GIB} 2621440 2000000\n" for folder in folders),
        SOCKETS: "\n".join(sockets),
        ROUTES: json.dumps(
            [
                {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
                *({"dst": f"10.244.{number_of(plan, each.name)}.0/24", "dev": "eth0"} for each in others),
            ]
        ),
        RULES: ":KUBE-SERVICES - [0:0]\n",
        **({MISSING: ""} if host.is_node else {}),
        **({SNAPSHOTS: snapshot(600), RESTORING: "\n"} if host.is_etcd else {}),
        **({UPLOADED: upload(600)} if UPLOADED in request.run else {}),
        **{
            journal_key(name): journal(name, "I1129 19:00:00.000000 1 server.go:1] Started") for name in names
        },
    }
    answers = {key: RunAnswer(0, said, "") if isinstance(said, str) else said for key, said in run.items()}
    assert answers.keys() == request.run.keys()
    answer = Answer(
        http={key: HttpAnswer(200, "ok", "", 0.01) for key in request.http},
        run=answers,
        certificates=certificates_of(host),
        clock=(NOW + 0.1, NOW + 0.9),
    )
    return HostLook(answer, NOW, NOW + 1)


def snapshot(age: float) -> str:
    """A snapshot of that many seconds in the folder for them."""
    return f"20261129T120000Z-scheduled.db.gz 600000 {NOW - age:.10f}\n"


def upload(age: float, problem: str = "") -> str:
    """What a host writes down of an upload of that many seconds ago."""
    done = {} if problem else {"uploaded": NOW - age, "object": "s3://backups/demo/1f/x-timer.db.gz"}
    return json.dumps({"tried": NOW - age, "problem": problem, **done})


def journal(name: str, *lines: str, program: str = "") -> str:
    """Lines of the journal as ``journalctl -o short-unix`` prints them."""
    return "".join(f"{NOW - 10:.6f} m1 {program or name}[123]: {line}\n" for line in lines)


def node(plan: ClusterPlan, host: HostPlan) -> dict[str, Any]:
    """A Node object."""
    found = node_of(plan, host)
    found["spec"]["podCIDR"] = f"10.244.{number_of(plan, host.name)}.0/24"
    return found


def pod(
    name: str, on: str = "w1", namespace: str = "default", *, app: str = "web", **status: Any
) -> dict[str, Any]:
    """A pod that runs, unless its status says otherwise."""
    container = {"name": "main", "image": "docker.io/library/app:1", "ready": True, "restartCount": 0}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"k8s-app": app},
            "creationTimestamp": iso(NOW - 600),
        },
        "spec": {"nodeName": on} if on else {},
        "status": {
            "phase": "Running",
            "containerStatuses": [{**container, "state": {"running": {}}, "lastState": {}}],
            **status,
        },
    }


def waiting(reason: str, message: str = "", last: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The status of a container that waits."""
    return [
        {
            "name": "main",
            "image": "docker.io/library/app:1",
            "restartCount": 4,
            "state": {"waiting": {"reason": reason, "message": message}},
            "lastState": {"terminated": last} if last else {},
        }
    ]


def iso(at: float) -> str:
    """A time as Kubernetes writes it."""
    from datetime import UTC, datetime  # noqa: PLC0415

    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def sound(plan: ClusterPlan) -> ClusterLook:
    """What a sound cluster answers."""
    dns = {
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "spec": {"replicas": 2},
        "status": {"availableReplicas": 2},
    }
    api = {
        NODES: [node(plan, host) for host in plan.nodes],
        PODS: [pod("web-1"), *(pod(f"coredns-{n}", f"w{n}", "kube-system", app="kube-dns") for n in (1, 2))],
        DEPLOYMENTS: [dns],
        EVENTS: [],
    }
    return ClusterLook(
        NOW,
        {host.name: host_look(plan, host) for host in plan.hosts},
        {},
        {key: RunAnswer(0, json.dumps({"items": found}), "") for key, found in api.items()},
    )


def with_host(
    look: ClusterLook,
    name: str,
    run: Mapping[str, str | RunAnswer] | None = None,
    http: Mapping[str, HttpAnswer] | None = None,
    certificates: Mapping[str, str] | None = None,
) -> ClusterLook:
    """The same with other answers of one host."""
    old = look.hosts[name]
    said = {
        key: RunAnswer(0, each, "") if isinstance(each, str) else each for key, each in (run or {}).items()
    }
    answer = replace(
        old.answer,
        run={**old.answer.run, **said},
        http={**old.answer.http, **(http or {})},
        certificates={**old.answer.certificates, **(certificates or {})},
    )
    return replace(look, hosts={**look.hosts, name: replace(old, answer=answer)})


def with_unit(look: ClusterLook, host: str, changed: str, lines: str = "") -> ClusterLook:
    """The same with a unit in another state, and with what it wrote."""
    full = changed.split("Id=")[1].splitlines()[0]
    name = full.removesuffix(".service")
    old = look.hosts[host].answer.run[UNITS].stdout.split("\n\n")
    blocks = [changed.strip() if f"Id={full}\n" in block else block.strip() for block in old]
    run: dict[str, str | RunAnswer] = {UNITS: "\n\n".join(blocks)}
    if lines:
        run[journal_key(name)] = lines
    return with_host(look, host, run)


def with_objects(look: ClusterLook, key: str, objects: list[dict[str, Any]]) -> ClusterLook:
    """The same with other objects in the API."""
    return replace(look, api={**look.api, key: RunAnswer(0, json.dumps({"items": objects}), "")})


def objects(look: ClusterLook, key: str) -> list[dict[str, Any]]:
    """Objects of the API, to be changed."""
    found: list[dict[str, Any]] = json.loads(look.api[key].stdout)["items"]
    return found


def without_host(look: ClusterLook, name: str) -> ClusterLook:
    """The same without one host."""
    hosts = {other: seen for other, seen in look.hosts.items() if other != name}
    lost = {**look.lost, name: f"{name} (192.0.2.9:22): timed out"}
    return replace(look, hosts=hosts, lost=lost)


def causes(plan: ClusterPlan, look: ClusterLook) -> list[Cause]:
    """What doctor says."""
    return list(diagnose(plan, look).causes)


def ids(found: list[Cause]) -> list[tuple[str, str]]:
    """The id and the host of each cause."""
    return [(cause.finding.check, cause.finding.host) for cause in found]
