"""``k8sbootstrap render``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import click
from rich.console import Console

from k8sbootstrap.actions.context import Preparation
from k8sbootstrap.actions.prepare import PREPARE
from k8sbootstrap.actions.step import take
from k8sbootstrap.cli.options import Command, Globals, bundle_option
from k8sbootstrap.inventory.connection import sudo_password_variable
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run import lock
from k8sbootstrap.run.ansible import command_line
from k8sbootstrap.state import State


class _Steps:
    """Prints the messages of each step."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Self]:  # noqa: ARG002
        self._console.print(title, markup=False)
        yield self

    def note(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False)

    def status(self, text: str) -> None:
        """Not printed: only terminals show progress."""


@click.command("render", cls=Command)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory to write the inventory to. It is created if it does not exist.",
)
@bundle_option
@click.pass_obj
def command(options: Globals, output: Path, bundle: Path | None) -> None:
    """Write the Ansible inventory of the cluster.

    Prints the ansible-playbook command that uses it. No host is contacted. The inventory names the files to
    install and the certificates, so these are downloaded and issued, as "k8sbootstrap up" would do. It
    contains no secrets, only paths.
    """
    plan = load_plan(options.file, bundle)
    state = State.beside(options.file, plan.config.name)
    directory = output.resolve()

    state.create()
    preparation = Preparation(plan=plan, cluster_file=options.file, state=state, inventory_folder=directory)
    is_new = not (state.pki / "ca.crt").exists()
    with lock.hold(state.lock, "k8sbootstrap render"):
        take(PREPARE, preparation, _Steps(options.errors).step)
    options.errors.print(f"The inventory is in {directory}. To use it without k8sbootstrap:", markup=False)
    click.echo(command_line(directory, plan.hosts))
    if is_new:
        options.errors.print(
            f"New certificate authorities were made for the cluster {plan.config.name}. If it runs already, "
            f"move {state.directory} away and run k8sbootstrap adopt.",
            markup=False,
        )
    if not state.known_hosts.exists():
        options.errors.print(
            f"Before that, add the hosts' SSH keys to {state.known_hosts}: k8sbootstrap preflight does this.",
            markup=False,
        )
    passwords = [
        sudo_password_variable(host.name) for host in plan.hosts if host.ssh.sudo_password is not None
    ]
    if passwords:
        options.errors.print(
            f"It reads sudo passwords from environment variables: {', '.join(passwords)}", markup=False
        )
