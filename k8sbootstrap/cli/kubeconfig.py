"""``k8sbootstrap kubeconfig``."""

import datetime as dt
import os
import shlex
from pathlib import Path

import click

from k8sbootstrap.actions.api_access import living
from k8sbootstrap.cli.options import Command, Globals
from k8sbootstrap.pki import operator_kubeconfig, x509
from k8sbootstrap.pki.kubeconfig import render
from k8sbootstrap.pki.users import NewUser, issue_user, problem_with
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State

_DAYS = 30
"""That a user's certificate lasts, if no other number is given."""


@click.command("kubeconfig", cls=Command)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it to FILE with mode 0600, do not print it.",
)
@click.option(
    "--merge", is_flag=True, help="Merge it into your kubeconfig and make its context the current one."
)
@click.option(
    "--kubeconfig",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to merge it into. Default: the first file of $KUBECONFIG, else ~/.kube/config.",
)
@click.option("--user", metavar="NAME", help="Issue a kubeconfig to this user instead.")
@click.option(
    "--group",
    "groups",
    metavar="GROUP",
    multiple=True,
    help="A group of the user. May be given several times.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    metavar="DAYS",
    help=f"How long the user's certificate lasts. Default: {_DAYS}.",
)
@click.pass_obj
def command(
    settings: Globals,
    *,
    output: Path | None,
    merge: bool,
    target: Path | None,
    user: str | None,
    groups: tuple[str, ...],
    days: int | None,
) -> None:
    """Print the admin kubeconfig, or issue one to a user.

    Anyone who has the admin kubeconfig can do everything in the cluster: keep it secret. A user can do what
    RBAC allows the user and the groups. Kubernetes can't withdraw a user's certificate before it expires:
    choose few days, and take away rights by RBAC. "k8sbootstrap certs users" lists what was issued.

    With --merge it is merged into yours, and all other contexts stay. The context and its user are named
    USER@CLUSTER. The file names api.endpoint or api.virtualIP of cluster.yaml, or else a master whose API
    answers now.
    """
    _check_user(user, groups, days)
    if merge and output:
        raise click.UsageError("--merge and --output cannot be used together.")
    if target and not merge:
        raise click.UsageError("--kubeconfig needs --merge.")
    plan = load_plan(settings.file)
    name = plan.config.name
    state = State.beside(settings.file, name)
    made = operator_kubeconfig.read(state)
    text = _with_living_server(settings, plan, made)
    if user is not None:
        life = dt.timedelta(days=days or _DAYS)
        text = _issued(settings, state, text, NewUser(user, groups, life))
    if merge:
        target = target or operator_kubeconfig.default_target(os.environ)
        context = operator_kubeconfig.merge(text, name, target, user or operator_kubeconfig.ADMIN)
        message = f"{target} now has the context {context}. It is the current context."
    elif output:
        operator_kubeconfig.write(text, output)
        message = f"Written to {output}. Try: kubectl --kubeconfig {shlex.quote(str(output))} get nodes"
    else:
        click.echo(text, nl=False)
        return
    settings.console.print(message, markup=False)


def _check_user(user: str | None, groups: tuple[str, ...], days: int | None) -> None:
    if user is None:
        if groups or days is not None:
            raise click.UsageError("--group and --days need --user.")
        return
    for option, names in (("--user", (user,)), ("--group", groups)):
        for each in names:
            if problem := problem_with(each):
                raise click.BadParameter(problem, param_hint=option)


def _issued(settings: Globals, state: State, admin: str, user: NewUser) -> str:
    """A new kubeconfig of a user, for the cluster and the server of the admin kubeconfig."""
    pair = issue_user(state, user)
    end = pair.certificate.not_valid_after_utc
    bound = "" if end - x509.now() > user.life - dt.timedelta(hours=1) else ", when the cluster's CA ends"
    groups = f" (groups: {', '.join(user.groups)})" if user.groups else ""
    settings.errors.print(f"{user.name}{groups}: valid until {end:%Y-%m-%d %H:%M} UTC{bound}.", markup=False)
    return render(
        cluster=state.directory.name,
        user=user.name,
        server=operator_kubeconfig.server_of(admin),
        ca_pem=operator_kubeconfig.ca_of(admin),
        pair=pair,
    ).decode()


def _with_living_server(settings: Globals, plan: ClusterPlan, text: str) -> str:
    """The kubeconfig with a master that answers; without one, as it is."""
    way = living(plan, text)
    server = operator_kubeconfig.server_of(text)
    if way is None:
        settings.errors.print(
            f"Note: no API server answers this machine; the file names {server}. If only SSH gets through, "
            'use "k8sbootstrap kubectl".',
            markup=False,
        )
        return text
    found = operator_kubeconfig.server_of(way.kubeconfig)
    if found != server:
        settings.errors.print(f"Note: the file names {found}: {server} does not answer.", markup=False)
    return way.kubeconfig
