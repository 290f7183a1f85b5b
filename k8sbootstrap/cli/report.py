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
    help='Where to write the page; "-" prints it.',
)
@click.pass_obj
def command(settings: Globals, *, run: str | None, output: str | None) -> None:
    """Make an HTML page about a run.

    Where the time went, what changed on which host, what failed and why, what verify saw: in one page that
    loads nothing from elsewhere and needs no scripts. RUN is a run's id or the beginning of it; without one
    it is the newest. An id that does not exist makes the command list those that do.
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
