"""A report as text, JSON and JUnit XML."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from xml.etree import ElementTree as ET

from k8sbootstrap.checks.cluster import ALL_CHECKS
from k8sbootstrap.checks.cluster.models import Result, Status, VerifyReport

SUITE = "k8sbootstrap-verify"


def text(report: VerifyReport, *, every: bool = False) -> Iterator[str]:
    """Lines for people: one per check, and below it each subject that failed.

    Args:
        report: What to tell.
        every: Also list what passed and what was skipped.

    Yields:
        Lines with rich markup off: the caller prints them as they are.
    """
    for check in ALL_CHECKS:
        results = [result for result in report.results if result.check == check.name]
        if not results:
            continue
        counts = {status: sum(result.status is status for result in results) for status in Status}
        status = _overall(counts)
        numbers = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
        seconds = max(result.seconds for result in results)
        yield f"{status.value:<8} {check.name:<15} {check.title:<38} {numbers} ({seconds:.1f} s)"
        for result in results:
            if every or result.status is Status.FAILED:
                mark = "" if result.status is Status.FAILED else f"{result.status.value}: "
                yield f"           {result.host}: {mark}{result.message}"


def _overall(counts: dict[Status, int]) -> Status:
    if counts[Status.FAILED]:
        return Status.FAILED
    return Status.PASSED if counts[Status.PASSED] else Status.SKIPPED


def as_json(report: VerifyReport) -> str:
    """The report as a JSON object: cluster, ok, seconds, results (check, host, status, message, seconds)."""
    document = {
        "cluster": report.cluster,
        "ok": report.ok,
        "seconds": report.seconds,
        "results": [asdict(result) for result in report.results],
    }
    return json.dumps(document, indent=2)


def as_junit(report: VerifyReport) -> str:
    """The report as JUnit XML: one suite, one test case per check and subject."""
    suite = ET.Element(
        "testsuite",
        name=SUITE,
        tests=str(len(report.results)),
        failures=str(len(report.failures)),
        errors="0",
        skipped=str(sum(result.status is Status.SKIPPED for result in report.results)),
        time=f"{report.seconds:.3f}",
    )
    for result in report.results:
        _case(suite, report.cluster, result)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, cluster: str, result: Result) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=f"{cluster}.{result.check}",
        name=result.host,
        time=f"{result.seconds:.3f}",
    )
    if result.status is Status.FAILED:
        ET.SubElement(case, "failure", message=_xml(result.message)).text = _xml(result.message)
    elif result.status is Status.SKIPPED:
        ET.SubElement(case, "skipped", message=_xml(result.message))


def _xml(message: str) -> str:
    """``message`` without the control characters that XML cannot hold."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in message)
