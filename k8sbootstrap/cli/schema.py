"""``k8sbootstrap schema``."""

import json

import click

from k8sbootstrap.cli.options import Command
from k8sbootstrap.config.schema import json_schema


@click.command(cls=Command)
def command() -> None:
    """Print the JSON Schema of cluster.yaml.

    Editors use it to complete and check the file. Save it as cluster.schema.json and write
    "# yaml-language-server: $schema=cluster.schema.json" into the first line of cluster.yaml.
    """
    click.echo(json.dumps(json_schema(), indent=2))
