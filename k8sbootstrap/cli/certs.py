"""``k8sbootstrap certs``."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime

import click
from rich.text import Text

from k8sbootstrap.cli.certs_renew import command as renew
from k8sbootstrap.cli.certs_rotate import command as rotate
from k8sbootstrap.cli.options import CommandGroup, Globals, output_option
from k8sbootstrap.errors import HostError, VerifyError
from k8sbootstrap.formats.text import count
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki.users import User, issued_users
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.state import State
from k8sbootstrap.survey.certificates import Certificates, FoundCertificate, look

_NAMED = 5


@click.group("certs", cls=CommandGroup)
def command() -> None:
    """Show and renew the certificates of the cluster, also its CAs."""


@command.command("status")
@click.option(
    "--warn-days",
    type=click.IntRange(0, 36500),
    default=30,
    show_default=True,
    help="Fail if a certificate has less than this number of days left.",
)
@output_option("text: soonest to expire first; -v also shows SANs. json: everything.")
@click.pass_obj
def status(settings: Globals, *, warn_days: int, output: str) -> None:
    """List every certificate, on all hosts and on this machine.

    Shows certificates of servers and clients, those in kubeconfigs, and CAs. The exit code is 6 if one has
    less than --warn-days left, and 5 if a host could not be asked. Changes nothing.
    """
    plan = load_plan(settings.file)
    with Pool() as pool:
        found = look(plan, pool, State.beside(settings.file, plan.config.name))
    if output == "json":
        click.echo(_as_json(found, warn_days))
    else:
        for line in _lines(found, warn_days, sans=settings.verbosity > 0):
            settings.console.print(line, soft_wrap=True)
    expiring = found.expiring(warn_days)
    if expiring:
        names = "; ".join(f"{each.path} on {each.host}" for each in expiring[:_NAMED])
        more = f"; and {len(expiring) - _NAMED} more" if len(expiring) > _NAMED else ""
        raise VerifyError(
            f"{count(len(expiring), 'certificate')} with less than {count(warn_days, 'day')} left: "
            + names
            + more,
            hint="To renew certificates: k8sbootstrap certs renew. "
            "To replace CAs: k8sbootstrap certs rotate-ca.",
        )
    if found.lost:
        raise HostError("\n".join(found.lost.values()), hint="k8sbootstrap status shows which hosts answer.")


def _as_json(found: Certificates, warn_days: int) -> str:
    document = {
        "ok": not found.expiring(warn_days) and not found.lost,
        "certificates": [asdict(each) for each in found.found],
        "lost": dict(found.lost),
    }
    return json.dumps(document, indent=2, default=_plain)


def _plain(value: object) -> str:
    assert isinstance(value, datetime)  # noqa: S101 - nothing else is there
    return value.isoformat()


def _user_lines(found: Sequence[User]) -> Iterator[Text]:
    names = max([4, *(len(user.name) for user in found)])
    yield Text(f"{'days':>6}  {'expires':<10}  {'issued':<10}  {'user':<{names}}  groups", "bold")
    for user in found:
        style = "dim" if user.days_left < 0 else ""
        yield Text(
            f"{user.days_left:>6}  {user.expires:%Y-%m-%d}  {user.issued:%Y-%m-%d}  {user.name:<{names}}  "
            f"{', '.join(user.groups)}".rstrip(),
            style,
        )


def _lines(found: Certificates, warn_days: int, *, sans: bool) -> Iterator[Text]:
    hosts = max([4, *(len(each.host) for each in found.found)])
    paths = max([4, *(len(each.path) for each in found.found)])
    yield Text(
        f"{'days':>6}  {'expires':<10}  {'host':<{hosts}}  {'file':<{paths}}  subject (issuer)", "bold"
    )
    for each in found.found:
        style = "bold red" if each.days_left < 0 else "yellow" if each.days_left < warn_days else ""
        yield Text(f"{each.days_left:>6}  {each.not_after:%Y-%m-%d}  ", style).append(
            f"{each.host:<{hosts}}  {each.path:<{paths}}  {_who(each)}", ""
        )
        if sans and each.sans:
            yield Text(f"{'':>20}{', '.join(each.sans)}")


def _who(each: FoundCertificate) -> str:
    return f"{each.subject} (CA)" if each.authority else f"{each.subject} ({each.issuer})"


@command.command("users")
@output_option("text: soonest to expire first. json: everything.")
@click.pass_obj
def users(settings: Globals, *, output: str) -> None:
    """List the certificates issued to users from this machine.

    "k8sbootstrap kubeconfig --user" issues them. Asks no host.
    """
    plan = load_plan(settings.file)
    found = issued_users(State.beside(settings.file, plan.config.name))
    if output == "json":
        click.echo(json.dumps({"users": [asdict(user) for user in found]}, indent=2, default=_plain))
        return
    if not found:
        settings.console.print("No kubeconfig was issued to a user from here.")
    else:
        for line in _user_lines(found):
            settings.console.print(line, soft_wrap=True)


command.add_command(renew)
command.add_command(rotate)
