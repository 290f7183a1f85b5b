"""``k8sbootstrap etcd``."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from k8sbootstrap.actions import etcd_defrag, snapshot
from k8sbootstrap.actions.bucket import upload
from k8sbootstrap.actions.changing import changing_without_record
from k8sbootstrap.checks.etcd_state import problems, space_aside
from k8sbootstrap.cli.console import say
from k8sbootstrap.cli.etcd_restore import recover, restore
from k8sbootstrap.cli.options import CommandGroup, Globals, output_option
from k8sbootstrap.cli.text.etcd import lines
from k8sbootstrap.errors import VerifyError
from k8sbootstrap.formats.text import count, megabytes
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.inventory.snapshot_store import read_store
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.survey.cluster.facts import Facts
from k8sbootstrap.survey.status.bucket import BucketState, look_in_bucket
from k8sbootstrap.survey.status.etcd import EtcdState, look, state


@click.group("etcd", cls=CommandGroup)
def command() -> None:
    """Show etcd, take and restore snapshots, and defragment it."""


@command.command("status")
@output_option("text: a table to read. json: everything, with all snapshots.")
@click.pass_obj
def status(settings: Globals, *, output: str) -> None:
    """Show etcd's members, quorum, alarms and newest snapshot.

    If snapshots are uploaded to a bucket, it shows the newest one there, too. The exit code is 6 if something
    is wrong: a member that is not healthy, a learner, an alarm, no quorum, a database that is nearly full,
    snapshots that are late. Changes nothing.
    """
    plan = load_plan(settings.file)
    store = read_store(plan, settings.file.resolve().parent)
    with Pool() as pool:
        facts = look(plan, pool)
        found = space_aside(state(facts))
        bucket = look_in_bucket(plan, pool, _asked(facts, found), store) if store else None
    now = datetime.now(UTC)
    wrong = problems(facts, found, now, bucket)
    if output == "json":
        click.echo(json.dumps(_document(found, bucket, wrong), indent=2, default=_plain))
    else:
        settings.console.width = 1000  # a terminal wraps what it can't show
        for part in lines(found, now, bucket):
            settings.console.print(part)
    if wrong:
        raise VerifyError("\n".join(wrong), hint="docs/etcd.md says what can be done.")


@command.command("snapshot")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Bring it to this machine, too, with its sha256 in FILE.sha256. It is readable by you alone.",
)
@click.pass_obj
def take(settings: Globals, *, output: Path | None) -> None:
    """Take a snapshot of etcd.

    One healthy member takes it, not the leader if possible. Its hash is checked. It is kept compressed on
    that host, in /var/lib/k8sbootstrap/etcd-snapshots, where the last 10 of these stay for 30 days. If
    cluster.yaml names a bucket (etcd.snapshots.s3), it is uploaded to it. It contains the cluster's secrets.
    """
    if output and not output.parent.is_dir():
        raise click.BadParameter(f"the folder {output.parent} is missing", param_hint="--output")
    plan = load_plan(settings.file)
    store = read_store(plan, settings.file.resolve().parent)
    with Pool() as pool:
        host = snapshot.source(state(look(plan, pool)).members)
        taken = snapshot.take(
            plan,
            pool,
            host,
            "on-demand",
            keep=snapshot.KEPT_ON_DEMAND,
            days=snapshot.DAYS_ON_DEMAND,
        )
        say(f"{megabytes(taken.bytes)} on {taken.host}: {taken.path} (revision {taken.revision})")
        if output:
            digest = snapshot.download(plan, pool, taken, output, lambda _: None)
            output.with_name(f"{output.name}.sha256").write_text(f"{digest}  {output.name}\n")
            say(f"{megabytes(taken.bytes)} here: {output}")
        if store:
            say(f"{megabytes(taken.bytes)} in the bucket: {upload(plan, pool, taken, store)}")


@command.command("defrag")
@click.pass_obj
def defrag(settings: Globals) -> None:
    """Give back disk space that etcd does not use any more.

    One member after another, the leader last, and only while the others have a quorum without it: a member
    answers nothing while it is defragmented. With a single member the API does not answer meanwhile. If a
    database has reached its quota, so that etcd takes no writes, it takes them again afterwards; then the
    others need no quorum.
    """
    plan = load_plan(settings.file)
    with changing_without_record("etcd defrag", plan, settings.file) as pool:
        done = etcd_defrag.defragment(plan, pool, say, _say_freed)
    say(f"{count(len(done), 'member')}: {megabytes(sum(each.freed for each in done))} freed.")


command.add_command(restore)
command.add_command(recover)


def _say_freed(each: etcd_defrag.Defragmented) -> None:
    say(
        f"{each.host}: {megabytes(each.freed)} freed: from {megabytes(each.before)} to "
        f"{megabytes(each.after)}"
    )


def _asked(facts: Facts, found: EtcdState) -> str:
    """The host that looks into the bucket: a healthy member's, else one that answers; empty for none."""
    healthy = [member.host for member in found.members if member.healthy]
    return next(iter([*healthy, *facts.answers]), "")


def _document(found: EtcdState, bucket: BucketState | None, wrong: tuple[str, ...]) -> dict[str, Any]:
    voters = found.voters
    return {
        "ok": not wrong,
        "problems": wrong,
        "cluster": found.cluster,
        "voters": {**asdict(voters), "quorum": voters.quorum, "may_fail": voters.may_fail},
        "members": [{**asdict(each), "lag": found.lag(each)} for each in found.members],
        "snapshots": [asdict(each) for each in found.snapshots],
        "bucket": asdict(bucket) if bucket else None,
    }


def _plain(value: object) -> str:
    assert isinstance(value, datetime)  # noqa: S101 - nothing else is there
    return value.isoformat()
