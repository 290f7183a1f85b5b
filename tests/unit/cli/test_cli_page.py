"""docs/cli.md says what the commands say."""

from pathlib import Path

import click
import pytest

from k8sbootstrap.cli.main import COMMANDS, cli
from tools.cli_page import cli_reference, walk

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"
CONTEXTS = list(walk(click.Context(cli, info_name="k8sbootstrap")))


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == cli_reference(), "python -m tools.cli_page > docs/cli.md"


def test_every_command_has_a_section_in_the_order_of_help() -> None:
    headings = [line.lstrip("# ") for line in cli_reference().splitlines() if line.startswith("#")]
    top = [name for name in headings if name.startswith("k8sbootstrap ") and len(name.split()) == 2]
    assert top == [f"k8sbootstrap {name}" for name in COMMANDS]
    assert {context.command_path for context in CONTEXTS} <= set(headings)
    assert "k8sbootstrap lab exec" in headings


def test_options_with_values_defaults_and_choices() -> None:
    page = cli_reference()
    assert "| `-f`, `--file FILE` | `cluster.yaml` | File that describes the cluster. |" in page
    assert "| `--masters 1..9` | `1` |" in page
    assert "| `--master [NAME=]ADDR` | required |" in page
    assert "| `-o`, `--output text\\|json` | `text` |" in page
    assert "```\nExamples:\n  k8sbootstrap init --master 10.0.0.11" in page
    assert "\b" not in page


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.command_path)
def test_help_is_whole(context: click.Context) -> None:
    """Every command and option says what it is for, and the list of commands cuts no line off."""
    assert context.command.help
    if context.parent:  # 62 characters are left for it on a terminal of 80
        assert not context.command.get_short_help_str(limit=62).endswith("...")
    for option in context.command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help.endswith("."), option.name


@pytest.mark.parametrize(
    ("words", "found"),
    [("k8sbootstrap stat", ["status"]), ("k8sbootstrap lab sta", ["status", "start"])],
)
def test_completion_as_the_page_sets_it_up(
    words: str, found: list[str], run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "_K8SBOOTSTRAP_COMPLETE=bash_source" in cli_reference()
    monkeypatch.setenv("_K8SBOOTSTRAP_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert run().out.splitlines() == [f"plain,{name}" for name in found]
