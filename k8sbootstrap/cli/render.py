"""``k8sbootstrap render``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from k8sbootstrap.cli.main import Globals
from k8sbootstrap.inventory import sudo_password_variable
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.runner import lock
from k8sbootstrap.runner.ansible import command_line
from k8sbootstrap.runner.prepare import prepare
from k8sbootstrap.state import State


@click.command("render")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory to write the inventory to; made when it is not there.",
)
@click.pass_obj
def command(options: Globals, output: Path) -> None:
    """Write the Ansible inventory of the cluster, and print the command that uses it.

    No host is contacted. Files to install are fetched and certificates issued, as "up" would do: the
    inventory names them. It holds no secrets, only paths.
    """
    plan = load_plan(options.file)
    state = State.beside(options.file, plan.config.name)
    directory = output.resolve()

    @contextmanager
    def step(name: str, title: str) -> Iterator[None]:  # noqa: ARG001
        options.errors.print(title, markup=False)
        yield

    state.create()
    with lock.hold(state.lock, "k8sbootstrap render"):
        prepare(plan, options.file, state, directory, step)
    options.errors.print(f"The inventory is in {directory}. To use it without k8sbootstrap:", markup=False)
    click.echo(command_line(directory, plan.hosts))
    if not state.known_hosts.exists():
        options.errors.print(
            f"Before that, add the hosts' SSH keys to {state.known_hosts} (k8sbootstrap preflight does it).",
            markup=False,
        )
    passwords = [
        sudo_password_variable(host.name) for host in plan.hosts if host.ssh.sudo_password is not None
    ]
    if passwords:
        options.errors.print(
            f"It reads sudo passwords from the environment: {', '.join(passwords)}", markup=False
        )
