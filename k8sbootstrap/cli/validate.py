"""``k8sbootstrap validate``."""

import json
from dataclasses import asdict

import click

from k8sbootstrap.actions.validate import validate_files
from k8sbootstrap.cli.options import Command, Globals, output_option
from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.config.summary import summary
from k8sbootstrap.errors import ConfigError


@click.command(cls=Command)
@output_option("json lists the problems on standard output.")
@click.pass_obj
def command(options: Globals, output: str) -> int:
    """Check cluster.yaml and list everything that is wrong with it.

    Reads the file and the local files that it names, and never uses the network. Charts are rendered if helm
    and the chart are in the cache or in a directory. The exit code is 3 if something is wrong.
    """
    if output == "text":
        config = load_cluster(options.file)
        notes = validate_files(config, options.file)
        click.echo(f"{options.file} is valid: {summary(config)}")
        for note in notes:
            click.echo(f"  {note}")
        return 0
    problems: list[dict[str, object]] = []
    notes = []
    try:
        notes = validate_files(load_cluster(options.file), options.file)
    except ConfigError as exc:
        problems = [asdict(problem) | {"file": str(problem.file)} for problem in exc.problems]
    click.echo(json.dumps({"valid": not problems, "problems": problems, "notes": notes}, indent=2))
    return ConfigError.exit_code if problems else 0
