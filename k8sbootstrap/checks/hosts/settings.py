"""Can settings of docker, containerd, haproxy and the like that a host has stay beside the cluster's?

The rules are those of the component that writes the files, so that up and a plain ansible-playbook refuse the
same things.
"""

import json
from collections.abc import Iterator

import jinja2
from pydantic_core import from_json

from k8sbootstrap.checks.framework import Verdict, failed, passed, warning
from k8sbootstrap.checks.hosts.base import HostCase
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.resources import data_dir, shared_rules

_DOCKER = "/etc/docker/daemon.json"
_CONTAINERD = "/etc/containerd/config.toml"
_HAPROXY = "/etc/haproxy/haproxy.cfg"
_KEEPALIVED = "/etc/keepalived/keepalived.conf"
_REGISTRY = "/etc/docker/registry/config.yml"
_FIX = "Change that on the host, or use another host."


def settings(case: HostCase) -> Verdict:
    """Existing settings of docker, containerd, haproxy, keepalived and docker-registry can be kept or merged.

    Refused are a swarm, flags that daemon.json has too, containers that would lose their network, values that
    the cluster needs otherwise, and a haproxy, keepalived or docker-registry that serves something else.

    Fix: Change what the message names on the host, or use another host.
    """
    if case.ours:
        return passed("the cluster's")
    files = {path: file for path, file in case.facts.settings.items() if not file.stock}
    problems, kept, fix = [], [], _FIX
    for kind, path in (("docker", _DOCKER), ("containerd", _CONTAINERD)):
        if case.host.is_node and case.plan.config.runtime.name == kind:
            ours = _ours(case.plan, kind)
            problems += _docker(case, ours) if kind == "docker" else []
            if path in files:
                problems += _clash(kind, path, ours, files[path].text)
                problems += _other_folder(case.plan, files[path].text) if kind == "docker" else []
                kept.append(path)
    if case.plan.balances(case.host) and _HAPROXY in files:
        problems.append(f"haproxy already has its own configuration: {_HAPROXY}")
        fix = "Set api.endpoint to your own load balancer, or use another host."
    if case.plan.shares_virtual_ip(case.host) and _KEEPALIVED in files:
        problems.append(f"keepalived already has its own configuration: {_KEEPALIVED}")
        fix = "Remove api.virtualIP, or use another host."
    if case.plan.serves_images(case.host) and _REGISTRY in files:
        problems.append(f"docker-registry already has its own configuration: {_REGISTRY}")
        fix = "Set registry.host to another host."
    if problems:
        return failed("; ".join(problems), fix if len(problems) == 1 else _FIX)
    if kept:
        return warning(
            f"these settings of the host are kept: {', '.join(kept)}",
            "To see the file, run: k8sbootstrap plan",
        )
    return passed("none set on the host")


def _docker(case: HostCase, ours: bytes) -> list[str]:
    docker = case.facts.docker
    found: list[str] = shared_rules("host.merge").docker_problems(
        list(docker.command_lines), dict(docker.info), list(docker.containers), ours
    )
    return found


def _clash(kind: str, path: str, ours: bytes, theirs: str) -> Iterator[str]:
    rules = shared_rules("host.merge")
    try:
        rules.merge(kind, path, ours, theirs.encode(), first=True)
    except rules.MergeError as exc:
        yield str(exc)


def _other_folder(plan: ClusterPlan, theirs: str) -> Iterator[str]:
    """The folder of docker where cluster.yaml and the host each name one."""
    wanted = plan.config.runtime.docker
    try:
        root = from_json(theirs).get("data-root", wanted.data_root)
    except (ValueError, AttributeError):
        return  # said already
    if "data_root" in wanted.model_fields_set and root != wanted.data_root:
        yield (f"{_DOCKER} sets data-root to {root}, but runtime.docker.dataRoot is {wanted.data_root}")


def _ours(plan: ClusterPlan, kind: str) -> bytes:
    """The cluster's settings, from the role's own template: as on hosts, but for values that never clash."""
    name = "daemon.json.j2" if kind == "docker" else f"containerd-{plan.release.containerd_config}.toml.j2"
    folder = data_dir() / "roles" / "container_runtime" / "templates"
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701 - no HTML
    environment.filters["to_nice_json"] = lambda value, **_: json.dumps(value)
    text = environment.from_string((folder / name).read_text(encoding="utf-8")).render(
        container_runtime_cgroup_driver="systemd",
        container_runtime_docker=plan.config.runtime.docker.model_dump(),
        container_runtime_registries=[],
        container_runtime_sandbox_image=plan.release.pause.ref,
    )
    return text.encode()
