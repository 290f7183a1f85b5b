"""``k8sbootstrap adopt``."""

import sys
from collections.abc import Iterator

import click

from k8sbootstrap.actions.adopt import AdoptContext, run_adopt
from k8sbootstrap.actions.context import RunOptions
from k8sbootstrap.cli.authorities import allower
from k8sbootstrap.cli.hostkeys import asker
from k8sbootstrap.cli.options import Command, Globals, accept_new_host_keys_option, yes_option
from k8sbootstrap.config.models.addons import ChartManifest
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.run.live import reporter_for


@click.command("adopt", cls=Command)
@accept_new_host_keys_option
@yes_option("Do not ask before the CAs and keys of the masters are used.")
@click.pass_obj
def command(options: Globals, *, accept_new_host_keys: bool, yes: bool) -> None:
    """Read the state of a running cluster back from its masters.

    Use it if the state directory is lost, or on another machine that has a copy of cluster.yaml. Any master
    that answers will do. It shows the hosts, the release and the fingerprints of the CAs, and asks before it
    copies the CAs and their keys to the state directory. If masters have different ones, it copies nothing.
    Nothing is changed on any host. If the state is there already, it is only compared with the masters.
    """
    plan = load_plan(options.file)
    reporter = reporter_for(options.console, options.verbosity)
    chosen = RunOptions(
        accept_new_host_keys=accept_new_host_keys,
        ask=asker(reporter) if sys.stdin.isatty() else None,
        allow_authorities=allower(reporter, yes=yes, text=True),
    )
    for line in _result(run_adopt(plan, options.file, chosen, reporter)):
        options.console.print(line, markup=False)


def _result(context: AdoptContext) -> list[str]:
    name, directory = context.plan.config.name, context.state.directory
    if context.was_there:
        return [f"This machine has the state of the cluster {name} already. Nothing was changed."]
    return [
        f"This machine now has the state of the cluster {name}: {directory}",
        "Masters do not have these, so they are not in it:",
        *(f"  {line}" for line in _missing(context)),
        "Next: k8sbootstrap plan",
    ]


def _missing(context: AdoptContext) -> Iterator[str]:
    yield "the list of users to whom kubeconfigs were issued (certs users); the kubeconfigs stay valid"
    yield "the records of earlier runs (report)"
    yield "hashes of files that are not in the catalogue; the next up keeps those of the files that it gets"
    if any(isinstance(each, ChartManifest) for each in context.plan.config.manifests):
        yield "rendered charts; one that makes passwords makes new ones (plan names what changes)"
