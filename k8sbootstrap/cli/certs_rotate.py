"""``k8sbootstrap certs rotate-ca``."""

import sys

import click

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.rotate import lines_of, run_rotation
from k8sbootstrap.cli.authorities import allower
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import Command, Globals, accept_new_host_keys_option, yes_option
from k8sbootstrap.cli.questions import confirmer
from k8sbootstrap.formats.text import count, duration
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run.live import reporter_for
from k8sbootstrap.state import State


@click.command("rotate-ca", cls=Command)
@accept_new_host_keys_option
@yes_option("Do not ask before the CAs are replaced.", takes_authorities=True)
@click.pass_obj
def command(options: Globals, *, accept_new_host_keys: bool, yes: bool) -> None:
    """Replace all CAs, and the key of service accounts.

    The cluster works meanwhile. There are three stages: all hosts and pods trust the new CAs too, then the
    new CAs make all certificates, then nobody trusts the old ones. After each, the cluster is verified. In
    each, etcd and the control plane restart on one host after another. Workloads whose pods use the API
    restart once. All hosts have to answer. After a failure or Ctrl-C, run it again: it continues from there.
    """
    plan = load_plan(options.file)
    terminal = sys.stdin.isatty()
    if not terminal and not yes:
        raise click.UsageError(
            "This replaces the CAs of the cluster. There is no terminal to ask on: add --yes to confirm."
        )
    reporter = reporter_for(options.console, options.verbosity)
    chosen = RunOptions(
        accept_new_host_keys=accept_new_host_keys,
        ask=asker(reporter) if terminal else None,
        allow_authorities=allower(reporter, yes=yes, text=True),
    )
    title = f"To replace in the cluster {plan.config.name}: 3 CAs and the key of service accounts"
    confirm = None if yes else confirmer(reporter, title, lines_of, "Replace?")
    summary = run_rotation(plan, options.file, chosen, reporter, confirm=confirm)
    restarts = sum(tasks["restarts"] for tasks in summary.hosts.values())
    kubeconfig = State.beside(options.file, plan.config.name).kubeconfig
    for line in (
        f"CAs replaced in {duration(summary.seconds)}. {count(restarts, 'service')} restarted.",
        f"Admin kubeconfig: {kubeconfig}. Old copies no longer work.",
    ):
        options.console.print(line, markup=False)
