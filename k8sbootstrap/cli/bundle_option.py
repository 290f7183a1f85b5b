"""The option ``--bundle`` of commands that need the files to install."""

from pathlib import Path

import click

bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Take all files and packages from this bundle, made by "k8sbootstrap bundle create", and from '
    "nowhere else. Default: artifacts.bundle of cluster.yaml.",
)
