"""``k8sbootstrap report``."""

import os
import stat
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from k8sbootstrap.cli.options import Command, Globals
from k8sbootstrap.config.load import load_name
from k8sbootstrap.errors import K8sBootstrapError
from k8sbootstrap.report.page import render
from k8sbootstrap.report.recorded import read_run
from k8sbootstrap.report.runs import find_run, list_runs
from k8sbootstrap.state import State

_FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def _complete(context: click.Context, _argument: click.Parameter, begun: str) -> list[CompletionItem]:
    """The runs of the cluster whose ids begin with ``begun``; none where cluster.yaml is wrong."""
    file = context.ensure_object(Globals).file
    try:
        runs = list_runs(State.beside(file, load_name(file)))
    except K8sBootstrapError:
        return []
    return [CompletionItem(run.id, help=str(run)) for run in runs if run.id.startswith(begun)]


@click.command("report", cls=Command)
@click.argument("run", metavar="[RUN]", required=False, shell_complete=_complete)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    show_default="report-RUN.html",
    help='File to write the page to. "-" prints it.',
)
@click.pass_obj
def command(settings: Globals, *, run: str | None, output: str | None) -> None:
    """Make an HTML page about a run.

    The page shows how long each step took, what changed on which host, what failed and why, and what verify
    found. It loads nothing from other places and needs no scripts. RUN is the id of a run or the beginning of
    it. Default: the newest run. If no run has this id, the command lists all runs.
    """
    cluster = load_name(settings.file)
    found = find_run(State.beside(settings.file, cluster), cluster, run)
    page = render(read_run(found.directory, cluster))
    if output == "-":
        click.echo(page, nl=False)
        return
    target = Path(output or f"report-{found.id}.html")
    try:
        with os.fdopen(os.open(target, _FRESH, 0o600), "w", encoding="utf-8") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                os.fchmod(file.fileno(), 0o600)  # it was there, open to others
            file.write(page)
    except OSError as error:
        raise click.FileError(str(target), error.strerror) from error
    settings.console.print(f"{target}: {found}", markup=False)
