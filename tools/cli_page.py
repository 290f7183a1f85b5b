"""The reference of the command line: ``python -m tools.cli_page > docs/cli.md``."""

import inspect
import sys
from collections.abc import Iterator

import click

from k8sbootstrap.cli.main import cli

_HEAD = """\
# Command line

Generated from the commands with `python -m tools.cli_page`; do not edit it by hand.
`k8sbootstrap COMMAND --help` prints the same. [Exit codes](exit-codes.md) are a page of their own.

"""

_COMPLETION = """
## Shell completion

Once the shell has read one of these lines, Tab completes commands and options. `k8sbootstrap`
must be in its `PATH`.

```
eval "$(_K8SBOOTSTRAP_COMPLETE=bash_source k8sbootstrap)"  # bash: at the end of ~/.bashrc
eval "$(_K8SBOOTSTRAP_COMPLETE=zsh_source k8sbootstrap)"   # zsh: at the end of ~/.zshrc, after compinit
_K8SBOOTSTRAP_COMPLETE=fish_source k8sbootstrap | source  # fish: ~/.config/fish/completions/k8sbootstrap.fish
```
"""

_MORE = {
    "k8sbootstrap init": ("configuration.md", "every key of cluster.yaml"),
    "k8sbootstrap validate": ("configuration.md", "every key of cluster.yaml"),
    "k8sbootstrap render": ("playbooks.md", "the playbooks alone"),
    "k8sbootstrap preflight": ("preflight.md", "the checks and their names"),
    "k8sbootstrap up": ("architecture.md", "what happens in which order"),
    "k8sbootstrap verify": ("verify.md", "the checks and the output"),
    "k8sbootstrap status": ("verify.md#status", "the fields of its JSON"),
    "k8sbootstrap certs": ("certificates.md", "how they are renewed, and users"),
    "k8sbootstrap doctor": ("doctor.md", "all findings, and the output"),
    "k8sbootstrap support": ("doctor.md#an-archive-for-somebody-who-helps", "what is in it, and what is not"),
    "k8sbootstrap etcd": ("etcd.md", "the output, snapshots, and what to do when data is lost"),
    "k8sbootstrap backup": ("backup.md", "what is in it, keys, and what verify does"),
    "k8sbootstrap bundle": ("bundle.md", "what is in it, and how hosts are given packages"),
    "k8sbootstrap report": ("report.md", "what the page shows"),
    "k8sbootstrap kubeconfig": ("verify.md#kubeconfig", "examples"),
    "k8sbootstrap lab": ("lab.md", "the lab"),
}
"""Pages that say more, by command."""

_KEEP_LINES = "\b"
"""click's mark for a paragraph whose lines stay as they are."""


def cli_reference() -> str:
    """The whole page: one section per command, in the order of ``k8sbootstrap --help``."""
    sections = [_section(context) for context in walk(click.Context(cli, info_name="k8sbootstrap"))]
    sections.insert(1, _COMPLETION)
    return _HEAD + "".join(sections).lstrip("\n")


def walk(context: click.Context) -> Iterator[click.Context]:
    """A command and all below it, outer before inner."""
    yield context
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None  # noqa: S101
            yield from walk(click.Context(command, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command, path = context.command, context.command_path
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    parts = [
        "",
        f"{'#' * max(2, len(path.split()))} {path}",
        "",
        "```",
        usage,
        "```",
        "",
        *_paragraphs(command),
    ]
    if path in _MORE:
        page, title = _MORE[path]
        parts += [f"More: [{title}]({page}).", ""]
    options = [param for param in command.params if isinstance(param, click.Option)]
    if options:
        parts += ["| option | default | description |", "|---|---|---|", *map(_row, options), ""]
    return "\n".join(parts)


def _paragraphs(command: click.Command) -> Iterator[str]:
    """The help text as lines of Markdown."""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith(_KEEP_LINES):
            yield from ("```", *paragraph.splitlines()[1:], "```", "")
        else:
            yield from (paragraph, "")


def _row(option: click.Option) -> str:
    value = "" if option.is_flag or option.count else f" {_value(option)}"
    names = "`, `".join(option.opts)
    return f"| `{names}{value}` | {_default(option)} | {_cell(option.help or '')} |"


def _value(option: click.Option) -> str:
    """What stands for the option's value."""
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return _cell("|".join(option.type.choices))
    if isinstance(option.type, click.IntRange):
        return f"{option.type.min}..{option.type.max}"
    if isinstance(option.type, click.Path):
        return "FILE" if option.type.file_okay else "DIRECTORY"
    return option.type.name.upper()


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    if isinstance(option.show_default, str):
        return option.show_default
    return f"`{option.default}`" if option.show_default else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(cli_reference())
