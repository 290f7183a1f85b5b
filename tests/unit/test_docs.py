"""What README and docs point at is there: pages, headings, commands, options, modules, make targets."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from k8sbootstrap.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*sorted(ROOT.glob("*.md")), *DOCS]
FENCE = re.compile(r"^```.*?$(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CALL = re.compile(r"(?:^|(?<=[\s/(]))(?:k8sbootstrap|(?=lab ))((?:[ ]+|(?=lab ))[^|;&#)\"]*)")
SUBCOMMAND = re.compile(r"[a-z]+")


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def code(text: str) -> Iterator[str]:
    """Every line of code blocks and every code span."""
    for block in FENCE.findall(text):
        yield from block.splitlines()
    yield from (span.replace("\\|", "|") for span in SPAN.findall(FENCE.sub("", text)))


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page in links."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def calls(line: str) -> Iterator[list[str]]:
    """The words after each "k8sbootstrap" in a line of code; "lab ..." at the start of a line counts too."""
    for match in CALL.finditer(line):
        words = match.group(1).split()
        if match.group().startswith("lab ") and match.start() > 0:
            continue
        yield words


def problem(words: list[str]) -> str | None:
    """What is wrong with a command line, after the program's name; placeholders in capitals are fine."""
    command: click.Command = cli
    context = click.Context(cli, info_name="k8sbootstrap")
    skip = False
    for word in words:
        options = {name: option for option in command.params for name in option.opts}
        if skip:
            skip = False
        elif word == "--" or command.context_settings.get("ignore_unknown_options"):
            return None
        elif word.startswith("-"):
            name, equals, _ = word.partition("=")
            if name in ("--help", "-h") or re.fullmatch("-v+", name):
                continue
            if name not in options:
                return f"{context.command_path} has no option {name}"
            option = options[name]
            assert isinstance(option, click.Option)
            skip = not option.is_flag and not option.count and not equals
        elif isinstance(command, click.Group) and SUBCOMMAND.fullmatch(word):
            found = command.get_command(context, word)
            if found is None:
                return f"{context.command_path} has no command {word}"
            command, context = found, click.Context(found, info_name=word, parent=context)
        elif isinstance(command, click.Group):
            return None
    return None


def test_links_resolve(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target


def test_commands_and_options_exist(page: Path) -> None:
    problems = [
        f"{' '.join(words)}: {found}"
        for line in code(page.read_text())
        for words in calls(line)
        if (found := problem(words))
    ]
    assert problems == []


def test_modules_and_make_targets_exist(page: Path) -> None:
    text = "\n".join(code(page.read_text()))
    for module in re.findall(r"python -m (k8sbootstrap[\w.]*)", text):
        assert importlib.util.find_spec(module), module
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"^\W*make ([a-z0-9-]+)", text, re.MULTILINE):
        assert target in targets, target


def test_every_page_can_be_found_from_the_readme() -> None:
    readme, index = ((ROOT / name).read_text() for name in ("README.md", "docs/index.md"))
    assert "docs/index.md" in LINK.findall(readme)
    linked = {target.partition("#")[0] for target in LINK.findall(index)}
    assert {page.name for page in DOCS} - linked == {"index.md"}


def test_headings_of_a_page_have_different_anchors(page: Path) -> None:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    assert len(headings) == len(anchors(page))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("$ k8sbootstrap verify --quick", "k8sbootstrap verify has no option --quick"),
        ("k8sbootstrap -f other.yaml destroy", "k8sbootstrap has no command destroy"),
        ("../.venv/bin/k8sbootstrap lab reboot NAME", "k8sbootstrap lab has no command reboot"),
        ("lab up --hosts 3", "k8sbootstrap lab up has no option --hosts"),
        ("k8sbootstrap lab exec NAME -- ls --color", None),
        ("k8sbootstrap COMMAND --help", None),
    ],
)
def test_a_wrong_command_is_seen(line: str, expected: str | None) -> None:
    assert [problem(words) for words in calls(line)] == [expected]
