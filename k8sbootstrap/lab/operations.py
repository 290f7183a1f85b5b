"""What can be done with a lab: up, down, status, stop, start, cut off, heal."""

import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from k8sbootstrap.errors import LabError
from k8sbootstrap.lab import artifacts, cgroups, cluster_file, model, network, root_image
from k8sbootstrap.lab.artifacts import Progress
from k8sbootstrap.lab.commands import run
from k8sbootstrap.lab.model import Lab, LabHost
from k8sbootstrap.lab.providers import PROVIDERS, provider
from k8sbootstrap.lab.requirements import require_packages
from k8sbootstrap.state import State


@dataclass(frozen=True)
class Wanted:
    """What the user asked ``lab up`` for."""

    masters: int
    workers: int
    etcd: int
    os: str
    version: str
    runtime: str
    artifacts: tuple[Path, ...]
    upgrade_to: str | None = None
    """A release whose files are made ready as well."""
    sealed: bool = False
    """Whether hosts are to be cut off from all networks but the lab's own."""
    runtime_source: str = "distribution"
    """distribution or upstream: where the container runtime comes from."""
    kube_bench: bool = False
    """Whether the files for ``verify --cis`` are made ready as well."""
    conformance: bool = False
    """Whether the files for ``verify --conformance`` are made ready as well."""
    provider: str = "nspawn"
    """nspawn or vagrant: what the hosts are to be."""


@dataclass(frozen=True)
class LabHostStatus:
    """One host as ``lab status`` shows it."""

    name: str
    address: str
    state: str
    """running, stopped or partitioned."""


def hosts_of(wanted: Wanted) -> tuple[LabHost, ...]:
    """Names and roles of the hosts; without workers, masters are workers too."""
    master_roles = ("master",) if wanted.workers else ("master", "worker")
    named = [(f"master{i + 1}", master_roles) for i in range(wanted.masters)]
    named += [(f"worker{i + 1}", ("worker",)) for i in range(wanted.workers)]
    named += [(f"etcd{i + 1}", ("etcd",)) for i in range(wanted.etcd)]
    return tuple(LabHost(name, index + 1, roles) for index, (name, roles) in enumerate(named))


def up(file: Path, wanted: Wanted, progress: Progress) -> Lab:
    """Start a lab, or what is not running of it. Safe to run twice.

    Args:
        file: cluster.yaml to write.
        wanted: Its size and what its hosts are to run.
        progress: Told what is being done.

    Raises:
        LabError: not root, something is missing, or a host does not boot.
    """
    _require_root()
    require_packages(wanted.provider, _needed(wanted), wanted.artifacts)
    with _alone(file):
        if (there := model.load(file)) is not None:
            _require_same(there, wanted)
        stopped = _stopped(there, there.hosts) if there else hosts_of(wanted)
        PROVIDERS[wanted.provider].require(len(stopped))
        return _up(file, wanted, progress)


def _up(file: Path, wanted: Wanted, progress: Progress) -> Lab:
    lab = _lab(file, wanted)
    needed = _needed(wanted)
    others = [path.resolve() for path in wanted.artifacts]
    sources = [*others, artifacts.fill(needed, progress, others)]
    image = root_image.ensure(wanted.os, progress)
    network.up(lab)
    keys = provider(lab).create(lab, image, _key(file), progress)
    if stopped := _stopped(lab, lab.hosts):
        progress(f"starting {', '.join(host.name for host in stopped)}")
    _boot(lab, lab.hosts)
    _known_hosts(file, lab, keys)
    cluster_file.write(
        file,
        [cluster_file.ListedHost(host.name, lab.address(host), host.roles) for host in lab.hosts],
        version=wanted.version,
        runtime=wanted.runtime,
        runtime_source=wanted.runtime_source,
        releases=artifacts.own_versions(needed, sources),
        sources=sources,
        key=model.lab_directory(file) / "id_ed25519",
        dns=artifacts.has_dns(wanted.version, sources),
        containers=lab.provider == "nspawn",
        emulated=provider(lab).is_emulated(lab),
        cgroup_v1=not cgroups.is_v2(),
        sealed=lab.sealed,
    )
    return lab


def _needed(wanted: Wanted) -> artifacts.Needed:
    versions = (wanted.version, *((wanted.upgrade_to,) if wanted.upgrade_to else ()))
    return artifacts.Needed(
        versions, wanted.runtime, wanted.runtime_source, wanted.kube_bench, wanted.conformance
    )


def down(file: Path) -> bool:
    """Stop a lab's hosts and remove all it made, but for cluster.yaml, the cluster's state and the caches.

    Returns:
        Whether there was a lab.
    """
    lab = model.load(file)
    if lab is None:
        return False
    _require_root()
    with _alone(file):
        for each in PROVIDERS.values():  # all: a damaged record does not say which
            each.remove_remains(lab)
        run("rm", "-rf", "--one-file-system", str(lab.folder))
        network.down(lab)
        if model.ROOT.exists() and not any(model.ROOT.iterdir()):
            model.ROOT.rmdir()
        shutil.rmtree(model.lab_directory(file), ignore_errors=True)
    return True


def status(file: Path) -> list[LabHostStatus]:
    """The status of each host."""
    lab = model.require(file)
    return [LabHostStatus(host.name, lab.address(host), _state(lab, host)) for host in lab.hosts]


def stop(file: Path, names: Sequence[str], *, graceful: bool) -> None:
    """Stop hosts: as if the plug was pulled, or in order."""
    lab = model.require(file)
    hosts = [lab.host(name) for name in names]
    with ThreadPoolExecutor() as pool:
        end = provider(lab).shut_down if graceful else provider(lab).kill
        list(pool.map(lambda host: end(lab, host), hosts))


def start(file: Path, names: Sequence[str]) -> None:
    """Boot hosts that were stopped; their files are as they were."""
    lab = model.require(file)
    hosts = [lab.host(name) for name in names]
    with _alone(file):
        network.up(lab)
        _boot(lab, hosts)


def partition(file: Path, names: Sequence[str]) -> None:
    """Cut hosts off from everything.

    Raises:
        LabError: one is not running.
    """
    lab = model.require(file)
    for host in _running(lab, names):
        network.cut_off(_port(lab, host))


def heal(file: Path, names: Sequence[str]) -> None:
    """Undo ``partition``.

    Raises:
        LabError: one is not running.
    """
    lab = model.require(file)
    for host in _running(lab, names):
        network.heal(_port(lab, host))


def run_inside(file: Path, name: str, command: list[str]) -> int:
    """Run a command as root inside a host, whatever its network is like.

    Returns:
        The command's exit code; 128 and the signal's number when a signal ended it.

    Raises:
        LabError: The host is not running.
    """
    lab = model.require(file)
    [host] = _running(lab, [name])
    return provider(lab).run_inside(lab, host, command)


def wait_for_ssh(lab: Lab, hosts: Sequence[LabHost]) -> None:
    """Wait until hosts answer on their SSH port and let users in.

    Raises:
        LabError: one does not; its console's file is named.
    """
    seconds = provider(lab).BOOT_SECONDS
    deadline = time.monotonic() + seconds
    for host in hosts:
        while not (_answers(lab.address(host)) and provider(lab).is_booted(lab, host)):
            console = lab.folder / f"{host.name}.console"
            if time.monotonic() > deadline:
                said = console.read_text(errors="replace").splitlines()[-8:]
                raise LabError(
                    "\n".join(
                        [
                            f"{host.name} did not answer over SSH within {seconds:.0f} s; its console log:",
                            *said,
                        ]
                    ),
                    hint=f"See the whole log in {console}.",
                )
            time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _boot(lab: Lab, hosts: Sequence[LabHost]) -> None:
    """Start those of the hosts that do not run, and wait for all of them but those that ran cut off.

    Who is cut off is asked first: the network interface of a host that is just starting is down as well.

    Raises:
        LabError: one does not answer.
    """
    stopped = _stopped(lab, hosts)
    reachable = [host for host in hosts if host in stopped or not _is_cut_off(lab, host)]
    provider(lab).start(lab, stopped)
    wait_for_ssh(lab, reachable)


def _stopped(lab: Lab, hosts: Sequence[LabHost]) -> list[LabHost]:
    return [host for host in hosts if not provider(lab).is_running(lab, host)]


def _running(lab: Lab, names: Sequence[str]) -> list[LabHost]:
    hosts = [lab.host(name) for name in names]
    for host in hosts:
        if not provider(lab).is_running(lab, host):
            raise LabError(
                f"{host.name} is not running", hint=f"Start it: k8sbootstrap lab start {host.name}"
            )
    return hosts


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """One command at a time starts or stops hosts of this lab; others wait."""
    directory = file.resolve().parent
    if not directory.is_dir():  # removed while its lab runs: nobody else can be at work there
        yield
        return
    folder = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _state(lab: Lab, host: LabHost) -> str:
    if not provider(lab).is_running(lab, host):
        return "stopped"
    return "partitioned" if _is_cut_off(lab, host) else "running"


def _is_cut_off(lab: Lab, host: LabHost) -> bool:
    port = provider(lab).port(lab, host)
    return port is not None and network.is_cut_off(port)


def _port(lab: Lab, host: LabHost) -> str:
    port = provider(lab).port(lab, host)
    if port is None:
        raise LabError(f"{host.name} is not connected to {lab.bridge}")
    return port


def _lab(file: Path, wanted: Wanted) -> Lab:
    lab = model.load(file)
    if lab is None:
        hosts = hosts_of(wanted)
        return model.claim(file, wanted.os, hosts, sealed=wanted.sealed, provider=wanted.provider)
    _require_same(lab, wanted)
    return lab


def _require_same(lab: Lab, wanted: Wanted) -> None:
    there = (lab.os, lab.hosts, lab.sealed, lab.provider)
    if there != (wanted.os, hosts_of(wanted), wanted.sealed, wanted.provider):
        kind = f"sealed {lab.os}" if lab.sealed else lab.os
        raise LabError(
            f"there is already a different lab here, with {len(lab.hosts)} {kind} hosts of {lab.provider}",
            hint="Remove it first: k8sbootstrap lab down",
        )


def _key(file: Path) -> str:
    key = model.lab_directory(file) / "id_ed25519"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "k8sbootstrap-lab", "-f", str(key))
    return key.with_suffix(".pub").read_text()


def _known_hosts(file: Path, lab: Lab, keys: Sequence[str]) -> None:
    state = State.beside(file, cluster_file.CLUSTER_NAME)
    state.create()
    addresses = {lab.address(host) for host in lab.hosts}
    there = state.known_hosts.read_text().splitlines() if state.known_hosts.exists() else []
    others = [line for line in there if line.split()[:1] and line.split()[0] not in addresses]
    lines = [*others, *(f"{lab.address(host)} {key}" for host, key in zip(lab.hosts, keys, strict=True))]
    if lines != there:
        state.known_hosts.write_text("\n".join(lines) + "\n")


def _require_root() -> None:
    if os.geteuid() != 0:
        raise LabError("only root can start and stop lab hosts", hint="Run the same command with sudo.")
