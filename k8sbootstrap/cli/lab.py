"""``k8sbootstrap lab``."""

import json
import os
import re
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from k8sbootstrap.catalog.data import minor_of
from k8sbootstrap.catalog.resolve import default_version
from k8sbootstrap.catalog.runtimes import known_minors
from k8sbootstrap.cli.options import CommandGroup, Globals, PassesOn, output_option
from k8sbootstrap.config.models.base import VERSION
from k8sbootstrap.inventory.connection import openssh_options
from k8sbootstrap.lab import model, operations
from k8sbootstrap.lab.providers import PROVIDERS
from k8sbootstrap.lab.root_image import SUITES, USER
from k8sbootstrap.state import State


def _release(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    minors = known_minors()
    if value is not None and not (re.fullmatch(VERSION, value) and minor_of(value) in minors):
        raise click.BadParameter(f"{value} is not a release of {', '.join(minors[:-1])} or {minors[-1]}")
    return value


_names = click.argument("names", metavar="NAME...", nargs=-1, required=True)


@click.group("lab", cls=CommandGroup)
def command() -> None:
    """Start disposable hosts on this machine to try k8sbootstrap on.

    With the provider nspawn every host is a systemd container with its own SSH server. It needs root and
    Debian's package systemd-container, but no virtual machines.
    """


@command.command("up")
@click.option(
    "--masters",
    type=click.IntRange(1, 9),
    default=1,
    show_default=True,
    help="Number of hosts for the control plane.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 200),
    default=1,
    show_default=True,
    help="Number of hosts for workloads.",
)
@click.option(
    "--etcd",
    type=click.IntRange(0, 9),
    default=0,
    show_default=True,
    help="Number of hosts that run etcd only.",
)
@click.option(
    "--os",
    "os_name",
    type=click.Choice(sorted(SUITES)),
    default="debian12",
    show_default=True,
    help="Operating system of the hosts.",
)
@click.option(
    "--provider",
    type=click.Choice(sorted(PROVIDERS)),
    default="nspawn",
    show_default=True,
    help="What the hosts are. nspawn: systemd containers. vagrant: virtual machines, by Vagrant and libvirt.",
)
@click.option(
    "--kubernetes-version",
    "version",
    metavar="VERSION",
    callback=_release,
    default=default_version(),
    show_default=True,
    help="Kubernetes release for cluster.yaml. If upstream can't be reached, it is built from Go modules.",
)
@click.option(
    "--upgrade-to",
    metavar="VERSION",
    callback=_release,
    help="Prepare the files of this release too, to try an upgrade.",
)
@click.option(
    "--kube-bench",
    is_flag=True,
    help='Prepare kube-bench too, which "verify --cis" runs. If upstream can\'t be reached, it is built from '
    "Go modules.",
)
@click.option(
    "--conformance",
    is_flag=True,
    help='Prepare what "verify --conformance" runs too. If upstream can\'t be reached, it is built from Go '
    "modules and Debian packages.",
)
@click.option(
    "--runtime",
    type=click.Choice(["docker", "containerd"]),
    default="docker",
    show_default=True,
    help="Container runtime for cluster.yaml.",
)
@click.option(
    "--runtime-source",
    type=click.Choice(["distribution", "upstream"]),
    default="distribution",
    show_default=True,
    help="Where the container runtime comes from. upstream: containerd and runc as their projects release "
    "them, for containerd only.",
)
@click.option(
    "--artifacts",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="Directory with files to install, laid out as NAME/VERSION/ARCH/FILE. May be given several times.",
)
@click.option(
    "--sealed",
    is_flag=True,
    help="Hosts can reach only each other and this machine. They have no default route, no DNS and no "
    "packages in apt's cache. Use it to try bundles.",
)
@click.pass_obj
def up(
    options: Globals,
    *,
    masters: int,
    workers: int,
    etcd: int,
    os_name: str,
    provider: str,
    version: str,
    upgrade_to: str | None,
    kube_bench: bool,
    conformance: bool,
    runtime: str,
    runtime_source: str,
    artifacts: tuple[Path, ...],
    sealed: bool,
) -> None:
    """Start hosts and write cluster.yaml for them.

    Run it again at any time: hosts that run are not changed.
    """
    if runtime_source == "upstream" and runtime != "containerd":
        raise click.UsageError("--runtime-source upstream needs --runtime containerd")
    wanted = operations.Wanted(
        masters,
        workers,
        etcd,
        os_name,
        version,
        runtime,
        artifacts,
        upgrade_to,
        sealed,
        runtime_source,
        kube_bench,
        conformance,
        provider,
    )
    began = time.monotonic()

    def progress(text: str) -> None:
        options.console.print(f"[{time.monotonic() - began:5.1f}s] {text}", markup=False)

    operations.up(options.file, wanted, progress)
    progress(f"{options.file} lists the hosts")
    options.console.print("Next: k8sbootstrap up", markup=False)


@command.command("down")
@click.pass_obj
def down(options: Globals) -> None:
    """Stop the hosts and remove everything that the lab made.

    cluster.yaml and the cluster's state in .k8sbootstrap are kept.
    """
    found = operations.down(options.file)
    options.console.print("The lab is removed." if found else "There is no lab here.")


@command.command("status")
@output_option("Output format.")
@click.pass_obj
def status(options: Globals, output: str) -> None:
    """List the hosts, their addresses and their states.

    A host is running, stopped or partitioned. Partitioned means: cut off from the network.
    """
    hosts = operations.status(options.file)
    if output == "json":
        click.echo(json.dumps([asdict(host) for host in hosts], indent=2))
        return
    for host in hosts:
        options.console.print(f"{host.name:<12} {host.address:<16} {host.state}", markup=False)


@command.command("ssh", cls=PassesOn, context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def ssh(options: Globals, name: str, arguments: tuple[str, ...]) -> None:
    """Log in to a host as the user that cluster.yaml names.

    ARGUMENTS are passed to ssh, for example a command to run instead of a shell.
    """
    lab = model.require(options.file)
    known_hosts = State.beside(options.file, "lab").known_hosts
    words = ["ssh", *openssh_options(known_hosts, model.lab_directory(options.file) / "id_ed25519")]
    target = f"{USER}@{lab.address(lab.host(name))}"
    os.execvp("ssh", [*words, target, *arguments])  # noqa: S606 - ssh takes this process's place


@command.command("exec", cls=PassesOn, context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def exec_(options: Globals, name: str, words: tuple[str, ...]) -> None:
    """Run a command as root on a host.

    Works without the network, so also on a partitioned host. The exit code is that of the command.

    Example: k8sbootstrap lab exec master1 -- systemctl status kubelet
    """
    sys.exit(operations.run_inside(options.file, name, list(words)))


@command.command("stop")
@_names
@click.option("--graceful", is_flag=True, help="Shut the hosts down cleanly. Default: cut their power.")
@click.pass_obj
def stop(options: Globals, names: tuple[str, ...], graceful: bool) -> None:  # noqa: FBT001
    """Stop hosts at once, as a power failure would.

    Their files are kept. "k8sbootstrap lab start" boots them again.
    """
    operations.stop(options.file, names, graceful=graceful)


@command.command("start")
@_names
@click.pass_obj
def start(options: Globals, names: tuple[str, ...]) -> None:
    """Boot hosts that were stopped."""
    operations.start(options.file, names)


@command.command("partition")
@_names
@click.pass_obj
def partition(options: Globals, names: tuple[str, ...]) -> None:
    """Cut hosts off from the network. They keep running."""
    operations.partition(options.file, names)


@command.command("heal")
@_names
@click.pass_obj
def heal(options: Globals, names: tuple[str, ...]) -> None:
    """Connect hosts to the network again that were cut off."""
    operations.heal(options.file, names)
