"""The command group, and the one place where errors become exit codes."""

import importlib
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from k8sbootstrap import __version__
from k8sbootstrap.cli.console import say
from k8sbootstrap.cli.options import FORM_BEFORE_COMMAND, OF_ALL_COMMANDS, Globals
from k8sbootstrap.errors import K8sBootstrapError

COMMANDS = (
    "init",
    "validate",
    "schema",
    "render",
    "preflight",
    "plan",
    "up",
    "verify",
    "status",
    "doctor",
    "support",
    "report",
    "certs",
    "etcd",
    "backup",
    "adopt",
    "kubeconfig",
    "kubectl",
    "reboot",
    "stop",
    "start",
    "remove",
    "reset",
    "bundle",
    "lab",
)
"""In the order a newcomer meets them. Each is ``command`` in the module of the same name beside this one."""

_MEANT = (K8sBootstrapError, click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError)
"""Errors that ``main`` turns into an exit code."""


class LazyGroup(click.Group):
    """Imports a command's module only when that command is asked for: the others cost nothing at start."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command, in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"k8sbootstrap.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An unexpected exception becomes one line, with -v a traceback."""
        try:
            Path.cwd()
        except FileNotFoundError as exc:
            raise click.UsageError(
                "The current folder was removed. Change to the folder of cluster.yaml."
            ) from exc
        try:
            return super().invoke(ctx)
        except _MEANT:
            raise
        except Exception as exc:
            hint = "This is a bug. Run the command with -v, which prints the traceback, and report it."
            if ctx.ensure_object(Globals).verbosity:
                traceback.print_exc()
                hint = "This is a bug. Report it with the traceback above."
            first_line = str(exc).partition("\n")[0]
            raise K8sBootstrapError(f"Unexpected {type(exc).__name__}: {first_line}", hint=hint) from exc


@click.group(
    cls=LazyGroup,
    params=[*OF_ALL_COMMANDS, FORM_BEFORE_COMMAND],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="k8sbootstrap")
def cli() -> None:
    """Turn bare Linux hosts into a highly available Kubernetes cluster, and keep it as cluster.yaml says.

    Start with "k8sbootstrap init --master ADDRESS --worker ADDRESS". Check the cluster.yaml that it writes,
    then run "k8sbootstrap up". If you have no hosts, "k8sbootstrap lab up" starts some on this machine.

    The options below can stand before or after the command: k8sbootstrap up -f other.yaml
    """


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: the entry point of the ``k8sbootstrap`` script."""
    try:
        result: Any = cli.main(args=args, prog_name="k8sbootstrap", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except K8sBootstrapError as exc:
        say(f"{exc}", err=True)
        if exc.hint:
            say(f"Next: {exc.hint}", err=True)
        sys.exit(exc.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    sys.exit(result if isinstance(result, int) else 0)
