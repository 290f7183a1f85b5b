"""How the command line ends: exit codes, messages, no tracebacks."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from k8sbootstrap import __version__, errors
from k8sbootstrap.cli.main import COMMANDS, cli
from tools.exit_codes_page import error_classes

PROBLEM = errors.Problem(Path("cluster.yaml"), 3, "hosts[0].name", "is wrong", "write it right")


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[BaseException | int | None], None]]:
    """Makes "k8sbootstrap status" end with an exception or a return value."""

    def _ending(what: BaseException | int | None) -> None:
        @click.command()
        def command() -> int | None:
            if isinstance(what, BaseException):
                raise what
            return what

        module = ModuleType("k8sbootstrap.cli.status")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "k8sbootstrap.cli.status", module)

    return _ending


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_ends_with_its_code_its_words_and_the_next_step(error, ending, run) -> None:
    raised = error([PROBLEM]) if error is errors.ConfigError else error("m1 is on fire", hint="Put it out.")
    ending(raised)
    ended = run("status")
    assert ended.code == error.exit_code
    if error is errors.ConfigError:
        assert ended.err == "cluster.yaml:3 hosts[0].name: is wrong; write it right\n"
    else:
        assert ended.err == "m1 is on fire\nNext: Put it out.\n"
    assert ended.out == ""


def test_an_error_without_a_next_step_is_one_line(ending, run) -> None:
    ending(errors.HostError("m1 is on fire"))
    assert run("status").err == "m1 is on fire\n"


def test_problems_are_one_line_each() -> None:
    whole = errors.Problem(Path("c.yaml"), 0, "", "does not exist", "make it")
    nowhere = errors.Problem(Path("c.yaml"), 2, "", "is not YAML", "")
    assert str(errors.ConfigError([whole, nowhere, PROBLEM])).splitlines() == [
        "c.yaml: does not exist; make it",
        "c.yaml:2 is not YAML",
        "cluster.yaml:3 hosts[0].name: is wrong; write it right",
    ]


@pytest.mark.parametrize(("value", "code"), [(None, 0), (0, 0), (6, 6)])
def test_a_command_may_return_its_code(value, code, ending, run) -> None:
    ending(value)
    assert run("status").code == code


def test_an_interrupt_is_130_and_no_traceback(ending, run) -> None:
    ending(KeyboardInterrupt())
    ended = run("status")
    assert ended.code == 130
    assert ended.err.split() == ["Interrupted."]


def test_a_bug_is_one_line_and_says_how_to_see_more(ending, run) -> None:
    ending(ZeroDivisionError("division by zero\nmore"))
    ended = run("status")
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "Unexpected ZeroDivisionError: division by zero",
        "Next: This is a bug. Run the command with -v, which prints the traceback, and report it.",
    ]


def test_a_bug_shows_its_traceback_with_v(ending, run) -> None:
    ending(ZeroDivisionError("division by zero"))
    ended = run("-v", "status")
    assert ended.code == 1
    assert "Traceback (most recent call last)" in ended.err
    assert ended.err.splitlines()[-2:] == [
        "Unexpected ZeroDivisionError: division by zero",
        "Next: This is a bug. Report it with the traceback above.",
    ]


@pytest.mark.parametrize(
    "args", [["nonsense"], ["--nonsense"], ["schema", "extra"], ["validate", "-o", "xml"]]
)
def test_a_wrong_command_line_is_2(args, run) -> None:
    ended = run(*args)
    assert ended.code == 2
    assert ended.err.startswith("Usage: k8sbootstrap")


def test_version(run) -> None:
    ended = run("--version")
    assert (ended.code, ended.out) == (0, f"k8sbootstrap, version {__version__}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_explains_itself(name, run) -> None:
    ended = run(name, "--help")
    assert ended.code == 0
    assert ended.out.startswith(f"Usage: k8sbootstrap {name}")
    command = cli.get_command(click.Context(cli), name)
    assert command
    assert command.get_short_help_str()


def test_starting_imports_no_command_that_was_not_asked_for() -> None:
    code = (
        "import sys, k8sbootstrap.cli.main; "
        "print([m for m in ('ansible', 'paramiko', 'cryptography') if m in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code = "from k8sbootstrap.cli import main; main(['schema'])"
    ended = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 1


def _commands(group: click.Group, *words: str) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield (*words, name)
        if isinstance(command, click.Group):
            yield from _commands(command, *words, name)


@pytest.mark.parametrize("words", [*_commands(cli)], ids=" ".join)
def test_options_of_all_commands_go_after_each_command_too(words, run) -> None:
    shown = run(*words, "--no-color", "-v", "--file", "other.yaml", "--help")
    assert (shown.code, shown.err) == (0, "")
    for option in ("-f, --file FILE", "-v, --verbose", "--no-color"):
        assert option in shown.out


@pytest.mark.parametrize(
    "words",
    [
        ("-f", "other.yaml", "validate"),
        ("validate", "-f", "other.yaml"),
        ("validate", "--file=other.yaml"),
        ("-f", "first.yaml", "validate", "-f", "other.yaml"),
        ("lab", "-f", "other.yaml", "down"),
        ("lab", "down", "-f", "other.yaml"),
        ("lab", "exec", "-f", "other.yaml", "m1", "ls"),
        ("-f", "other.yaml", "lab", "exec", "m1", "ls", "-f", "x"),
        ("lab", "exec", "-vf", "other.yaml", "m1", "--", "ls", "-f", "x"),
    ],
    ids=" ".join,
)
def test_the_last_file_counts(words, run, folder) -> None:
    (folder / "other.yaml").write_text("name: [")
    ended = run(*words)
    if "down" in words:  # it needs no file, only its place
        assert (ended.code, ended.out) == (0, "There is no lab here.\n")
    else:
        assert "other" in ended.err


@pytest.mark.parametrize(
    ("words", "verbosity"),
    [("validate", 0), ("-v validate", 1), ("validate -v", 1), ("-v validate -v", 2), ("validate -vv", 2)],
)
def test_each_verbose_counts(words, verbosity, run, folder, monkeypatch) -> None:
    seen = []

    def load(_file: Path) -> None:
        seen.append(click.get_current_context().obj.verbosity)
        raise errors.HostError("enough")

    monkeypatch.setattr("k8sbootstrap.cli.validate.load_cluster", load)
    run(*words.split())
    assert seen == [verbosity]


@pytest.mark.parametrize(
    ("words", "is_json"),
    [
        ("validate", False),
        ("-o json validate", True),
        ("validate -o json", True),
        ("-o json validate -o text", False),
        ("-o text validate -o json", True),
    ],
)
def test_the_form_of_output_goes_before_and_after(words, is_json, run, folder) -> None:
    assert run(*words.split()).out.startswith("{") is is_json


def test_a_form_before_a_command_that_has_none(run) -> None:
    ended = run("-o", "json", "kubeconfig")
    assert ended.code == 2
    assert ended.err.endswith('Error: "k8sbootstrap kubeconfig" has no option "-o json"\n')


def test_an_unknown_option_stays_unknown(run) -> None:
    ended = run("up", "--forks")
    assert ended.code == 2
    assert "--forks" in ended.err


def test_a_current_folder_that_was_removed_is_said(tmp_path: Path) -> None:
    code = "import os, sys; os.rmdir(os.getcwd()); from k8sbootstrap.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "lab", "down"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "The current folder was removed." in done.stderr


@pytest.mark.parametrize(
    ("words", "passed_on"),
    [
        ("kubectl exec pod -- ls -f x", "exec pod -- ls -f x"),
        ("kubectl -v exec pod -- ls --help", "exec pod -- ls --help"),
        ("kubectl -- exec pod -- ls", "exec pod -- ls"),
        ("kubectl get --help", "get --help"),
        ("kubectl -n a get pods -o json", "-n a get pods -o json"),
        ("lab exec m1 ls -f x", "ls -f x"),
        ("lab exec m1 -- ls -f x", "ls -f x"),
        ("lab exec m1 -- kubectl exec pod -- ls", "kubectl exec pod -- ls"),
        ("lab exec m1 kubectl exec pod -- ls", "kubectl exec pod -- ls"),
        ("lab ssh m1 -- ls --help", "ls --help"),
    ],
)
def test_what_another_program_is_to_get_arrives_as_it_is(words, passed_on) -> None:
    command: click.Command = cli
    rest = words.split()
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest[0])
        assert found
        command, rest = found, rest[1:]
    context = click.Context(command)
    command.parse_args(context, rest)
    assert " ".join(context.params[command.params[-1].name]) == passed_on
