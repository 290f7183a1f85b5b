"""``k8sbootstrap remove``."""

import sys
from collections.abc import Collection

import click

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.remove import Confirm, RemoveContext, lines_of, run_remove
from k8sbootstrap.cli.authorities import allower
from k8sbootstrap.cli.console import say
from k8sbootstrap.cli.host_names import check_names
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import Command, Globals, accept_new_host_keys_option, yes_option
from k8sbootstrap.formats.text import duration
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.departed import with_departed
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.live import reporter_for
from k8sbootstrap.run.progress import Reporter
from k8sbootstrap.survey import todo_text
from k8sbootstrap.survey.etcd_members import even


@click.command("remove", cls=Command)
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option(
    "--dead",
    is_flag=True,
    help="The hosts don't answer and never will. Their pods are deleted by force, so that they start on "
    "other nodes.",
)
@accept_new_host_keys_option
@yes_option("Do not ask before hosts are removed.", takes_authorities=True)
@click.pass_obj
def command(
    options: Globals, *, names: tuple[str, ...], dead: bool, accept_new_host_keys: bool, yes: bool
) -> None:
    """Take hosts out of the running cluster, one after another.

    Any host can be removed, also the first master. Its pods move to other nodes, its member leaves etcd, its
    Node is deleted, and the other hosts learn the new set of hosts. Then what k8sbootstrap installed on the
    host is removed. What would cost etcd its quorum, or the last master, is refused before anything changes.
    After a failure or Ctrl-C, run it again with the same names: it continues from there.

    Take the hosts out of cluster.yaml, too, before or after.
    """
    named = load_plan(options.file)
    plan = with_departed(named, options.file, names)
    _check_names(plan, names)
    terminal = sys.stdin.isatty()
    if not terminal and not yes:
        raise click.UsageError("This removes hosts. There is no terminal to ask on: add --yes to confirm.")
    reporter = reporter_for(options.console, options.verbosity)
    chosen = RunOptions(
        accept_new_host_keys=accept_new_host_keys,
        ask=asker(reporter) if terminal else None,
        allow_authorities=allower(reporter, yes=yes, text=True),
    )
    confirm = None if yes else confirmer(reporter)
    summary, context = run_remove(plan, options.file, names, chosen, reporter, dead=dead, confirm=confirm)
    print_text = options.console.print
    gone = ", ".join(names)
    if context.nothing_to_do:
        print_text(f"Nothing to do: {gone} {'are' if len(names) > 1 else 'is'} not in the cluster.")
    else:
        print_text(f"Removed in {duration(summary.seconds)}: {gone}.")
    for line in next_steps(plan, context, [host.name for host in named.hosts]):
        print_text(line, markup=False)


def _check_names(plan: ClusterPlan, names: tuple[str, ...]) -> None:
    if not names:
        known = ", ".join(host.name for host in plan.hosts)
        raise click.UsageError(f"Name the hosts to remove. cluster.yaml has {known}.")
    check_names(
        plan,
        names,
        unknown=". If {name} was taken out of cluster.yaml, put it back for this command, which needs its "
        "address and its roles: the state directory does not know it",
    )


def confirmer(reporter: Reporter) -> Confirm:
    """What shows what is to do and lets the user stop it with KeyboardInterrupt."""

    def confirm(context: RemoveContext) -> None:
        with reporter.paused():
            say(f"To remove from the cluster {context.plan.config.name}, one after another:")
            for line in lines_of(context.leaving):
                say(f"  {line}")
            others = todo_text.roles(context.todo)
            if others:
                say("On the other hosts:")
            for line in others:
                say(f"  {line}")
            try:
                go_on = click.confirm("Remove?")
            except click.Abort:
                go_on = False
        if not go_on:
            raise KeyboardInterrupt

    return confirm


def next_steps(plan: ClusterPlan, context: RemoveContext, named: Collection[str]) -> list[str]:
    """What is left for the user.

    Args:
        plan: The cluster with the hosts that left.
        context: How that went.
        named: Hosts that cluster.yaml names.
    """
    names = [each.host.name for each in context.departures]
    lines = []
    for each in context.leaving:
        if each.installed:
            continue
        name = each.host.name
        keys = (
            "the keys of the cluster's CAs and the administrator's kubeconfig are on its disk"
            if each.host.is_master
            else "its certificates are valid until they expire"
        )
        lines.append(
            f"{name} was not reset, and {keys}: destroy its disk. If it ever starts again, run k8sbootstrap "
            f"remove {name} before anything else, with {name} in cluster.yaml."
        )
    endpoint = plan.config.api.endpoint
    if endpoint and any(each.host.is_master for each in context.leaving):
        lines.append(f"Take the masters out of the load balancer at {endpoint}, too.")
    if context.leaving and context.plan.api_endpoint != plan.api_endpoint:
        lines.append(
            f"The admin kubeconfig names {context.plan.masters[0].name}: {context.state.kubeconfig}. Copies "
            f"of it that name {plan.masters[0].name} don't work any more."
        )
    lines += [f"{line}. It learns of this by the next up." for line in todo_text.lost(context.todo)]
    lines += even(context.plan)
    again = [name for name in names if name in named]
    if again:
        them = "them" if len(again) > 1 else "it"
        lines.append(
            f"Next: take {', '.join(again)} out of cluster.yaml. Otherwise the next up adds {them} again."
        )
    return lines
