"""What hosts say reaches a terminal as characters, never as commands: seen in a real one."""

import os
import pty
import sys

HOSTILE = "m1: \x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202eevil\u2066 and\ttext"
PROGRAM = f"""
from rich.text import Text
import importlib

from k8sbootstrap.cli.console import PlainConsole
from k8sbootstrap.errors import HostError
from k8sbootstrap.run.live import reporter_for
from k8sbootstrap.run.events import StepNote

hostile = {HOSTILE!r}
console = PlainConsole(soft_wrap=True, highlight=False)
console.print(hostile, markup=False, style="red")
console.print(Text(hostile, style="bold"))
with reporter_for(console, 2) as reporter:
    reporter.step_note(StepNote(time=1, step="x", title="X", text=hostile))
    reporter.log(hostile)

main = importlib.import_module('k8sbootstrap.cli.main')

def fail(*args, **named):
    raise HostError(hostile, hint=hostile)

main.cli.main = fail
main.main([])
"""


def in_a_terminal(program: str) -> bytes:
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-c", program])
    seen = b""
    try:
        while chunk := os.read(terminal, 65536):
            seen += chunk
    except OSError:
        pass  # Linux ends a terminal so
    os.waitpid(child, 0)
    os.close(terminal)
    return seen


def test_nothing_of_a_host_is_obeyed() -> None:
    seen = in_a_terminal(PROGRAM)
    text = seen.decode()
    assert text.count("evil") == 6, text
    assert "\x1b[31m" in text, "the console's own colors stay"
    for command in ("\x1b]52", "\x07", "\x1b[2J", "\x9b", "\u202e", "\u2066"):
        assert command not in text
