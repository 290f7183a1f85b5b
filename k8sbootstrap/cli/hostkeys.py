"""The question about the key of a host that is seen for the first time."""

import click

from k8sbootstrap.cli.console import say
from k8sbootstrap.hosts.host_keys import Ask
from k8sbootstrap.run.progress import Reporter


def asker(reporter: Reporter) -> Ask:
    """Asks on the terminal, which ``reporter`` leaves free meanwhile."""

    def ask(host: str, address: str, key_type: str, fingerprint: str) -> bool:
        with reporter.paused():
            say(f"{host} ({address}) is new here. Its {key_type} key has the fingerprint {fingerprint}.")
            try:
                return click.confirm("Is that the key you expect?")
            except click.Abort:
                raise KeyboardInterrupt from None

    return ask
