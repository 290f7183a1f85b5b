"""``k8sbootstrap kubeconfig``."""

import os
import shlex
from pathlib import Path

import click

from k8sbootstrap.cli.options import Command, Globals
from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.pki import operator_kubeconfig
from k8sbootstrap.state import State


@click.command("kubeconfig", cls=Command)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it to FILE with mode 0600, do not print it.",
)
@click.option(
    "--merge", is_flag=True, help="Merge it into your kubeconfig and make its context the current one."
)
@click.option(
    "--kubeconfig",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to merge it into. Default: the first file of $KUBECONFIG, else ~/.kube/config.",
)
@click.pass_obj
def command(settings: Globals, *, output: Path | None, merge: bool, target: Path | None) -> None:
    """Print the admin kubeconfig, or merge it into yours.

    Anyone who has this file can do everything in the cluster: keep it secret. A merge keeps all other
    contexts. The context and its user are named kubernetes-admin@CLUSTER.
    """
    if merge and output:
        raise click.UsageError("--merge and --output cannot be used together.")
    if target and not merge:
        raise click.UsageError("--kubeconfig needs --merge.")
    name = load_cluster(settings.file).name
    text = operator_kubeconfig.read(State.beside(settings.file, name))
    if merge:
        target = target or operator_kubeconfig.default_target(os.environ)
        context = operator_kubeconfig.merge(text, name, target)
        message = f"{target} now has the context {context}. It is the current context."
    elif output:
        operator_kubeconfig.write(text, output)
        message = f"Written to {output}. Try: kubectl --kubeconfig {shlex.quote(str(output))} get nodes"
    else:
        click.echo(text, nl=False)
        return
    settings.console.print(message, markup=False)
