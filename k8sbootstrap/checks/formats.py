"""A report as text, JSON and JUnit XML."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from xml.etree import ElementTree as ET

from rich.text import Text

from k8sbootstrap.checks.framework import Case, Check, CheckReport, CheckResult, Status

_STYLES = {Status.PASSED: "green", Status.WARNING: "yellow", Status.FAILED: "bold red"}


@dataclass(frozen=True)
class Form:
    """How one command shows a report: which keys its JSON has, and which words stand for the statuses.

    Scripts read both, so they stay as they are: preflight says ``ok`` where verify says ``passed``.
    """

    report: tuple[str, ...]
    """The keys of its JSON, in order: of ``cluster``, ``ok``, ``seconds``, ``counts``, ``hosts`` (with the
    counts of each) and ``results``."""
    result: tuple[str, ...]
    """The keys of each result, in order: fields of ``CheckResult``."""
    words: Mapping[Status, str] = field(default_factory=dict)
    """Statuses that are called otherwise than by their value."""
    suite: str = ""
    """What its JUnit XML is called."""
    test_case: str = "host"
    """The field of ``CheckResult`` that names a test case in JUnit XML."""

    def word(self, status: Status) -> str:
        """What a status is called."""
        return self.words.get(status, status.value)

    def counts(self, results: Collection[CheckResult]) -> dict[str, int]:
        """The word for each status to the number of results that have it."""
        return {self.word(status): sum(result.status is status for result in results) for status in Status}

    def counted(self, results: Collection[CheckResult]) -> str:
        """The same in a sentence: ``44 ok, 1 warning``."""
        return ", ".join(f"{count} {word}" for word, count in self.counts(results).items() if count)


PREFLIGHT = Form(
    report=("ok", "counts", "results"),
    result=("host", "check", "status", "message", "fix"),
    words={Status.PASSED: "ok"},
)
VERIFY = Form(
    report=("cluster", "ok", "seconds", "results"),
    result=("check", "host", "status", "message", "seconds"),
    suite="k8sbootstrap-verify",
)
CIS = Form(
    report=("cluster", "ok", "seconds", "hosts", "results"),
    result=("check", "title", "host", "status", "message", "fix"),
    words={
        Status.PASSED: "PASS",
        Status.WARNING: "WARN",
        Status.FAILED: "FAIL",
        Status.SKIPPED: "not run",
    },
    suite="k8sbootstrap-cis",
)
CONFORMANCE = Form(
    report=("cluster", "ok", "seconds", "counts", "results"),
    result=("check", "title", "status", "message", "seconds"),
    words={Status.SKIPPED: "not run"},
    suite="k8sbootstrap-conformance",
    test_case="title",
)


def by_host(report: CheckReport) -> dict[str, list[CheckResult]]:
    """The results of each host, in the order of the hosts' first ones."""
    hosts: dict[str, list[CheckResult]] = {}
    for result in report.results:
        hosts.setdefault(result.host, []).append(result)
    return hosts


def as_json(report: CheckReport, form: Form) -> str:
    """The report as a JSON object with the keys of its form."""
    document = {
        "cluster": report.cluster,
        "ok": report.ok,
        "seconds": report.seconds,
        "counts": form.counts(report.results),
        "hosts": {host: form.counts(results) for host, results in by_host(report).items()},
        "results": [_result(result, form) for result in report.results],
    }
    return json.dumps({key: document[key] for key in form.report}, indent=2)


def _result(result: CheckResult, form: Form) -> dict[str, object]:
    values = {**vars(result), "status": form.word(result.status)}
    return {key: values[key] for key in form.result}


def text_by_host(report: CheckReport, form: Form, *, every: bool) -> Iterator[Text]:
    """Lines for people: below each host its problems and what would fix them, then how many there are.

    Args:
        report: What to tell.
        form: Has the words for statuses.
        every: Also list what passed and what was skipped.
    """
    quiet = set() if every else {Status.PASSED, Status.SKIPPED}
    shown = [result for result in report.results if result.status not in quiet]
    for host, results in groupby(shown, key=lambda result: result.host):
        yield Text(host, style="bold")
        for result in results:
            yield from _entry(result, form)
    hosts = len({result.host for result in report.results})
    checks = len({result.check for result in report.results})
    counted = form.counted(report.results)
    yield Text(f"{hosts} {'host' if hosts == 1 else 'hosts'}, {checks} checks each: {counted}")


def _entry(result: CheckResult, form: Form) -> Iterable[Text]:
    line = Text("  ").append(f"{form.word(result.status):<8}", style=_STYLES.get(result.status, "dim"))
    yield line.append(f" {result.check}: {result.message}")
    if result.fix:
        yield Text(f"           {result.fix}")


def text_by_check(
    report: CheckReport, form: Form, checks: Iterable[Check[Case]], *, every: bool = False
) -> Iterator[Text]:
    """Lines for people: one for each check, and below it every host on which it failed.

    Args:
        report: What to tell.
        form: Has the words for statuses.
        checks: In the order of the lines; those without results have none.
        every: Also list what passed and what was skipped.
    """
    for check in checks:
        results = [result for result in report.results if result.check == check.name]
        if not results:
            continue
        seconds = max(result.seconds for result in results)
        head = f"{form.word(overall(results)):<8} {check.name:<15} {check.title:<38}"
        yield Text(f"{head} {form.counted(results)} ({seconds:.1f} s)")
        for result in results:
            if every or result.status is Status.FAILED:
                mark = "" if result.status is Status.FAILED else f"{form.word(result.status)}: "
                yield Text(f"           {result.host}: {mark}{result.message}")


def overall(results: Collection[CheckResult]) -> Status:
    """The one status that stands for all: failed where one failed, skipped only where all were."""
    statuses = {result.status for result in results}
    order = (Status.FAILED, Status.WARNING, Status.IGNORED, Status.PASSED, Status.SKIPPED)
    return next(status for status in order if status in statuses)


def as_junit(report: CheckReport, form: Form) -> str:
    """The report as JUnit XML: one suite, one test case for each result."""
    element = ET.Element(
        "testsuite",
        name=form.suite,
        tests=str(len(report.results)),
        failures=str(len(report.failures)),
        errors="0",
        skipped=str(len(report.having(Status.SKIPPED))),
        time=f"{report.seconds:.3f}",
    )
    for result in report.results:
        _test_case(element, report.cluster, result, getattr(result, form.test_case))
    root = ET.Element("testsuites")
    root.append(element)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _test_case(suite: ET.Element, cluster: str, result: CheckResult, name: str) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=f"{cluster}.{result.check}",
        name=name,
        time=f"{result.seconds:.3f}",
    )
    message = _xml(result.message)
    if result.status is Status.FAILED:
        ET.SubElement(case, "failure", message=message).text = message
    elif result.status is Status.SKIPPED:
        ET.SubElement(case, "skipped", message=message)


def _xml(message: str) -> str:
    """``message`` without the control characters that XML cannot hold."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in message)
