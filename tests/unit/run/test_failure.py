from dataclasses import replace

import pytest

from k8sbootstrap.run.events import Failure, TaskResult
from k8sbootstrap.run.failure import REASON_LINES, describe, headline, reason

TRACEBACK = """bash: warning
Traceback (most recent call last):
  File "<stdin>", line 121, in <module>
  File "<stdin>", line 64, in invoke_module
OSError: [Errno 28] No space left on device
"""
FAILED = TaskResult(
    time=1,
    phase="etcd",
    host="master2",
    task="Start the member",
    role="etcd",
    action="component",
    status="failed",
    seconds=1,
    failure=Failure(msg="etcd: no space left on device"),
)


def test_headline() -> None:
    assert headline(FAILED) == 'master2 failed at "Start the member" (etcd, role etcd)'
    gone = replace(FAILED, status="unreachable", role="", phase="host")
    assert headline(gone) == 'master2 could not be reached at "Start the member" (Prepare hosts)'


@pytest.mark.parametrize(
    ("failure", "lines"),
    [
        (Failure(msg="Task failed: no\nreally"), ["no", "really"]),
        (
            Failure(msg="non-zero return code", cmd="false", rc=1, stdout="out", stderr="err"),
            ["false ended with code 1", "err"],
        ),
        (
            Failure(msg="non-zero return code", cmd="false", rc=1, stdout="out"),
            ["false ended with code 1", "out"],
        ),
        (Failure(msg="non-zero return code"), ["non-zero return code"]),
        (
            Failure(msg="Task failed: Timeout (17s) waiting for privilege escalation prompt: "),
            [
                "the host stopped answering, or sudo waits for input there",
                "Timeout (17s) waiting for privilege escalation prompt: ",
            ],
        ),
        (Failure(msg="it broke", stderr="it broke"), ["it broke"]),
        (Failure(msg="no", item="docker.io"), ["for docker.io", "no"]),
        (
            Failure(
                msg="Module result deserialization failed: No start of json char found", stderr=TRACEBACK
            ),
            ["bash: warning", "OSError: [Errno 28] No space left on device"],
        ),
        (
            Failure(hidden=True),
            ["the task hides its output because it may contain secrets; see the journal of master2"],
        ),
    ],
)
def test_reason(failure: Failure, lines: list[str]) -> None:
    assert reason(replace(FAILED, failure=failure)) == lines


def test_only_the_end_of_long_output() -> None:
    text = "\n".join(map(str, range(100)))
    lines = reason(replace(FAILED, failure=Failure(stderr=text)))
    assert (len(lines), lines[-1]) == (REASON_LINES, "99")


def test_warnings_help_where_output_is_hidden() -> None:
    assert (
        reason(replace(FAILED, failure=Failure(hidden=True), warnings=("disk full",)))[-1]
        == "warning: disk full"
    )


def test_describe() -> None:
    assert describe(FAILED).splitlines() == [
        'master2 failed at "Start the member" (etcd, role etcd):',
        "    etcd: no space left on device",
    ]
