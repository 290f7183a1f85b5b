"""``k8sbootstrap certs renew``."""

import datetime as dt
import sys

import click

from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.actions.renew import RenewContext, lines_of, run_renew
from k8sbootstrap.cli.authorities import allower
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import Command, Globals, accept_new_host_keys_option, yes_option
from k8sbootstrap.cli.questions import confirmer
from k8sbootstrap.formats.text import count, duration
from k8sbootstrap.pki import x509
from k8sbootstrap.pki.choice import Choice
from k8sbootstrap.pki.table import OPERATOR_KUBECONFIG
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.run.live import reporter_for
from k8sbootstrap.run.record import Summary
from k8sbootstrap.survey.renewal import bounds


@click.command("renew", cls=Command)
@click.argument("names", metavar="[HOST...]", nargs=-1)
@click.option(
    "--less-than",
    type=click.IntRange(1, 36500),
    metavar="DAYS",
    help=f"Renew certificates with less than this number of days left. Default: {x509.RENEW_BEFORE.days}.",
)
@click.option("--all", "every", is_flag=True, help="Renew all certificates.")
@accept_new_host_keys_option
@yes_option("Do not ask before certificates are renewed.", takes_authorities=True)
@click.pass_obj
def command(
    options: Globals,
    *,
    names: tuple[str, ...],
    less_than: int | None,
    every: bool,
    accept_new_host_keys: bool,
    yes: bool,
) -> None:
    """Renew certificates, and bring them to the hosts.

    The API server, etcd and the kubelet read new certificates without a restart. Other services restart, on
    one host after another. CAs stay as they are. With HOST, only certificates of these hosts are renewed, and
    none that hosts share. After a failure or Ctrl-C, run it again: it continues from there.

    "k8sbootstrap up" renews certificates with less than 30 days left in the same way.
    """
    if every and less_than is not None:
        raise click.UsageError("--all and --less-than cannot be used together.")
    plan = load_plan(options.file)
    _check_names(plan, names)
    terminal = sys.stdin.isatty()
    if not terminal and not yes:
        raise click.UsageError(
            "This renews certificates. There is no terminal to ask on: add --yes to confirm."
        )
    reporter = reporter_for(options.console, options.verbosity)
    chosen = RunOptions(
        accept_new_host_keys=accept_new_host_keys,
        ask=asker(reporter) if terminal else None,
        allow_authorities=allower(reporter, yes=yes, text=True),
    )
    choice = Choice(
        left=x509.RENEW_BEFORE if less_than is None else dt.timedelta(days=less_than),
        every=every,
        hosts=frozenset(names) if names else None,
    )
    title = f"To renew in the cluster {plan.config.name}:"
    confirm = None if yes else confirmer(reporter, title, lines_of, "Renew?")
    summary, context = run_renew(plan, options.file, choice, chosen, reporter, confirm=confirm)
    for line in _result(summary, context):
        options.console.print(line, markup=False)


def _check_names(plan: ClusterPlan, names: tuple[str, ...]) -> None:
    known = [host.name for host in plan.hosts]
    for name in names:
        if name not in known:
            raise click.BadParameter(
                f"cluster.yaml has no host {name}; it has {', '.join(known)}", param_hint="HOST"
            )


def _result(summary: Summary, context: RenewContext) -> list[str]:
    if context.nothing_to_do:
        left = context.choice.left.days
        return [f"Nothing to renew: no certificate has less than {count(left, 'day')} left."] + [
            line[0].upper() + line[1:] + "." for line in bounds(context.outlook)
        ]
    restarts = sum(tasks["restarts"] for tasks in summary.hosts.values())
    made = count(len(context.outlook.due), "certificate")
    lines = [f"Renewed in {duration(summary.seconds)}: {made}. {count(restarts, 'service')} restarted."]
    lines += [line[0].upper() + line[1:] + "." for line in bounds(context.outlook)]
    if any(entry.name == OPERATOR_KUBECONFIG for entry in context.outlook.due):
        lines.append(f"Admin kubeconfig: {context.state.kubeconfig}. Old copies work until they expire.")
    return lines
