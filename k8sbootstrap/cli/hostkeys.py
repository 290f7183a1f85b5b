"""The question about the key of a host that is seen for the first time."""

import click

from k8sbootstrap.cli.console import say
from k8sbootstrap.hosts.host_keys import Ask
from k8sbootstrap.run.progress import Reporter


def asker(reporter: Reporter) -> Ask:
    """Asks on the terminal, which ``reporter`` leaves free meanwhile."""

    def ask(host: str, address: str, key_type: str, fingerprint: str) -> bool:
        with reporter.paused():
            say(
                f"{host} ({address}) is not a known host yet. The fingerprint of its {key_type} key is "
                f"{fingerprint}."
            )
            try:
                return click.confirm("Is this the right key?")
            except click.Abort:
                raise KeyboardInterrupt from None

    return ask
