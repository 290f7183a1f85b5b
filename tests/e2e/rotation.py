"""All CAs of a lab's cluster are replaced, by a command that is killed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs import kill, wait_for
from observed import service_starts

if TYPE_CHECKING:
    from labs import Lab

CAS = "cd /etc/kubernetes/pki; cat ca.crt front-proxy-ca.crt etcd/ca.crt sa.pub"
OLD = "kubectl --kubeconfig /root/old.conf get nodes 2>&1"
WITHOUT_CA = "sed -i /certificate-authority-data/d /root/old.conf"


def replace_cas(lab: Lab) -> None:
    """Replace them, and see that nothing trusts the old ones afterwards and that pods began anew."""
    masters = [name for name in lab.hosts if name.startswith("master")]
    old = lab.sh("master1", f"cp /etc/kubernetes/admin.conf /root/old.conf; {CAS}")
    pods = lab.kubectl("get pods -n kube-system -l k8s-app=kube-dns -o name")
    before = service_starts(lab)
    process = lab.start("certs", "rotate-ca", "--yes")
    wait_for(lambda: service_starts(lab) != before or process.poll() is not None, 120, "a service restarts")
    assert process.poll() is None, process.communicate()[0]
    kill(process)
    assert "a rotation of CAs is under way" in lab.k("plan").stderr
    lab.k("certs", "rotate-ca", "--yes")
    new = {lab.sh(name, CAS) for name in masters}
    assert len(new) == 1
    lines = set(old.splitlines()), set(new.pop().splitlines())
    assert len(lines[0] & lines[1]) < 10, "headers, and the names of CAs"
    assert len(lines[1]) <= len(lines[0]) + 3, "one CA in each file"
    assert lab.kubectl("get pods -n kube-system -l k8s-app=kube-dns -o name") != pods
    assert "unknown authority" in lab.sh("master1", OLD, code=1)
    assert "logged in" in lab.sh(
        "master1", f"{WITHOUT_CA}; {OLD} --insecure-skip-tls-verify; rm /root/old.conf"
    )
    assert not (lab.state / "rotation").exists()
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"
