"""Options that several commands share; those of all commands go before and after a command."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from k8sbootstrap.cli.console import PlainConsole

FORMS = ("text", "json")
"""Values of ``-o``."""

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass
class Globals:
    """The options of all commands, as ``ctx.obj``; complete once the whole command line is parsed."""

    file: Path = Path("cluster.yaml")
    verbosity: int = 0
    no_color: bool = False
    form: str | None = None
    """The form that -o before the command asks for."""

    @cached_property
    def console(self) -> Console:
        """Human-readable output, on standard output."""
        return PlainConsole(no_color=self.no_color, highlight=False, soft_wrap=True)

    @cached_property
    def errors(self) -> Console:
        """Warnings and errors, on standard error."""
        return PlainConsole(no_color=self.no_color, highlight=False, stderr=True, soft_wrap=True)


def _take_file(context: click.Context, option: click.Parameter, value: Path) -> None:
    if context.get_parameter_source(option.name or "") is not ParameterSource.DEFAULT:
        context.ensure_object(Globals).file = value


def _take_verbosity(context: click.Context, _option: click.Parameter, value: int) -> None:
    context.ensure_object(Globals).verbosity += value


def _take_no_color(context: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001
    context.ensure_object(Globals).no_color |= value


def _take_form(context: click.Context, _option: click.Parameter, value: str | None) -> None:
    given = context.ensure_object(Globals)
    given.form = value or given.form


# Their names differ from those of any command's own arguments.
OF_ALL_COMMANDS = (
    click.Option(
        ["-f", "--file", "cluster_file"],
        type=click.Path(path_type=Path, dir_okay=False),
        default=Globals.file,
        show_default=True,
        expose_value=False,
        callback=_take_file,
        help="File that describes the cluster.",
    ),
    click.Option(
        ["-v", "--verbose", "verbosity"],
        count=True,
        expose_value=False,
        callback=_take_verbosity,
        help="Print more. -vv prints Ansible's own output.",
    ),
    click.Option(
        ["--no-color", "plain"],
        is_flag=True,
        expose_value=False,
        callback=_take_no_color,
        help="Print without colors.",
    ),
)
"""Each may stand before and after the command. Of two files the last one counts; each -v counts."""

FORM_BEFORE_COMMAND = click.Option(
    ["-o", "--output", "form_before_command"],
    type=click.Choice(FORMS),
    expose_value=False,
    callback=_take_form,
    help="Output format, for commands that have this option.",
)


class Command(click.Command):
    """A command that takes the options of all commands too."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, the options of all commands, and --help."""
        *own, help_option = super().get_params(ctx)
        return [*own, *OF_ALL_COMMANDS, help_option]

    def invoke(self, ctx: click.Context) -> Any:
        """Run it.

        Raises:
            click.UsageError: -o came before a command that has no such option.
        """
        form = ctx.ensure_object(Globals).form
        if form and not any(isinstance(param, _FormOption) for param in self.params):
            raise click.UsageError(f'"{ctx.command_path}" has no option "-o {form}"', ctx)
        return super().invoke(ctx)


class PassesOn(Command):
    """A command that passes on what follows its first argument, options such as -f and -v included."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters and --help."""
        return click.Command.get_params(self, ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the options of all commands where they begin ``args``; the rest is passed on as it is.

        Each ``--`` in it is for the other program, but for one right after the argument of this command.
        """
        rest = args[1:] if args[:1] == ["--"] else self._after_options(ctx, args)
        if args[:1] != ["--"] and rest[:1] and rest[0] in ctx.help_option_names:
            return super().parse_args(ctx, rest)
        own = sum(isinstance(each, click.Argument) and each.nargs == 1 for each in self.params)
        if own and rest[own : own + 1] == ["--"]:
            rest = [*rest[:own], *rest[own + 1 :]]
        return super().parse_args(ctx, ["--", *rest])

    @staticmethod
    def _after_options(ctx: click.Context, args: list[str]) -> list[str]:
        leading = click.Command(
            None,
            params=list(OF_ALL_COMMANDS),
            add_help_option=False,
            context_settings={
                "allow_interspersed_args": False,
                "allow_extra_args": True,
                "ignore_unknown_options": True,
                "resilient_parsing": ctx.resilient_parsing,
            },
        )
        return leading.make_context(ctx.info_name, args, parent=ctx).args

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the options of all commands apart: they go before NAME."""
        super().format_options(ctx, formatter)
        records = [option.get_help_record(ctx) for option in OF_ALL_COMMANDS]
        with formatter.section("Options before NAME"):
            formatter.write_dl([record for record in records if record])


class CommandGroup(click.Group):
    """A command with commands of its own, in the order of their definition; all take those options."""

    command_class = Command

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, --help, and the options that may stand before a command."""
        return [*super().get_params(ctx), *OF_ALL_COMMANDS, FORM_BEFORE_COMMAND]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Every command."""
        return list(self.commands)


class _FormOption(click.Option):
    """Has the value that was given before the command, unless one is given after it."""

    def get_default(self, ctx: click.Context, call: bool = True) -> Any:  # noqa: FBT001, FBT002
        return ctx.ensure_object(Globals).form or super().get_default(ctx, call)


def output_option(text: str) -> _Decorator:
    """The option ``-o text|json``, as the parameter ``output``; ``text`` is its help."""
    return click.option(
        "-o",
        "--output",
        cls=_FormOption,
        type=click.Choice(FORMS),
        default="text",
        show_default=True,
        help=text,
    )


def yes_option(text: str, *, takes_authorities: bool = False) -> _Decorator:
    """The option ``--yes``, as the parameter ``yes``.

    Args:
        text: Its help.
        takes_authorities: Whether it also answers the question about masters' certificate authorities.
    """
    more = (
        " If the state directory has no certificate authorities, use those of the masters without asking."
        if takes_authorities
        else ""
    )
    return click.option("-y", "--yes", is_flag=True, help=text + more)


accept_new_host_keys_option = click.option(
    "--accept-new-host-keys",
    is_flag=True,
    help="Trust the SSH keys of hosts that are not known yet. A changed key is still refused.",
)

bundle_option = click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Take all files and packages only from this bundle, made by "k8sbootstrap bundle create". '
    "Default: artifacts.bundle of cluster.yaml.",
)
"""For commands that need the files to install."""
