"""The scripts that run upstream's tests on a master, with programs in the place of e2e.test and ginkgo."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from k8sbootstrap.hosts.scripts import conformance, conformance_run

REPORT = Path(__file__).parent / "e2e_test_1.37.2.xml"
COUNTS = "#!/bin/sh\necho \"$*\" >>{log}\necho 'Ran 2 of 3206 Specs in 0.1 seconds'\n"
RUNS = """#!/bin/sh
echo "$*" >>{log}
for word; do case $word in --report-dir=*) folder=${{word#*=}};; esac; done
echo 'Will run 2 of 3206 specs'; printf 'SS•S• [FAILED] [1.2 seconds]\\n'
cp {report} $folder/junit_01.xml
exit 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run, and a private folder and a kubectl of its own."""
    monkeypatch.setattr(conformance_run, "PRIVATE", tmp_path / "private")
    monkeypatch.setattr(conformance, "FOLDER", tmp_path / "run")
    monkeypatch.setattr(conformance_run, "KUBECTL", [str(tmp_path / "kubectl")])
    (tmp_path / "private").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "asked").touch()
    program(
        tmp_path / "kubectl", f'#!/bin/sh\necho "$*" >>{tmp_path}/kubectl.log\ncat {tmp_path}/namespaces\n'
    )
    (tmp_path / "namespaces").write_text("namespace/of-another\n")
    return tmp_path / "run"


def program(path: Path, text: str) -> dict[str, str]:
    path.write_text(text)
    path.chmod(0o700)
    return {"path": str(path), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def request(folder: Path, runs: str = RUNS, counts: str = COUNTS, **changed: Any) -> dict[str, Any]:
    """Write the request of a run."""
    log = folder.parent / "words.log"
    whole = {
        "files": {
            "e2e.test": program(folder.parent / "sent1", counts.format(log=log)),
            "ginkgo": program(folder.parent / "sent2", runs.format(log=log, report=REPORT)),
        },
        "arguments": ["--provider=skeleton"],
        "focus": "",
        "parts": [{"name": "parallel", "filter": "Conformance && !Serial", "processes": 6}],
        "seconds": 60,
        "patience": 60,
    } | changed
    (folder / "request.json").write_text(json.dumps(whole))
    return whole


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run to the end; what is told of it then."""
    monkeypatch.setattr("sys.argv", ["run.py", str(folder)])
    monkeypatch.setattr(conformance, "systemctl", lambda *_: "inactive")
    before = signal.getsignal(signal.SIGTERM)
    try:
        conformance_run.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    return conformance.look()


def test_a_whole_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request(folder, focus="DNS|a 'b'")
    told = run(folder, monkeypatch)
    assert (told["unit"], told["copied"], told["error"]) == ("ended", True, "")
    (part,) = told["parts"]
    assert (part["total"], part["done"], part["failed"]) == (2, 2, 1)
    assert {each["status"] for each in part["results"]} == {"passed", "failed", "skipped"}
    counted, ran = (folder.parent / "words.log").read_text().splitlines()
    assert counted == (
        "--ginkgo.dry-run --ginkgo.no-color --ginkgo.label-filter=Conformance && !Serial "
        "--ginkgo.focus=DNS|a 'b'"
    )
    private = folder.parent / "private"
    assert ran == (
        f"--procs={part['processes']} --no-color --timeout=24h --label-filter=Conformance && !Serial "
        f"--focus=DNS|a 'b' {private}/e2e.test -- --provider=skeleton --report-dir={private}/parallel"
    )


def test_what_a_real_report_says_of_tests_that_were_chosen() -> None:
    by_status = {each["status"]: each for each in conformance_run.results(REPORT.read_bytes())}
    assert by_status.keys() == {"passed", "failed", "skipped"}
    assert (
        by_status["passed"]["name"]
        == "[sig-node] ConfigMap should run through a ConfigMap lifecycle [Conformance]"
    )
    assert by_status["passed"]["seconds"] > 0
    assert (by_status["passed"]["message"], by_status["passed"]["log"]) == ("", "")
    assert by_status["skipped"]["message"].startswith("Only supported for providers")
    assert by_status["failed"]["lacks"] == []
    assert by_status["failed"]["message"].startswith("[FAILED] failed to get pod status: pods")
    assert by_status["failed"]["log"].startswith("> Enter [BeforeEach]")


@pytest.mark.parametrize(
    "event",
    [
        'Failed to pull image "{}": failed to pull and unpack image "{}": no such host',
        'ImagePullBackOff: Back-off pulling image "{}"',
        'reason: Back-off pulling image \\"{}\\"',
    ],
)
def test_images_that_nodes_could_not_pull(event: str) -> None:
    ref = "registry.k8s.io/e2e-test-images/agnhost:2.66.1"
    case = ET.Element("testcase", name="[It] [sig-node] Pods", status="failed", time="300")
    ET.SubElement(case, "failure").text = "[FAILED] Timed out"
    ET.SubElement(case, "system-err").text = f"before\n{event.format(ref, ref)}\nafter"
    (result,) = conformance_run.results(ET.tostring(case))
    assert result["lacks"] == [ref]


@pytest.mark.parametrize(
    ("stopped", "deletes"), [(True, ["delete --wait=false namespace/dns-1"]), (False, [])]
)
def test_namespaces_of_a_run_that_was_stopped_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, stopped: bool, deletes: list[str]
) -> None:
    """Tests that come to their end remove what they made, and others may run tests too."""
    makes = f"#!/bin/sh\necho namespace/dns-1 >>{folder.parent / 'namespaces'}\n"
    request(
        folder, makes + ("sleep 9\n" if stopped else RUNS.partition("\n")[2]), seconds=1 if stopped else 60
    )
    monkeypatch.setattr(conformance_run, "SECONDS_TO_END", 0.5)
    run(folder, monkeypatch)
    calls = (folder.parent / "kubectl.log").read_text().splitlines()
    assert [call for call in calls if call.startswith("delete")] == deletes


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"seconds": 1}, "it did not end within 1 s"),
        ({"patience": 1}, "nobody asked for 1 s how far it is"),
    ],
)
def test_a_run_that_must_end_ends_its_tests_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, int], why: str
) -> None:
    interrupted = folder.parent / "interrupted"
    request(folder, f"#!/bin/sh\ntrap 'touch {interrupted}; exit 2' INT\nsleep 30 & wait\n", **changed)
    began = time.monotonic()
    told = run(folder, monkeypatch)
    assert (told["unit"], told["error"]) == ("ended", why)
    assert interrupted.exists()
    assert time.monotonic() - began < 20


def test_a_stopped_service_ends_its_tests(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request(folder, "#!/bin/sh\nsleep 30\n")
    stop = threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(conformance_run, "SECONDS_TO_END", 0.5)
    stop.start()
    assert run(folder, monkeypatch)["error"] == "it was stopped"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "#!/bin/sh\necho 'panic: regexp: missing )'; echo goroutine 1; exit 2\n",
            "e2e.test failed: regexp: missing )",
        ),
        ("#!/bin/sh\necho no; exit 1\n", "e2e.test failed: no"),
    ],
)
def test_tests_that_can_not_be_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    request(folder, counts=text)
    assert run(folder, monkeypatch)["error"] == why


def test_tests_that_do_not_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request(folder, "#!/bin/sh\necho cannot reach the API; exit 1\n")
    assert run(folder, monkeypatch)["error"] == "the tests did not run:\ncannot reach the API"


def test_another_file_than_was_sent_is_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = request(folder)
    Path(whole["files"]["ginkgo"]["path"]).write_text("#!/bin/sh\ntouch /tmp/never\n")
    told = run(folder, monkeypatch)
    assert (told["error"], told["copied"]) == ("ginkgo is not the file that was sent", False)


def test_a_file_that_does_not_arrive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = request(folder, patience=0.5)
    Path(whole["files"]["e2e.test"]["path"]).unlink()
    assert run(folder, monkeypatch)["error"] == "e2e.test did not arrive"


def test_a_service_that_went_without_a_word(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "systemctl", lambda *_: "inactive")
    assert conformance.look() == {"unit": "gone", "copied": False, "error": "", "parts": []}


def test_a_run_is_not_started_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "systemctl", lambda *_: "active")
    told = conformance.start({"program": "", "request": {}})
    assert told["unit"] == "taken"
    assert (folder / "asked").exists()


def test_what_is_left_of_a_run_goes_with_stop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "systemctl", lambda *_: "inactive")
    (folder / "state.json").write_text(json.dumps({"copied": True, "ended": True, "error": "", "parts": []}))
    assert conformance.stop()["unit"] == "ended"
    assert not folder.exists()
