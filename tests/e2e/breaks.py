"""What people and machines do to a cluster, and which finding of doctor must come first then."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from labs import COMMAND, wait_for
from observed import ETCDCTL

from k8sbootstrap.pki import x509
from k8sbootstrap.pki.table import SERVER, Subject

if TYPE_CHECKING:
    import pytest
    from labs import Lab

UNIT = "/etc/systemd/system"
APISERVER = "/etc/kubernetes/pki/apiserver"
SERVING = "/var/lib/kubelet/pki/kubelet-serving"
FULL = """
    systemctl stop etcd && mv /var/lib/etcd /var/lib/etcd-kept && mkdir /var/lib/etcd
    size=$(du -sm --apparent-size /var/lib/etcd-kept | cut -f1)
    mount -t tmpfs -o size=$((size + 2))m,mode=700 tmpfs /var/lib/etcd
    cp -a --sparse=never /var/lib/etcd-kept/. /var/lib/etcd/ && chown etcd:etcd /var/lib/etcd
    head -c 9m /dev/zero >/var/lib/etcd/full 2>/dev/null
    systemctl start --no-block etcd
"""
ROOM = """
    systemctl stop etcd; rm -f /var/lib/etcd/full
    # the member has confirmed writes meanwhile: older data must not come back
    rm -r /var/lib/etcd-kept/* && cp -a /var/lib/etcd/. /var/lib/etcd-kept/
    umount /var/lib/etcd && rmdir /var/lib/etcd && mv /var/lib/etcd-kept /var/lib/etcd
    systemctl reset-failed etcd; systemctl start etcd
"""
SMALL_QUOTA = f"""
    cp {UNIT}/etcd.service /run/etcd.service
    sed -i 's/\\(quota-backend-bytes\\)=[0-9]*/\\1=100000/' {UNIT}/etcd.service
    systemctl daemon-reload && systemctl restart etcd
    for try in $(seq 60); do
      {ETCDCTL} put /doctor x >/dev/null 2>&1
      {ETCDCTL} alarm list | grep -q NOSPACE && exit 0
      sleep 0.5
    done; exit 1
"""
QUOTA = f"""
    mv /run/etcd.service {UNIT}/etcd.service; systemctl daemon-reload; systemctl restart etcd
    {ETCDCTL} del /doctor
"""
SQUATTER = """
    systemd-run -q -u squatter sh -c 'until python3 -m http.server 6443; do sleep 0.05; done'
    systemctl kill -s KILL kube-apiserver
    for try in $(seq 60); do ss -ltnp | grep -q ':6443.*python3' && exit 0; sleep 0.1; done; exit 1
"""
NONSENSE = f"""
    cp {UNIT}/kubelet.service /run/kubelet.service
    sed -i 's#^ExecStart=/usr/local/bin/kubelet#& --nonsense=1#' {UNIT}/kubelet.service
    systemctl daemon-reload; systemctl restart kubelet
    for try in $(seq 60); do
      journalctl -u kubelet -n 50 | grep -q 'unknown flag' && exit 0
      sleep 0.2
    done; exit 1
"""

NO_NONSENSE = f"""
    mv /run/kubelet.service {UNIT}/kubelet.service; systemctl daemon-reload
    systemctl reset-failed kubelet; systemctl restart kubelet
"""


@dataclass(frozen=True)
class Break:
    """Something that breaks."""

    finding: str
    """Id of the finding that must come first."""
    host: str
    script: str
    """Breaks it."""
    repair: str = ""
    """Repairs it; empty where the fix that doctor names does that alone."""
    command: tuple[str, ...] = ()
    """Of k8sbootstrap: the fix that doctor names, which is run after ``repair``."""
    follows: tuple[str, ...] = ()
    """Findings that must be named as what follows from it."""


QUICK = (
    Break(
        "wrong-setting",
        "worker2",
        NONSENSE,
        NO_NONSENSE,
        follows=("kubelet-down",),
    ),
    Break(
        "pod-network-down",
        "worker1",
        "systemctl stop k8s-pod-network-watch; ip -4 route flush proto 75",
        follows=("pod-route-missing",),
    ),
    Break(
        "kube-proxy-down",
        "worker1",
        "systemctl stop kube-proxy; iptables -t nat -F KUBE-SERVICES",
        follows=("service-unreachable",),
    ),
    Break("kubelet-down", "worker1", "systemctl stop kubelet"),
    Break("runtime-down", "worker1", "systemctl stop containerd"),
    Break("disk-full", "master3", FULL, ROOM),
    Break("etcd-member-down", "master2", "systemctl stop etcd", follows=("apiserver-down",)),
    Break("etcd-no-space", "master3", SMALL_QUOTA, QUOTA, command=("etcd", "defrag")),
    Break("port-blocked", "worker1", "iptables -I INPUT ! -i lo -p tcp --dport 10250 -j REJECT"),
    Break(
        "port-taken",
        "master3",
        SQUATTER,
        "systemctl stop squatter; systemctl reset-failed kube-apiserver; systemctl restart kube-apiserver",
        follows=("apiserver-down",),
    ),
)
"""What CI tries, each of them alone."""
OTHERS = (
    Break(
        "etcd-data-lost",
        "master2",
        "systemctl stop etcd; mv /var/lib/etcd/member /var/lib/etcd-member; ! systemctl start etcd",
        "mv /var/lib/etcd-member /var/lib/etcd/member; systemctl reset-failed etcd; systemctl start etcd",
        follows=("etcd-member-down", "apiserver-down"),
    ),
    Break(
        "port-blocked",
        "master3",
        "iptables -I INPUT ! -i lo -p tcp --dport 2379 -j DROP",
    ),
    Break("ip-forward-off", "worker1", "sysctl -q -w net.ipv4.ip_forward=0"),
    Break("controller-manager-down", "master1", "systemctl stop kube-controller-manager"),
)
"""What make e2e-doctor tries, too."""


def examine(lab: Lab, *options: str) -> dict[str, Any]:
    """What doctor says."""
    done = subprocess.run(
        [*COMMAND, "doctor", "-o", "json", *options],
        cwd=lab.directory,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = json.loads(done.stdout)
    assert done.returncode == (6 if found["findings"] else 0), done.stderr
    return found


def shown(found: dict[str, Any]) -> str:
    """The same, to be read where a test fails."""
    return json.dumps(found["findings"], indent=1)


def wait_until_well(lab: Lab) -> None:
    """Wait until doctor finds nothing any more."""
    last: dict[str, Any] = {}

    def is_well() -> bool:
        last.update(examine(lab))
        return not last["findings"]

    try:
        wait_for(is_well, 90, "doctor finds nothing")
    except AssertionError as error:
        raise AssertionError(f"{error}: {shown(last)}") from None


def try_break(lab: Lab, broken: Break) -> dict[str, Any]:
    """Break it, ask doctor, repair it; the finding that came first."""
    lab.sh(broken.host, broken.script)
    repair = broken.repair
    try:
        found = examine(lab)
        first = found["findings"][0] if found["findings"] else {}
        assert (first.get("id"), first.get("host")) == (broken.finding, broken.host), shown(found)
        assert {each["id"] for each in first["consequences"]} >= set(broken.follows), shown(found)
        assert first["evidence"], first
        head, _, command = first["fix"].partition(", run: ")
        if not repair:
            assert head == f"On {broken.host}"
            repair = command.partition(". If ")[0]
    finally:
        lab.sh(broken.host, repair or "true")
    if broken.command:
        assert first["fix"] == f"Run: k8sbootstrap {' '.join(broken.command)}"
        lab.k(*broken.command)
    return first


def replace_pair(lab: Lab, host: str, path: str, pair: x509.Pair) -> str:
    """Give a host another certificate and key; the script that puts the old ones back."""
    for suffix, content in (("crt", pair.certificate_pem), ("key", x509.key_pem(pair.key))):
        text = base64.b64encode(content).decode()
        target = f"{path}.{suffix}"
        lab.sh(host, f"cp -a {target} {target}.kept; echo {text} | base64 -d >{target}")
    return "; ".join(f"mv {path}.{suffix}.kept {path}.{suffix}" for suffix in ("crt", "key"))


def authority(lab: Lab) -> x509.Pair:
    """The cluster's CA."""
    folder = lab.state / "pki"
    return x509.Pair(
        x509.load_certificate((folder / "ca.crt").read_bytes()),
        x509.load_key((folder / "ca.key").read_bytes()),
    )


def expired_certificate(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Break:
    """The API server's certificate of master1 has expired; the old one repairs it."""
    with monkeypatch.context() as patch:
        patch.setattr(x509, "now", lambda real=x509.now: real() - x509.LEAF_LIFE - timedelta(days=1))
        subject = Subject("kube-apiserver", "", SERVER, frozenset({lab.address("master1"), "127.0.0.1"}))
        pair = x509.issue(subject, authority(lab))
    return Break("certificate-expired", "master1", "true", replace_pair(lab, "master1", APISERVER, pair))


def foreign_certificate(lab: Lab) -> Break:
    """The kubelet of worker1 serves with a certificate of another CA."""
    key = x509.new_key()
    other = x509.Pair(x509.make_authority("kubernetes", key), key)
    pair = x509.issue(Subject("x", "", SERVER, frozenset({lab.address("worker1")})), other)
    return Break("certificate-wrong", "worker1", "true", replace_pair(lab, "worker1", SERVING, pair))
