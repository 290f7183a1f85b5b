"""``k8sbootstrap support``."""

from pathlib import Path

import click
from rich.status import Status as Spinner

from k8sbootstrap.actions.support import archive, collect, default_name, encrypted
from k8sbootstrap.cli.options import Command, Globals
from k8sbootstrap.formats.text import count, megabytes, printable
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.private_files import replace


@click.command("support", cls=Command)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    show_default="support-CLUSTER-TIME.tar.gz",
    help="File to write the archive to.",
)
@click.option(
    "--recipient",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Encrypt the archive to the certificate in this PEM file, which must be of an RSA key.",
)
@click.pass_obj
def command(settings: Globals, *, output: Path | None, recipient: Path | None) -> None:
    """Make an archive for somebody who helps, without secrets.

    Takes units, journals, settings, etcd's state, network and container runtime of all hosts in parallel,
    objects of kube-system, and the records of the newest runs. Look through the archive all the same before
    you give it to others. Hosts that cannot be reached are named in it. Changes nothing.

    To judge it on another machine, run: k8sbootstrap doctor --from FILE
    """
    plan = load_plan(settings.file)
    target = output or Path(default_name(plan) + (".p7m" if recipient else ""))
    if recipient:
        _require_usable(recipient)
    if not target.parent.is_dir():
        raise click.BadParameter(f"{target.parent} is not a directory", param_hint="--output")
    with Spinner("asking the hosts", console=settings.errors) as spinner:
        with Pool() as pool:
            found = collect(plan, pool)
        spinner.update("leaving out secrets")
        content = archive(found, settings.file)
    if recipient:
        content = encrypted(content, recipient)
    try:
        replace(target, content)
    except OSError as error:
        raise click.FileError(str(target), error.strerror) from error
    for reason in found.look.lost.values():
        settings.errors.print(f"not in it: {printable(reason)}", markup=False)
    hosts = f"{len(found.look.hosts)} of {count(len(plan.hosts), 'host')}"
    causes = len(found.diagnosis.causes)
    settings.console.print(
        f"{target}: {megabytes(len(content))}, {hosts}. Doctor found {count(causes, 'cause')}.", markup=False
    )


def _require_usable(recipient: Path) -> None:
    """See that an archive can be encrypted, before hosts are asked.

    Raises:
        click.BadParameter: The file has no certificate of an RSA key.
    """
    try:
        encrypted(b"", recipient)
    except (OSError, ValueError) as error:
        raise click.BadParameter(
            f"{recipient} is no PEM file with a certificate of an RSA key: {error}", param_hint="--recipient"
        ) from error
