"""``k8sbootstrap etcd restore`` and ``etcd recover``."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.etcd_restore import run_restore
from k8sbootstrap.actions.restore_snapshot import Confirm, RestoreContext
from k8sbootstrap.cli.console import say
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import Command, Globals, yes_option
from k8sbootstrap.formats.text import duration, megabytes
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run.live import reporter_for
from k8sbootstrap.run.progress import Reporter


@click.command("restore", cls=Command)
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--newest", is_flag=True, help="The newest snapshot that a host of etcd or the bucket has.")
@click.option("--from-bucket", metavar="NAME", help="This one in the bucket that cluster.yaml names.")
@click.option("--dead", is_flag=True, help="Leave out hosts that don't answer and never will.")
@yes_option("Do not ask before data is replaced.")
@click.pass_obj
def restore(
    settings: Globals, *, file: Path | None, newest: bool, from_bucket: str | None, dead: bool, yes: bool
) -> None:
    """Rebuild all members of etcd from one snapshot.

    That is FILE, with --newest the newest one on a host or in the bucket, or with --from-bucket the one of
    this name there. All that was written after the snapshot is lost.
    API servers stop until it is done; pods continue to run. The members' old data is set aside on their
    hosts, not deleted. After a failure or Ctrl-C, run it again: it continues from there.
    """
    if [file is not None, newest, from_bucket is not None].count(True) != 1:
        raise click.UsageError("Name a snapshot's FILE, or --from-bucket NAME, or --newest.")
    if from_bucket is not None and load_plan(settings.file).config.etcd.snapshots.s3 is None:
        raise click.BadParameter(
            "cluster.yaml names no bucket: add etcd.snapshots.s3", param_hint="--from-bucket"
        )
    _run(settings, file=file, name=from_bucket or "", survivor="", dead=dead, yes=yes)


@click.command("recover", cls=Command)
@click.option("--survivor", metavar="HOST", required=True, help="The host of the member that has its data.")
@yes_option("Do not ask before data is replaced.")
@click.pass_obj
def recover(settings: Globals, *, survivor: str, yes: bool) -> None:
    """Rebuild etcd from one member when the quorum is lost.

    For members that are lost for ever. Hosts of etcd that answer become members with the survivor's data.
    Those that don't are left out: use it only if they are really dead. What only they had confirmed is lost.
    """
    plan = load_plan(settings.file)
    names = [host.name for host in plan.etcd_members]
    if survivor not in names:
        raise click.BadParameter(f"etcd's hosts are {', '.join(names)}", param_hint="--survivor")
    _run(settings, file=None, name="", survivor=survivor, dead=True, yes=yes)


def _run(settings: Globals, *, file: Path | None, name: str, survivor: str, dead: bool, yes: bool) -> None:
    plan = load_plan(settings.file)
    terminal = sys.stdin.isatty()
    if not terminal and not yes:
        raise click.UsageError(
            "This replaces the data of the cluster. There is no terminal to ask on: add --yes to confirm."
        )
    reporter = reporter_for(settings.console, settings.verbosity)
    summary, context = run_restore(
        plan,
        settings.file,
        RunOptions(ask=asker(reporter) if terminal else None),
        reporter,
        file=file,
        name=name,
        survivor=survivor,
        dead=dead,
        confirm=None if yes else _confirmer(reporter),
    )
    say(f"etcd is rebuilt from {context.source}, after {duration(summary.seconds)}.")
    names = ", ".join(host.name for host in context.hosts.members)
    say(
        f"Its data before is in /var/lib/etcd/before-{context.restore.id} on {names}. Remove it when all is "
        "well."
    )
    for host in context.hosts.left_out:
        say(f"{host.name} is no member any more: run k8sbootstrap remove {host.name} --dead.")
    say("Next: k8sbootstrap plan shows what up would change, such as nodes that joined after the snapshot.")


def _confirmer(reporter: Reporter) -> Confirm:
    def confirm(context: RestoreContext) -> None:
        with reporter.paused():
            for line in lines_of(context, datetime.now(UTC)):
                say(line)
            try:
                go_on = click.confirm("Replace the data of etcd?")
            except click.Abort:
                go_on = False
        if not go_on:
            raise KeyboardInterrupt

    return confirm


def lines_of(context: RestoreContext, now: datetime) -> Iterator[str]:
    """What a restore would do."""
    hosts = context.hosts
    yield f"To rebuild etcd of {context.plan.config.name} from {context.source}:"
    if context.staged:
        age = f", {duration((now - context.taken).total_seconds(), 0)} old" if context.taken else ""
        yield f"  snapshot: revision {context.staged.revision}, {megabytes(context.staged.bytes)}{age}"
        yield f"  lost: all that was written after it; {_revision_now(hosts.revision)}"
    else:
        yield "  lost: what only the other members had confirmed"
    names = ", ".join(host.name for host in hosts.members)
    yield f"  members: {names}; their data is set aside in /var/lib/etcd/before-{context.restore.id}"
    for host in hosts.left_out:
        yield f"  {host.name} is left out: if it is not really dead, its pods and API server would go on"
    yield f"  API servers of {', '.join(host.name for host in hosts.masters)} stop until it is done"


def _revision_now(revision: int) -> str:
    return f"etcd is at revision {revision} now" if revision else "no member answers that could say how much"
