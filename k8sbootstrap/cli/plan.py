"""``k8sbootstrap plan``."""

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import click
from rich.text import Text

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.plan import HostPreview, PlannedChange, Preview, require_all, run_plan
from k8sbootstrap.cli.authorities import allower
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
from k8sbootstrap.plan.changes import Change
from k8sbootstrap.plan.phases import title
from k8sbootstrap.run.live import reporter_for
from k8sbootstrap.survey.todo import IN_CLUSTER
from k8sbootstrap.survey.todo_text import unplanned

CHANGES_EXIT_CODE = 11
"""With --detailed-exitcode: there are changes to make."""
_SIGNS = {
    "add": "+",
    "close": "-",
    "drain": "!",
    "install": "+",
    "load": "+",
    "open": "+",
    "reload": "!",
    "remove": "-",
    "restart": "!",
}
_VERBS = {
    "add": "add",
    "apply": "apply",
    "change": "change",
    "close": "close",
    "drain": "drain",
    "enable": "enable",
    "install": "install package",
    "load": "load",
    "mode": "set mode or owner of",
    "open": "open",
    "reload": "reload",
    "remove": "remove",
    "restart": "restart",
    "set": "set",
    "start": "start",
    "stop": "stop",
    "uncordon": "uncordon",
}
_OBJECTS = {
    "drain": "node",
    "load": "kernel module",
    "set": "labels or taints of node",
    "uncordon": "node",
}
_CAUSES = {
    "drift": "changed on the host",
    "configuration": "cluster.yaml or k8sbootstrap changed",
    "cluster": "changed in the cluster",
    "renewal": "the certificate ends soon",
}
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@click.command("plan", cls=Command)
@accept_new_host_keys_option
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help=f"Exit with {CHANGES_EXIT_CODE} if there are changes to make, with 0 if there are none.",
)
@yes_option(
    "If the state directory has no certificate authorities, use those of the masters for the plan, "
    "without asking. The state directory is not changed."
)
@output_option("Output format. With json, progress goes to standard error.")
@bundle_option
@click.pass_obj
def command(
    options: Globals,
    *,
    accept_new_host_keys: bool,
    detailed_exitcode: bool,
    yes: bool,
    output: str,
    bundle: Path | None,
) -> int:
    """Show what "up" would do now, host by host. Changes nothing.

    Lists files with their differences, services that would restart and why, packages, kernel settings, and
    nodes to add. For each it says what changed since the last run: cluster.yaml, this program, or the host.
    Contents of secrets are never shown. Hosts that do not answer are named; the plan covers the others.
    """
    plan = load_plan(options.file, bundle)
    reporter = reporter_for(options.errors, options.verbosity)
    chosen = RunOptions(
        accept_new_host_keys=accept_new_host_keys,
        ask=asker(reporter) if sys.stdin.isatty() and output == "text" else None,
        allow_authorities=allower(reporter, yes=yes, text=output == "text"),
    )
    preview = run_plan(plan, options.file, chosen, reporter)
    if output == "json":
        click.echo(json.dumps(preview.to_json(), indent=2))
    else:
        for line in _lines(preview):
            options.console.print(line)
    require_all(preview)
    return CHANGES_EXIT_CODE if detailed_exitcode and preview.changes else 0


def _lines(preview: Preview) -> Iterator[Text]:
    if preview.upgrade:
        yield Text("Upgrade", style="bold")
        for line in preview.upgrade.lines():
            yield Text(f"  {line}")
        yield Text()
    if preview.etcd:
        yield Text(preview.etcd.line(), style="bold")
    for node in preview.unplanned:
        yield Text(unplanned(node.name, str(node.address)), style="yellow")
    for host in preview.hosts:
        if host.changes or host.error:
            yield from _of_host(host)
    if not preview.changes:
        yield Text("Nothing to change.")
        return
    changed = [host for host in preview.hosts if host.changes]
    restarts = sum(planned.change.action == "restart" for host in preview.hosts for planned in host.changes)
    yield Text(
        f"\n{count(preview.changes, 'change')} on {count(len(changed), 'host')}, "
        f"{count(restarts, 'service restart')}. Nothing was changed. To make these changes, run: "
        "k8sbootstrap up"
    )


def _of_host(host: HostPreview) -> Iterator[Text]:
    yield Text(host.name, style="bold")
    if host.error:
        yield Text(f"  {host.error}", style="red")
    for phase, changes in groupby(host.changes, key=lambda planned: planned.phase):
        yield Text(f"  {title(phase)}")
        for planned in changes:
            yield from _entry(planned)


def _entry(planned: PlannedChange) -> Iterator[Text]:
    change = planned.change
    sign = _SIGNS.get(change.action, "~")
    yield Text(f"    {sign} {_words(change)}", style=_STYLES.get(sign, "")).append(
        _because(change), style="dim"
    )
    for line in planned.diff.splitlines()[2:]:
        yield Text(f"        {line}", style=_STYLES.get(line[:1], "dim"))


def _words(change: Change) -> str:
    what = _OBJECTS.get(change.action, "") if change.kind in {"node", "module"} else ""
    named = {"boolean", "directory", "image", "route", "rule", "sysctl", "user"}
    kind = change.kind if change.kind in named else what
    return " ".join(word for word in (_VERBS.get(change.action, ""), kind, change.name) if word)


def _because(change: Change) -> str:
    causes = {**_CAUSES, "drift": "changed in the cluster"} if change.kind in IN_CLUSTER else _CAUSES
    reasons = [causes[cause] for cause in change.causes if cause in causes]
    if change.why:
        reasons.append(f"for {', '.join(change.why)}")
    return f" ({'; '.join(reasons)})" if reasons else ""
