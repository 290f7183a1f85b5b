"""``k8sbootstrap up``."""

import json
import sys
from dataclasses import asdict

import click
from rich.table import Table

from k8sbootstrap.cli.main import Globals
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.preflight.run import CHECK_NAMES
from k8sbootstrap.runner.live import reporter_for
from k8sbootstrap.runner.progress import Reporter
from k8sbootstrap.runner.record import Summary
from k8sbootstrap.runner.up import UpOptions, run_up
from k8sbootstrap.ssh.hostkeys import Ask
from k8sbootstrap.state import State


@click.command("up")
@click.option(
    "--accept-new-host-keys",
    is_flag=True,
    help="Trust the SSH keys of hosts seen for the first time. Changed keys are refused all the same.",
)
@click.option(
    "--ignore-preflight",
    type=click.Choice(CHECK_NAMES),
    metavar="NAME",
    multiple=True,
    help="Go on although this preflight check fails; may be given several times. "
    '"k8sbootstrap -v preflight" lists the names.',
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the summary; with json, progress goes to standard error.",
)
@click.pass_obj
def command(
    options: Globals,
    accept_new_host_keys: bool,  # noqa: FBT001
    ignore_preflight: tuple[str, ...],
    output: str,
) -> None:
    """Bring the cluster up, or back to what cluster.yaml says.

    Checks the hosts, installs what is missing on them, and sees that the cluster works. Run it again at any
    time: where nothing is different, nothing is changed; after a failure or Ctrl-C it goes on from there.
    """
    plan = load_plan(options.file)
    reporter = reporter_for(options.console if output == "text" else options.errors, options.verbosity)
    chosen = UpOptions(
        accept_new_host_keys=accept_new_host_keys,
        ask=_asker(reporter) if sys.stdin.isatty() and output == "text" else None,
        ignore_preflight=ignore_preflight,
    )
    summary = run_up(plan, options.file, chosen, reporter)
    state = State.beside(options.file, plan.config.name)
    if output == "json":
        click.echo(
            json.dumps(asdict(summary) | {"changed": summary.changed, "kubeconfig": str(state.kubeconfig)})
        )
        return
    _print_summary(options, summary, state)


def _asker(reporter: Reporter) -> Ask:
    def ask(host: str, address: str, key_type: str, fingerprint: str) -> bool:
        with reporter.paused():
            click.echo(
                f"{host} ({address}) is new here. Its {key_type} key has the fingerprint {fingerprint}."
            )
            try:
                return click.confirm("Is that the key you expect?")
            except click.Abort:
                raise KeyboardInterrupt from None

    return ask


def _tasks(number: int) -> str:
    return "task" if number == 1 else "tasks"


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
    hosts = f"{len(summary.hosts)} {'host' if len(summary.hosts) == 1 else 'hosts'}"
    if summary.changed:
        print_text(
            f"The cluster is up: {hosts}, {summary.changed} {_tasks(summary.changed)} changed something."
        )
        for name, count in summary.hosts.items():
            print_text(f"  {name}: {count['changed']} changed, {count['ok']} ok")
    else:
        print_text(f"Nothing to change: {hosts}, 0 changed.")
    print_text(f"\nKubeconfig: {state.kubeconfig}", markup=False)
    print_text("Next:")
    for line in (
        f"  export KUBECONFIG={state.kubeconfig}; kubectl get nodes",
        "  k8sbootstrap verify    test everything a cluster does",
        "  k8sbootstrap status    hosts, versions and certificates at a glance",
    ):
        print_text(line, markup=False)
