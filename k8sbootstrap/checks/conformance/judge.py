"""What Conformance's tests said, as a report of checks: one for each test."""

import re
from collections.abc import Collection

from k8sbootstrap.checks.conformance.answers import ToldRun, ToldTest
from k8sbootstrap.checks.framework import CLUSTER, CheckReport, CheckResult, Status
from k8sbootstrap.errors import VerifyError
from k8sbootstrap.formats.text import count

RUN = "e2e.test"
"""Group of what is said of the run itself."""
_GROUP = re.compile(r"\[(sig-[a-z-]+)\]")
_NAMED = 5
"""Failed tests that an error names."""


def judge(cluster: str, told: ToldRun, images: Collection[str], seconds: float) -> CheckReport:
    """Make a report of all tests.

    A test that failed because an image can't be had counts as one that was not run.

    Args:
        cluster: The cluster's name.
        told: What the run said at its end.
        images: References of the images that tests may start.
        seconds: How long the run took.

    Returns:
        A result for each test: its group is ``check``, its name ``title``.
    """
    results = [_result(test, images) for part in told.parts for test in part.results]
    if told.error:
        results.append(CheckResult(RUN, CLUSTER, Status.FAILED, told.error, title="runs to its end"))
    return CheckReport(cluster, tuple(results), round(seconds, 3))


def _result(test: ToldTest, images: Collection[str]) -> CheckResult:
    group = _GROUP.search(test.name)
    status, message = Status(test.status), test.message
    lacking = [ref for ref in test.lacks if ref in images]
    if status is Status.FAILED and lacking:
        status, message = Status.SKIPPED, f"nodes could not get {', '.join(lacking)}"
    return CheckResult(
        check=group.group(1) if group else RUN,
        host=CLUSTER,
        status=status,
        message=message,
        seconds=round(test.seconds, 3),
        title=test.name,
    )


def conclude(report: CheckReport) -> None:
    """Turn a report into the error that it stands for.

    Raises:
        VerifyError: A test failed, or none ran.
    """
    if report.ok:
        return
    failed = [result for result in report.failures if result.check != RUN]
    if not failed:
        why = next((result.message for result in report.failures), "no test was run")
        raise VerifyError(f"Conformance of the cluster {report.cluster} is not known: {why}")
    names = [result.title for result in failed[:_NAMED]]
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    raise VerifyError(
        f"The cluster {report.cluster} does not conform: {count(len(failed), 'test')} failed: "
        + "; ".join(names)
        + more
    )
