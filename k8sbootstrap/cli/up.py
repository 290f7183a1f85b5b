"""``k8sbootstrap up``."""

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table

from k8sbootstrap.actions.up import UpOptions, run_up
from k8sbootstrap.checks.hosts import CHECK_NAMES
from k8sbootstrap.checks.upgrade import NAMES as UPGRADE_CHECK_NAMES
from k8sbootstrap.cli.authorities import allower
from k8sbootstrap.cli.console import say
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
    help="Go on although this check of preflight or of an upgrade fails; may be given several times. "
    '"k8sbootstrap -v preflight" lists the names.',
)
@click.option(
    "--limit",
    metavar="HOST",
    multiple=True,
    help="Change only this host; may be given several times. What is done on one master for the whole "
    "cluster is done all the same.",
)
@yes_option(
    "Do not ask before changing hosts, as is done on a terminal, nor whether to take over certificate "
    "authorities that masters have where the state directory has none."
)
@output_option("Form of the summary; with json, progress goes to standard error.")
@bundle_option
@click.pass_obj
def command(
    options: Globals,
    *,
    accept_new_host_keys: bool,
    ignore_preflight: tuple[str, ...],
    limit: tuple[str, ...],
    yes: bool,
    output: str,
    bundle: Path | None,
) -> None:
    """Bring the cluster up, or back to what cluster.yaml says.

    Looks at the hosts, says what is to do ("k8sbootstrap plan" shows every file), asks on a terminal, does
    it, and sees that the cluster works. Run it again at any time: where nothing is different, nothing is
    changed; after a failure or Ctrl-C it goes on from there. A host of a running cluster that does not answer
    is left out and reported at the end.
    """
    plan = load_plan(options.file, bundle)
    _check_limit(plan, limit)
    reporter = reporter_for(options.console if output == "text" else options.errors, options.verbosity)
    terminal = sys.stdin.isatty() and output == "text"
    chosen = UpOptions(
        accept_new_host_keys=accept_new_host_keys,
        ask=asker(reporter) if terminal else None,
        allow_authorities=allower(reporter, yes=yes, text=output == "text"),
        ignore_preflight=ignore_preflight,
        limit=limit,
        confirm=_confirmer(reporter) if terminal and not yes else None,
    )
    summary = run_up(plan, options.file, chosen, reporter)
    state = State.beside(options.file, plan.config.name)
    if output == "json":
        click.echo(
            json.dumps(asdict(summary) | {"changed": summary.changed, "kubeconfig": str(state.kubeconfig)})
        )
        return
    _print_summary(options, summary, state)


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
            say("k8sbootstrap plan shows every file.")
            try:
                go_on = click.confirm("Do it?", default=True)
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
    table.add_row("Altogether", f"{summary.seconds:.1f}s")
    print_text = options.console.print
    print_text()
    print_text(table)
    print_text()
    hosts = count(len(summary.hosts), "host")
    if summary.changed:
        print_text(f"The cluster is up: {hosts}, {count(summary.changed, 'task')} changed something.")
        for name, tasks in summary.hosts.items():
            print_text(f"  {name}: {tasks['changed']} changed, {tasks['ok']} ok")
    else:
        print_text(f"Nothing to change: {hosts}, 0 changed.")
    print_text(f"\nKubeconfig: {state.kubeconfig}", markup=False)
    print_text("Next:")
    for line in (
        f"  export KUBECONFIG={shlex.quote(str(state.kubeconfig))}; kubectl get nodes",
        "  k8sbootstrap verify    test everything a cluster does",
        "  k8sbootstrap status    hosts, versions and certificates at a glance",
        "  k8sbootstrap report    a page about this run: where the time went, what changed",
    ):
        print_text(line, markup=False)
