"""One worker added to a cluster, against the floor for one worker; and what happens on the others: little."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import clusters, floor
from benchmarks.harness import Bench, Sample, main, seconds
from k8sbootstrap.lab import model

ALLOWED = {"pod_network", "node_settings"}
"""Roles that may run on hosts that are there already: routes to the new node on every host, and on one master
its labels and taints, set through the API."""
SERVICES = (
    "docker containerd etcd kube-apiserver kube-controller-manager kube-scheduler haproxy kubelet kube-proxy"
)
BY_UP, BY_SCRIPT, ELSEWHERE = "worker by up", "worker by script", "on other hosts"


def run(bench: Bench) -> None:
    """Measure."""
    with clusters.hosts(clusters.MASTERS, clusters.WORKERS + 1) as lab:
        new = lab.hosts[-1]
        base = lab.variant("base.yaml", lambda config: config["hosts"].pop())
        lab.k("up", file=base)

        def up() -> Sample:
            renew(lab, new, base)
            before = invocations(lab, new)
            sample = seconds(lab.k, "up")
            restarted, roles = invocations(lab, new) - before, roles_elsewhere(lab, new) - ALLOWED
            if restarted or roles:
                print(f"on other hosts: roles {sorted(roles)}, restarted {sorted(restarted)}")
            return sample | {"roles": len(roles), "restarts": len(restarted)}

        def script() -> Sample:
            renew(lab, new, base)
            with tempfile.TemporaryDirectory(prefix="k8sb-", dir="/tmp") as name:
                floor.lay_out(lab, Path(name), [new])
                sample = floor.run("install.sh", Path(name))
            lab.k("verify")
            return sample

        bench.alternate({BY_UP: up, BY_SCRIPT: script})
    bench.ratio(BY_UP, BY_SCRIPT, 1.5)
    bench.figure(BY_UP, ELSEWHERE, bench.median(BY_UP, "restarts"), "restarts", 0)
    bench.figure(BY_UP, ELSEWHERE, bench.median(BY_UP, "roles"), "other roles", 0)


def renew(lab: clusters.Lab, host: str, without: Path) -> None:
    """Make a host new, and a cluster that no longer knows it."""
    lab.k("lab", "stop", host)
    lab.kubectl(f"delete node {host} --ignore-not-found")
    there = model.require(lab.file)
    shutil.rmtree(there.root(there.host(host)))
    shutil.rmtree(lab.state / "pki" / "hosts" / host, ignore_errors=True)
    lab.k("lab", "up", *lab.options)
    lab.k("up", file=without)


def invocations(lab: clusters.Lab, new: str) -> set[tuple[str, str]]:
    """Every start of a service that runs on any host but one."""
    command = f"for unit in {SERVICES}; do echo $unit $(systemctl show --value -p InvocationID $unit); done"
    return {(host, line) for host in lab.hosts if host != new for line in lab.sh(host, command).splitlines()}


def roles_elsewhere(lab: clusters.Lab, new: str) -> set[str]:
    """Roles whose modules ran on other hosts in the last run, after its record."""
    lines = (lab.last_run() / "events.jsonl").read_text().splitlines()
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    ran = [each for each in events if each["kind"] == "task_result" and each["status"] != "skipped"]
    return {each["role"] for each in ran if each["host"] != new}


if __name__ == "__main__":
    main(run)
