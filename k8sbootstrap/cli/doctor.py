"""``k8sbootstrap doctor``."""

import json
from pathlib import Path

import click
from rich.status import Status as Spinner

from k8sbootstrap.actions.support import LARGEST_LOOK, LOOK
from k8sbootstrap.checks.doctor.causes import as_document, diagnose
from k8sbootstrap.checks.doctor.text import text
from k8sbootstrap.cli.options import Command, Globals, output_option
from k8sbootstrap.errors import VerifyError
from k8sbootstrap.formats.archive import ArchiveError, read_member
from k8sbootstrap.formats.text import printable
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.survey.doctor import kept
from k8sbootstrap.survey.doctor.look import ClusterLook, look, require_any


@click.command("doctor", cls=Command)
@click.option(
    "--from",
    "archive",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help='Judge what "k8sbootstrap support" has written to this archive. No host is asked.',
)
@output_option(
    "text: causes with evidence and fixes; -v also shows the evidence of consequences. json: everything."
)
@click.pass_obj
def command(settings: Globals, *, archive: Path | None, output: str) -> int:
    """Find out what is wrong with the cluster, and what to do.

    Looks at all hosts in parallel and at the API. Shows the cause first, with what shows it, since when, and
    the command that fixes it. What follows from a cause is listed below it. Changes nothing. The exit code is
    6 if something was found, 0 if nothing was, and 5 if no host can be reached.
    """
    plan, seen = _read(archive) if archive else _ask(settings)
    diagnosis = diagnose(plan, seen)
    if output == "json":
        click.echo(json.dumps(as_document(diagnosis), indent=2))
    else:
        for line in text(diagnosis, seen.at, every=settings.verbosity > 0):
            settings.console.print(line)
    return VerifyError.exit_code if diagnosis.causes else 0


def _ask(settings: Globals) -> tuple[ClusterPlan, ClusterLook]:
    plan = load_plan(settings.file)
    with Spinner("asking the hosts", console=settings.errors), Pool() as pool:
        seen = look(plan, pool)
    require_any(seen)
    return plan, seen


def _read(archive: Path) -> tuple[ClusterPlan, ClusterLook]:
    """What an archive has to be judged.

    Raises:
        click.BadParameter: It is none that support has made.
    """
    try:
        return kept.read(read_member(archive, LOOK, LARGEST_LOOK))
    except (ArchiveError, ValueError) as error:
        raise click.BadParameter(
            f"{archive} can't be judged: {printable(str(error))}. Give a file that k8sbootstrap support has "
            "written, of the same version, decrypted",
            param_hint="--from",
        ) from error
