"""The commented cluster.yaml that newcomers start from."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Start:
    """What is known about a cluster before its file is written."""

    name: str
    kubernetes_version: str
    masters: tuple[str, ...]
    """Addresses, each with ``NAME=`` in front where the host has a name."""
    workers: tuple[str, ...] = ()
    etcd: tuple[str, ...] = ()
    runtime: str = "docker"
    ssh_user: str = "root"
    ssh_port: int = 22
    ssh_key: Path | None = None
    """Private key file, relative to the working directory."""
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"


@dataclass
class _Host:
    name: str
    address: str
    roles: list[str] = field(default_factory=list)


def cluster_file_text(start: Start, folder: Path) -> str:
    """Write a cluster file. Comments have one space after their ``#``, keys to uncomment none or several.

    Args:
        start: What to write.
        folder: Where the file will be; a relative key path is rewritten to start there.
    """
    key = start.ssh_key
    if key is not None and not key.is_absolute():
        key = Path(os.path.relpath(key, folder))
    values = {
        "name": _scalar(start.name),
        "version": _scalar(start.kubernetes_version),
        "runtime": _scalar(start.runtime),
        "hosts": "".join(_host_text(host) for host in _hosts(start)),
        "pod_cidr": _scalar(start.pod_cidr),
        "service_cidr": _scalar(start.service_cidr),
        "user": _scalar(start.ssh_user),
        "port": f"port: {start.ssh_port}" if start.ssh_port != 22 else "#port: 22",  # noqa: PLR2004
        "key": f"key: {_scalar(str(key))}" if key else "#key: ~/.ssh/id_ed25519",
    }
    return _TEMPLATE.format_map(values)


def _hosts(start: Start) -> list[_Host]:
    """One host per address; an address given for several roles is one host with all of them."""
    by_address: dict[str, _Host] = {}
    for role, entries in (("master", start.masters), ("worker", start.workers), ("etcd", start.etcd)):
        for number, entry in enumerate(entries, start=1):
            name, named, address = entry.rpartition("=")
            host = by_address.setdefault(address, _Host(name if named else f"{role[0]}{number}", address))
            host.roles.append(role)
    return list(by_address.values())


def _host_text(host: _Host) -> str:
    return (
        f"  - name: {_scalar(host.name)}\n"
        f"    address: {_scalar(host.address)}\n"
        f"    roles: [{', '.join(host.roles)}]\n"
    )


def _scalar(text: str) -> str:
    """Text as a YAML value, quoted where it must be."""
    return yaml.safe_dump(text, width=10_000, allow_unicode=True).removesuffix("...\n").strip()


_TEMPLATE = """\
# A Kubernetes cluster. "k8sbootstrap validate" checks this file, "k8sbootstrap up" makes the hosts match it.
# Every key is described in docs/configuration.md; "k8sbootstrap schema" prints the JSON Schema for editors.
apiVersion: k8sbootstrap/v1alpha1
kind: Cluster
name: {name}

kubernetes:
  version: {version}
  # Extra flags of components, without the dashes in front:
  #extraArgs:
  #  kube-apiserver:
  #    event-ttl: 2h

# The container runtime: docker or containerd.
runtime:
  name: {runtime}

# One, three or five masters; any number of workers. Roles: master (the control plane), worker, etcd.
# etcd runs on the masters if no host has the role etcd. A host may have several roles.
hosts:
{hosts}  # More keys of a host:
  #- name: big1
  #  address: big1.example.com
  #  privateAddress: 192.0.2.41
  #  roles: [worker]
  #  labels: {{example.com/disk: ssd}}
  #  taints: [{{key: example.com/dedicated, value: batch, effect: NoSchedule}}]
  #  ssh: {{port: 2222}}

# How to log in to the hosts. The key ssh of a host overrides these values.
ssh:
  user: {user}
  {port}
  {key}
  # If sudo asks for a password, read it from an environment variable (env) or a file (file):
  #sudoPassword: {{env: SUDO_PASSWORD}}

# Addresses of pods and Services. No host may have an address in these ranges.
network:
  podCIDR: {pod_cidr}
  serviceCIDR: {service_cidr}
  # The pod network: routed (the default), flannel, calico, cilium, or none to install your own.
  #plugin: flannel

# One address for the API: a load balancer of yours (endpoint), or a free address that the masters share
# (virtualIP). And more names for the API's certificate.
#api:
#  endpoint: kubernetes.example.com:6443
#  virtualIP: 192.0.2.100
#  extraSANs: [kubernetes.example.com]

# More sources of the files to install. They are used before the projects' own release sites.
#artifacts:
#  sources:
#    - url: https://mirror.example.com/k8sbootstrap

# The proxy, if hosts and this machine need one to reach the internet.
#proxy:
#  http: http://proxy.example.com:3128
#  https: http://proxy.example.com:3128
#  noProxy: [example.com]

# Commands to run on this machine before and after phases, such as one that sends a notification.
#hooks:
#  - command: [logger, k8sbootstrap has ended]
#    after: [up]
#    onFailure: warn
"""
