"""``k8sbootstrap up``."""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from k8sbootstrap.actions.backup.restoration import give_cluster_file, take_in
from k8sbootstrap.actions.backup.sealed import opened
from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.up import run_up
from k8sbootstrap.checks.hosts import CHECK_NAMES
from k8sbootstrap.checks.upgrade import NAMES as UPGRADE_CHECK_NAMES
from k8sbootstrap.cli.authorities import allower
from k8sbootstrap.cli.backup_key import decrypting, key_for_decrypting
from k8sbootstrap.cli.console import say
from k8sbootstrap.cli.departed import remove_departed
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import (
    Command,
    Globals,
    accept_new_host_keys_option,
    bundle_option,
    output_option,
    yes_option,
)
from k8sbootstrap.formats.text import count
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.live import reporter_for
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.run.record import Summary
from k8sbootstrap.state import State
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.todo import Survey


@click.command("up", cls=Command)
@accept_new_host_keys_option
@click.option(
    "--ignore-preflight",
    type=click.Choice((*CHECK_NAMES, *UPGRADE_CHECK_NAMES)),
    metavar="NAME",
    multiple=True,
    help="Continue if this check of preflight or of an upgrade fails. May be given several times. "
    '"k8sbootstrap -v preflight" lists the names.',
)
@click.option(
    "--limit",
    metavar="HOST",
    multiple=True,
    help="Change only this host. May be given several times. Steps that one master does for the whole "
    "cluster still run.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="First remove the hosts that were taken out of cluster.yaml, as k8sbootstrap remove does.",
)
@click.option(
    "--restore",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Bring the cluster back on empty hosts, from a file of k8sbootstrap backup create. The hosts may be "
    "others. Where there is no cluster.yaml, that of the backup is written.",
)
@decrypting
@yes_option("Do not ask before hosts are changed.", takes_authorities=True)
@output_option("Output format. With json, progress goes to standard error.")
@bundle_option
@click.pass_obj
def command(
    options: Globals,
    *,
    accept_new_host_keys: bool,
    ignore_preflight: tuple[str, ...],
    limit: tuple[str, ...],
    prune: bool,
    restore: Path | None,
    identity: Path | None,
    passphrase_file: Path | None,
    yes: bool,
    output: str,
    bundle: Path | None,
) -> None:
    """Bring the cluster up, or back to what cluster.yaml says.

    Looks at the hosts and shows what there is to do ("k8sbootstrap plan" shows every file). On a terminal it
    asks before it changes anything. At the end it checks that the cluster works. Run it again at any time:
    it changes only what is different, and after a failure or Ctrl-C it continues from there. If a host of a
    running cluster does not answer, it is skipped and reported at the end.
    """
    _check_restore(restore, (identity, passphrase_file), limit=limit, prune=prune)
    terminal = sys.stdin.isatty() and output == "text"
    if restore and not terminal and not yes:
        raise click.UsageError("--restore replaces a cluster. There is no terminal to ask on: add --yes.")
    plan = (
        _take_in(restore, identity, passphrase_file, options, bundle)
        if restore
        else load_plan(options.file, bundle)
    )
    _check_limit(plan, limit)
    if prune and limit:
        raise click.UsageError("--prune removes hosts, and --limit changes only one: use one of them.")
    reporter = reporter_for(options.console if output == "text" else options.errors, options.verbosity)
    chosen = RunOptions(
        accept_new_host_keys=accept_new_host_keys,
        ask=asker(reporter) if terminal else None,
        allow_authorities=allower(reporter, yes=yes, text=output == "text"),
        ignore_preflight=ignore_preflight,
        limit=limit,
        restore=restore is not None,
        confirm=_confirmer(reporter) if terminal and not yes else None,
    )
    if prune:
        if not terminal and not yes:
            raise click.UsageError("--prune removes hosts. There is no terminal to ask on: add --yes.")
        console = options.console if output == "text" else options.errors
        remove_departed(plan, options.file, chosen, reporter_for(console, options.verbosity), ask=not yes)
    summary = run_up(plan, options.file, chosen, reporter)
    state = State.beside(options.file, plan.config.name)
    if output == "json":
        click.echo(
            json.dumps(asdict(summary) | {"changed": summary.changed, "kubeconfig": str(state.kubeconfig)})
        )
        return
    _print_summary(options, summary, state)


def _check_restore(
    restore: Path | None, keys: tuple[Path | None, ...], *, limit: tuple[str, ...], prune: bool
) -> None:
    if restore is None and any(keys):
        raise click.UsageError("--identity and --passphrase-file decrypt the backup that --restore names.")
    if restore and (limit or prune):
        raise click.UsageError("--restore has to do with all hosts: leave out --limit and --prune.")


def _take_in(
    file: Path, identity: Path | None, passphrase_file: Path | None, options: Globals, bundle: Path | None
) -> ClusterPlan:
    """Decrypt a backup, copy what is needed of it into the state directory, and return the plan."""
    key = key_for_decrypting(identity, passphrase_file)
    with opened(file, key) as backup:
        if give_cluster_file(backup, options.file):
            options.errors.print(f"{options.file} was written: it is the one in {file}.", markup=False)
        plan = load_plan(options.file, bundle)
        take_in(backup, plan, options.file)
    return plan


def _check_limit(plan: ClusterPlan, limit: tuple[str, ...]) -> None:
    names = [host.name for host in plan.hosts]
    for name in limit:
        if name not in names:
            raise click.BadParameter(
                f"cluster.yaml has no host {name}; it has {', '.join(names)}", param_hint="--limit"
            )


def _confirmer(reporter: Reporter) -> Callable[[Survey], None]:
    def confirm(todo: Survey) -> None:
        with reporter.paused():
            say("To do:")
            for line in todo_text.summary(todo):
                say(f"  {line}")
            say("To see every file, run: k8sbootstrap plan")
            try:
                go_on = click.confirm("Make these changes?", default=True)
            except click.Abort:
                go_on = False
        if not go_on:
            raise KeyboardInterrupt

    return confirm


def _print_summary(options: Globals, summary: Summary, state: State) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="left")
    table.add_column(justify="right")
    before = [timing for timing in summary.steps if timing.name != "verify"]
    after = [timing for timing in summary.steps if timing.name == "verify"]
    for timing in [*before, *summary.phases, *after]:
        table.add_row(timing.title, f"{timing.seconds:.1f}s")
    table.add_row("Total", f"{summary.seconds:.1f}s")
    print_text = options.console.print
    print_text()
    print_text(table)
    print_text()
    hosts = count(len(summary.hosts), "host")
    if summary.changed:
        print_text(f"The cluster is up: {hosts}, {count(summary.changed, 'task')} made changes.")
        for name, tasks in summary.hosts.items():
            print_text(f"  {name}: {tasks['changed']} changed, {tasks['ok']} ok")
        if line := _restarts(summary):
            print_text(line)
    else:
        print_text(f"Nothing to change: {hosts}, 0 changed.")
    print_text(f"\nKubeconfig: {state.kubeconfig}", markup=False)
    print_text("Next:")
    for line in (
        f"  export KUBECONFIG={shlex.quote(str(state.kubeconfig))}; kubectl get nodes",
        "  k8sbootstrap verify    check that everything in the cluster works",
        "  k8sbootstrap status    hosts, versions and certificates",
        "  k8sbootstrap report    an HTML page about this run: how long it took, what changed",
    ):
        print_text(line, markup=False)


def _restarts(summary: Summary) -> str:
    """What became of the other hosts where some were added; empty where none were."""
    old = [tasks for tasks in summary.hosts.values() if not tasks["new"]]
    if not old or len(old) == len(summary.hosts):
        return ""
    restarts = sum(tasks["restarts"] for tasks in old)
    return f"On the other {count(len(old), 'host')}: {count(restarts, 'restart')} of services."
