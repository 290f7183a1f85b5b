"""The one place where configuration becomes Ansible variables.

``render_inventory`` writes a directory that ``ansible-playbook -i`` takes: ``hosts.yml``, ``group_vars/`` and
``host_vars/``, from the templates in ``inventory/templates``. It holds paths to secrets, never secrets.
"""

import hashlib
import os
import shlex
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import jinja2
import yaml

from k8sbootstrap.artifacts.own_images import OwnImage
from k8sbootstrap.catalog.distributions import held_units, host_platforms, selinux_booleans
from k8sbootstrap.catalog.models import ArtifactFile, Image, Release
from k8sbootstrap.digest import Digests
from k8sbootstrap.plan.models import ClusterPlan, HostPlan
from k8sbootstrap.plan.registries import RegistryPlan, name_in_local, with_local
from k8sbootstrap.resources import data_dir
from k8sbootstrap.runner.phases import RETIRABLE, runs_on
from k8sbootstrap.state import State

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CIPHERS = "^aes128-gcm@openssh.com"
"""What OpenSSH is to prefer: its own first choice takes several times the CPU."""
SUDO_PASSWORD_VARIABLE = "K8SBOOTSTRAP_SUDO_PASSWORD_"  # noqa: S105
"""Prefix of the environment variables that hand sudo passwords to Ansible: they never reach a file."""


class FetchedFile(Protocol):
    """What the inventory needs to know of a file that was fetched; ``artifacts.fetch.Fetched`` is one."""

    @property
    def path(self) -> Path:
        """Where it is on the controller."""

    @property
    def sha256(self) -> str:
        """Hex digest that was checked."""

    @property
    def url(self) -> str | None:
        """Where hosts may fetch it themselves."""


def sudo_password_variable(host: str) -> str:
    """The environment variable that holds one host's sudo password."""
    return SUDO_PASSWORD_VARIABLE + host.upper().replace("-", "_")


def render_inventory(
    plan: ClusterPlan,
    state: State,
    artifacts: Mapping[str, FetchedFile],
    output: Path,
    own_images: Sequence[OwnImage] = (),
    *,
    registry_images: Sequence[OwnImage] = (),
    repositories: Mapping[str, Path] = MappingProxyType({}),
) -> list[Path]:
    """Write the inventory of a cluster.

    Args:
        plan: The desired state.
        state: Where the PKI and known_hosts are.
        artifacts: Every file to install by ``ArtifactFile.key``; images may be missing, nodes pull those.
        output: Directory to write into; made with mode 0700.
        own_images: Images that cluster.yaml names, for all nodes.
        registry_images: Those that it names for the cluster's own registry alone.
        repositories: System, such as debian12/amd64, to the folder with packages for it, on sites whose hosts
            have no mirror.

    Returns:
        The files of the inventory. A file whose content is right already is left alone.

    Raises:
        KeyError: ``artifacts`` lacks a file that the release needs.
    """
    environment = _environment()
    stored = _stored(plan, artifacts, [*own_images, *registry_images])
    shared = _shared(plan, state, stored)
    of_arch = {
        arch: _files(release, plan.images(arch), artifacts, own_images)
        for arch, release in plan.releases.items()
    }
    in_group_vars = of_arch[plan.hosts[0].arch]
    files = {
        "hosts.yml": environment.get_template("hosts.yml.j2").render(plan=plan),
        "group_vars/all.yml": environment.get_template("all.yml.j2").render(
            plan=plan,
            files=in_group_vars,
            repositories={system: str(folder) for system, folder in repositories.items()},
            **shared,
        ),
    }
    digests = Digests(_loaded(files["group_vars/all.yml"]), state.pki)
    for host in plan.hosts:
        own_files = {
            role: variables
            for role, variables in of_arch[host.arch].items()
            if host.arch != plan.release.arch and runs_on(role, plan, host)
        }
        text = environment.get_template("host.yml.j2").render(
            plan=plan, host=host, own_files=own_files, **shared, **_connection(host), **_of_host(plan, host)
        )
        of_host = digests.of_host(host.name, _loaded(text))
        lines = [
            f"{role}_digest: {digest}\n" for role, digest in of_host.items() if runs_on(role, plan, host)
        ]
        files[f"host_vars/{host.name}.yml"] = "".join([text, *lines])
    return _write_all(files, output)


def read_digests(inventory: Path, host: str) -> dict[str, str]:
    """Role to digest, of the roles that run on a host, as ``render_inventory`` wrote them."""
    variables = _loaded((inventory / "host_vars" / f"{host}.yml").read_text())
    return {
        name.removesuffix("_digest"): str(value)
        for name, value in variables.items()
        if name.endswith("_digest")
    }


def read_version(inventory: Path) -> str:
    """The Kubernetes release that an inventory is for; empty where there is none, or it does not say."""
    file = inventory / "group_vars" / "all.yml"
    return str(_loaded(file.read_text()).get("node_drain_version", "")) if file.exists() else ""


def files_to_send(inventory: Path, host: str, roles: Collection[str]) -> dict[str, Path]:
    """The files that roles install on a host and that it can't fetch itself, from a rendered inventory.

    Args:
        inventory: What ``render_inventory`` wrote.
        host: Name of the host.
        roles: The roles, in the order in which they run.

    Returns:
        sha256 to path on this machine, in the order in which they are needed.
    """
    shared = _loaded((inventory / "group_vars" / "all.yml").read_text())
    variables = shared | _loaded((inventory / "host_vars" / f"{host}.yml").read_text())
    files: dict[str, Path] = {}
    for role in roles:
        found = [*variables.get(f"{role}_binaries", {}).values()]
        found += [image["artifact"] for image in variables.get(f"{role}_images", [])]
        files.update((each["sha256"], Path(each["path"])) for each in found if not each["url"])
    return files


def ssh_command(host: HostPlan) -> list[str]:
    """The OpenSSH command, without what is to run there, that logs in to a host as Ansible does."""
    key = ["-i", str(host.ssh.key)] if host.ssh.key else []
    options = ["-T", "-o", "BatchMode=yes", "-o", f"Ciphers={CIPHERS}", "-p", str(host.ssh.port), *key]
    return ["ssh", *options, *shlex.split(_ssh_arguments(host)), f"{host.ssh.user}@{host.address}"]


def render_connections(plan: ClusterPlan, output: Path) -> list[Path]:
    """Write an inventory that only says how to reach the hosts, for playbooks that install nothing.

    Args:
        plan: The desired state.
        output: Directory to write into; made with mode 0700.

    Returns:
        The files of the inventory.
    """
    environment = _environment()
    files = {
        "hosts.yml": environment.get_template("hosts.yml.j2").render(plan=plan),
        "group_vars/all.yml": environment.get_template("common.yml.j2").render(plan=plan),
    }
    for host in plan.hosts:
        files[f"host_vars/{host.name}.yml"] = environment.get_template("connection.yml.j2").render(
            host=host, **_connection(host)
        )
    return _write_all(files, output)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data_dir() / "inventory" / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, not HTML
    )
    environment.filters["yaml"] = _yaml
    return environment


def _loaded(text: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506 - either loader is the safe one
    return loaded


def _write_all(files: Mapping[str, str], output: Path) -> list[Path]:
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    for stale in sorted((output / "host_vars").glob("*.yml")):
        if f"host_vars/{stale.name}" not in files:
            stale.unlink()
    return [_write(output / name, text) for name, text in files.items()]


def _connection(host: HostPlan) -> dict[str, Any]:
    return {
        "ssh_arguments": _ssh_arguments(host),
        "sudo_password_variable": sudo_password_variable(host.name),
    }


def _shared(plan: ClusterPlan, state: State, stored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    release, config = plan.release, plan.config
    registries = plan.registries
    if plan.local_registry:
        refs = [image["ref"] for image in stored]
        registries = with_local(registries, plan.local_registry, refs, state.pki / "ca.crt")
    args = {component: dict(flags) for component, flags in config.kubernetes.extra_args.items()}
    return {
        "pki": str(state.pki),
        "known_hosts": str(state.known_hosts),
        "masters": {host.name: str(host.private_address) for host in plan.masters},
        "etcd_members": {host.name: str(host.private_address) for host in plan.etcd_members},
        "nodes": {host.name: _node(plan, host) for host in plan.nodes},
        "addresses": {host.name: str(host.private_address) for host in plan.nodes},
        "release_flags": {name: dict(flags) for name, flags in release.minor.flags.items()},
        "runtime_flags": dict(release.minor.runtime_flags.get(config.runtime.name, {})),
        "release_config": {
            **release.minor.kubelet_config,
            **release.minor.runtime_kubelet_config.get(config.runtime.name, {}),
        },
        "scheduler_config": dict(release.minor.scheduler_config),
        "extra_args": args,
        "extra_config": {name: dict(fields) for name, fields in config.kubernetes.extra_config.items()},
        "proxy": _proxy(plan),
        "registries": [_registry(registry) for registry in registries],
        "registry_images": stored,
        "logins": _copied(state.registry_logins) if state.registry_logins.exists() else {},
        "docker": config.runtime.docker.model_dump(),
        "addons": _addons(state),
    }


def _files(
    release: Release,
    images: Iterable[Image],
    artifacts: Mapping[str, FetchedFile],
    own_images: Sequence[OwnImage],
) -> dict[str, dict[str, Any]]:
    """Role to its variables that name files to install: all that differs between architectures."""

    def binaries(*names: str) -> dict[str, dict[str, dict[str, str | None]]]:
        return {"binaries": {name: _artifact(release.binaries[name], artifacts) for name in names}}

    loaded = [_image(image, artifacts) for image in images if image.artifact.key in artifacts]
    loaded += [
        {"ref": image.ref, "artifact": _local(image.path, image.sha256)}
        for image in own_images
        if image.arch == release.arch
    ]
    runtime = binaries(*(name for name in ("cri-dockerd", *release.containerd) if name in release.binaries))
    if release.crictl.key in artifacts:
        runtime["binaries"]["crictl"] = _artifact(release.crictl, artifacts)
    return {
        "container_runtime": {**runtime, "images": loaded},
        "etcd": binaries("etcd", "etcdctl"),
        "kube_apiserver": binaries("kube-apiserver", "kubectl"),
        "kube_controller_manager": binaries("kube-controller-manager"),
        "kube_scheduler": binaries("kube-scheduler"),
        "kubelet": binaries("kubelet"),
        "kube_proxy": binaries("kube-proxy"),
        "pod_network": {
            "binaries": {name: _artifact(file, artifacts) for name, file in release.cni_plugins.items()}
        },
    }


def _of_host(plan: ClusterPlan, host: HostPlan) -> dict[str, Any]:
    purposes = plan.package_purposes(host)
    local = f"127.0.0.1:{plan.config.api.port}"
    return {
        "platforms": host_platforms(purposes),
        "hold_units": held_units(purposes),
        "retired": [
            role
            for role in RETIRABLE
            if not runs_on(role, plan, host) and not (host.is_master and role == "api_loadbalancer")
        ],
        "selinux_booleans": selinux_booleans(purposes),
        "firewall": firewall(plan, host),
        "api_server": f"https://{local if host.is_master else plan.node_api_endpoint}",
        "proxy_kubeconfig": "kube-proxy.conf" if host.is_master else "kube-proxy-worker.conf",
        "taints": [taint.model_dump(exclude_defaults=True) for taint in host.taints],
    }


def firewall(plan: ClusterPlan, host: HostPlan) -> dict[str, list[str]]:
    """What must get through firewalld: the cluster's addresses, and the API where it is served."""
    others = [str(other.private_address) for other in plan.hosts if other is not host]
    own = [str(host.private_address), host.address]
    return {
        "sources": [*others, str(plan.config.network.pod_cidr)] if host.is_node else others,
        "ports": [f"{plan.config.api.port}/tcp"] if host.is_master else [],
        "addresses": list(dict.fromkeys(own)),
    }


def _artifact(file: ArtifactFile, artifacts: Mapping[str, FetchedFile]) -> dict[str, str | None]:
    fetched = artifacts[file.key]
    return {"path": str(fetched.path), "sha256": fetched.sha256, "url": fetched.url}


def _local(path: Path, sha256: str) -> dict[str, str | None]:
    """A file of this machine that hosts can get nowhere else."""
    return {"path": str(path), "sha256": sha256, "url": None}


def _registry(registry: RegistryPlan) -> dict[str, Any]:
    return {
        "host": registry.host,
        "server": registry.server,
        "ca": _copied(registry.ca) if registry.ca else None,
        "mirrors": [asdict(mirror) for mirror in registry.mirrors],
    }


def _copied(path: Path) -> dict[str, str]:
    """A file that a role copies: its content counts in the role's digest, not where it is."""
    return {"path": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _image(image: Image, artifacts: Mapping[str, FetchedFile]) -> dict[str, Any]:
    return {"ref": image.ref, "artifact": _artifact(image.artifact, artifacts)}


def _stored(
    plan: ClusterPlan, artifacts: Mapping[str, FetchedFile], own: Sequence[OwnImage]
) -> list[dict[str, Any]]:
    """Images that the cluster's own registry has, for every architecture; none where there is no such."""
    found: list[tuple[str, str, dict[str, str | None]]] = [
        (image.ref, arch, _artifact(image.artifact, artifacts))
        for arch in plan.releases
        for image in plan.images(arch)
        if image.artifact.key in artifacts
    ]
    found += [(image.ref, image.arch, _local(image.path, image.sha256)) for image in own]
    return [
        {
            "ref": ref,
            **dict(zip(("name", "tag"), name_in_local(ref), strict=True)),
            "arch": arch,
            "artifact": artifact,
        }
        for ref, arch, artifact in (found if plan.local_registry else [])
    ]


def _node(plan: ClusterPlan, host: HostPlan) -> dict[str, Any]:
    labels = dict(host.labels)
    if host.is_master:
        labels.update(dict.fromkeys(plan.release.minor.control_plane_labels, ""))
    if host.is_master and "worker" not in host.roles:
        labels["node.kubernetes.io/exclude-from-external-load-balancers"] = ""
    taints = [taint.model_dump() for taint in host.taints]
    return {"labels": labels, "taints": taints}


def _addons(state: State) -> dict[str, str]:
    """The file of objects to apply, if it has been written."""
    try:
        content = state.addons.read_bytes()
    except FileNotFoundError:
        return {}
    return {"path": str(state.addons), "sha256": hashlib.sha256(content).hexdigest()}


def _proxy(plan: ClusterPlan) -> dict[str, str]:
    """Proxy variables in both spellings that programs look for; pods and Services stay direct.

    Addresses of hosts are not in it: a new host would restart the runtime on all the others.
    """
    proxy = plan.config.proxy
    if not proxy.http and not proxy.https:
        return {}
    own = ["127.0.0.1", "localhost", ".svc", f".{plan.config.network.dns_domain}"]
    own += [str(plan.config.network.pod_cidr), str(plan.config.network.service_cidr)]
    own += [plan.local_registry.address] if plan.local_registry else []
    values = {
        "http_proxy": proxy.http,
        "https_proxy": proxy.https,
        "no_proxy": ",".join([*own, *proxy.no_proxy]),
    }
    return {
        spelling: value
        for name, value in values.items()
        if value is not None
        for spelling in (name, name.upper())
    }


def _ssh_arguments(host: HostPlan) -> str:
    """Options for OpenSSH: the cluster's own known_hosts, checked strictly, also for the bastion."""
    target = host.ssh
    options = ["-o", f"UserKnownHostsFile={target.known_hosts}", "-o", "StrictHostKeyChecking=yes"]
    if target.key:
        options += ["-o", "IdentitiesOnly=yes"]
    bastion = target.bastion
    if bastion:
        key = ["-i", str(target.key)] if target.key else []
        hop = [
            "ssh",
            *options,
            *key,
            "-W",
            "[%h]:%p",
            "-p",
            str(bastion.port),
            f"{bastion.user}@{bastion.address}",
        ]
        options += ["-o", f"ProxyCommand={shlex.join(hop)}"]
    return shlex.join(options)


def _yaml(value: Any) -> str:
    """A value on one line of YAML (JSON is YAML, and has no surprises with quoting)."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False)
        .removesuffix("\n...\n")
        .rstrip("\n")
    )


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.read_text() == text:
        return path
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as out:
        out.write(text)
    Path(temporary).replace(path)
    return path
