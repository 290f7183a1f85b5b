"""Failures of tasks and hooks in words: which host, which task or command, its own reason."""

import shlex

from k8sbootstrap.plan.phases import title
from k8sbootstrap.run.events import Failure, HookFinished, HookStarted, TaskResult

REASON_LINES = 15
"""Lines shown of a command's output: the last ones."""
_GENERIC = (
    "non-zero return code",
    "The command exited with a non-zero return code",  # since ansible-core 2.21
    "MODULE FAILURE",
    "Module result deserialization failed",
)
"""Beginnings of messages that add nothing to the command and its output."""
_TRACEBACK = "Traceback (most recent call last):"


def headline(result: TaskResult) -> str:
    """One line: host, what happened, at which task of which phase."""
    what = "could not be reached" if result.status == "unreachable" else "failed"
    role = f", role {result.role}" if result.role else ""
    return f'{result.host} {what} at "{result.task}" ({title(result.phase)}{role})'


def reason(result: TaskResult) -> list[str]:
    """The reason in few lines: message, command, the end of its output."""
    failure = result.failure or Failure()
    lines = []
    if failure.hidden:
        lines.append(
            f"the task hides its output because it may contain secrets; see the journal of {result.host}"
        )
    if failure.item:
        lines.append(f"for {failure.item}")
    message = failure.msg.removeprefix("Task failed: ")
    if "waiting for privilege escalation prompt" in message:
        lines.append("the host stopped answering, or sudo waits for input there")
    output = _without_traceback(failure.stderr or failure.stdout)
    if message and not (message.startswith(_GENERIC) and (failure.cmd or output.strip())):
        lines += message.splitlines()
    if failure.cmd and failure.rc is not None:
        lines.append(f"{failure.cmd} ended with code {failure.rc}")
    lines += [line for line in output.splitlines()[-REASON_LINES:] if line not in lines]
    return lines + [f"warning: {warning}" for warning in result.warnings]


def _without_traceback(output: str) -> str:
    """The last line of a Python traceback on the host, without the frames above it."""
    before, found, after = output.partition(_TRACEBACK)
    if not found:
        return output
    lines = after.rstrip().splitlines()
    start = max((number for number, line in enumerate(lines) if line.startswith(" ")), default=-1) + 1
    return before + "\n".join(lines[start:])


def describe(result: TaskResult, indent: str = "    ") -> str:
    """``headline`` and ``reason`` as one block of text."""
    return "\n".join([headline(result) + ":", *(indent + line for line in reason(result))])


def hook_title(event: HookStarted | HookFinished) -> str:
    """Which command of the user, and where in the run."""
    return f"hook {event.when} {event.phase}: {shlex.join(event.command)}"


def describe_hook(event: HookFinished, indent: str = "    ") -> str:
    """A hook that failed and why, as one block of text."""
    goes_on = "; the run continues" if event.ignored else ""
    headline = f"{hook_title(event)} {event.failure}{goes_on}"
    lines = event.stderr[-REASON_LINES:]
    return "\n".join([f"{headline}:" if lines else headline, *(indent + line for line in lines)])
