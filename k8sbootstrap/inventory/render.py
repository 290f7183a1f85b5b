"""Writing inventories: ``hosts.yml``, ``group_vars/`` and ``host_vars/``, from ``inventory/templates``."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import jinja2

from k8sbootstrap.artifacts.own_images import OwnImage
from k8sbootstrap.formats.ansible_yaml import dump_line
from k8sbootstrap.inventory.connection import connection_variables
from k8sbootstrap.inventory.digests import Digests
from k8sbootstrap.inventory.files import FetchedFile, files_of_roles, stored_images
from k8sbootstrap.inventory.read import loaded
from k8sbootstrap.inventory.variables import host_variables, shared_variables
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.plan.phases import runs_on
from k8sbootstrap.resources import data_dir
from k8sbootstrap.state import State


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
    stored = stored_images(plan, artifacts, [*own_images, *registry_images])
    shared = shared_variables(plan, state, stored)
    of_arch = {
        arch: files_of_roles(release, plan.images(arch), artifacts, own_images)
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
    digests = Digests(loaded(files["group_vars/all.yml"]), state.pki)
    for host in plan.hosts:
        own_files = {
            role: variables
            for role, variables in of_arch[host.arch].items()
            if host.arch != plan.release.arch and runs_on(role, plan, host)
        }
        text = environment.get_template("host.yml.j2").render(
            plan=plan,
            host=host,
            own_files=own_files,
            **shared,
            **connection_variables(host),
            **host_variables(plan, host),
        )
        of_host = digests.of_host(host.name, loaded(text))
        lines = [
            f"{role}_digest: {digest}\n" for role, digest in of_host.items() if runs_on(role, plan, host)
        ]
        files[f"host_vars/{host.name}.yml"] = "".join([text, *lines])
    return _write_all(files, output)


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
            host=host, **connection_variables(host)
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
    environment.filters["yaml"] = dump_line
    return environment


def _write_all(files: Mapping[str, str], output: Path) -> list[Path]:
    output.mkdir(mode=0o700, parents=True, exist_ok=True)
    for stale in sorted((output / "host_vars").glob("*.yml")):
        if f"host_vars/{stale.name}" not in files:
            stale.unlink()
    return [_write(output / name, text) for name, text in files.items()]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.read_text() == text:
        return path
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as out:
        out.write(text)
    Path(temporary).replace(path)
    return path
