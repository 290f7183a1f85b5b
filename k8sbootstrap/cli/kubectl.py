"""``k8sbootstrap kubectl``."""

import signal
import sys

import click

from k8sbootstrap.actions.api_access import living, run_kubectl, through_ssh
from k8sbootstrap.cli.options import Globals, PassesOn
from k8sbootstrap.pki import operator_kubeconfig
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.state import State


@click.command("kubectl", cls=PassesOn, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(settings: Globals, arguments: tuple[str, ...]) -> None:
    """Run kubectl as administrator, with any master that answers.

    ARGUMENTS are passed to the kubectl of this machine. If no API server answers this machine, the connection
    goes through SSH to a master. The exit code is that of kubectl.

    Example: k8sbootstrap kubectl get pods -A
    """
    plan = load_plan(settings.file)
    text = operator_kubeconfig.read(State.beside(settings.file, plan.config.name))
    way = living(plan, text)
    signal.signal(signal.SIGINT, lambda *_: None)  # it is for kubectl; a handler is not inherited
    if way is not None:
        sys.exit(run_kubectl(way, arguments))
    with through_ssh(plan, text) as way:
        code = run_kubectl(way, arguments)
    sys.exit(code)
