"""The script that runs kube-bench on a host: with a program in its place, and what a real one printed."""

import base64
import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from k8sbootstrap.hosts.scripts import kube_bench

PRINTED = json.loads((Path(__file__).parent / "kube_bench_0.15.6.json").read_text())
RESULTS = {
    result["test_number"]: result
    for controls in PRINTED["Controls"]
    for group in controls["tests"]
    for result in group["results"]
}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has mounts of its own")


@pytest.mark.parametrize(
    ("control", "status", "reason", "seen"),
    [
        ("1.1.1", "PASS", "", "permissions=600"),
        ("1.1.12", "FAIL", "its command ended with exit status 1", ""),
        ("1.1.13", "PASS", "", "permissions=600"),
        ("1.2.1", "WARN", "", ""),
        ("1.2.15", "PASS", "", "--profiling=false"),
        ("3.1.1", "WARN", "", ""),
        ("4.2.13", "WARN", "", ""),
        ("4.3.1", "PASS", "", ""),
        ("5.1.1", "WARN", "the host has no [[", ""),
    ],
)
def test_what_is_told_of_a_control(control: str, status: str, reason: str, seen: str) -> None:
    told = kube_bench.told(RESULTS[control])
    assert (told["status"], told["reason"], told["seen"]) == (status, reason, seen)
    assert told["ran"] == (not reason)


def test_command_lines_files_and_environments_stay_on_the_host() -> None:
    """kube-bench prints the kubeconfig of kube-proxy, with its key, and whole command lines."""
    assert "client-key-data: c2VjcmV0" in RESULTS["4.3.1"]["actual_value"]
    assert "--advertise-address" in RESULTS["1.2.15"]["actual_value"]
    told = json.dumps([kube_bench.told(result) for result in RESULTS.values()])
    assert "c2VjcmV0" not in told
    assert "--advertise-address" not in told


@pytest.mark.parametrize(
    ("actual", "expected", "seen"),
    [
        ("x --profiling=false --v=2", "'--profiling' is equal to 'false'", "--profiling=false"),
        ("x --auto-tls", "'--auto-tls' is not present OR '--auto-tls' is equal to 'false'", "--auto-tls"),
        ("x --peer-auto-tls=false", "'--auto-tls' is not present", ""),
        ("x --password=secret", "'--profiling' is equal to 'false'", ""),
        ("root:root\nops:ops", "'root:root' is present", "root:root, ops:ops"),
        ("root:root\npassword: secret", "'root:root' is present", ""),
        ("", "", ""),
    ],
)
def test_only_modes_owners_and_flags_that_were_looked_for_are_told(
    actual: str, expected: str, seen: str
) -> None:
    assert kube_bench.seen(actual, expected) == seen


def ask(program: str, *runs: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    request = {
        "program": base64.b64encode(gzip.compress(program.encode())).decode(),
        "files": {"config.yaml": "{}", "cis-1.12/node.yaml": "text"},
        "benchmark": "cis-1.12",
        "kubeconfig": "/etc/kubernetes/admin.conf",
        "seconds": seconds,
        "runs": list(runs),
    }
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            "import sys; sys.argv[1:] = [sys.stdin.readline()]; exec(sys.stdin.read())",
        ],
        input=json.dumps(request).encode() + b"\n" + Path(kube_bench.__file__).read_bytes(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


NODE = {"target": "node", "only": [], "skip": ["4.1.1"]}
MASTER = {"target": "master", "only": ["1.1.7", "1.1.8"], "skip": []}


def printing(*results: dict[str, Any]) -> str:
    """A program that prints results, the first with its command line, environment and folder."""
    document = json.dumps({"Controls": [{"tests": [{"results": list(results)}]}]})
    return f"#!/bin/sh\n[[ a == a ]] && sed \"s%WORDS%$*; $HOME; $(ls -A)%\" <<'E'\n{document}\nE\n"


@as_root
def test_runs_happen_where_nobody_else_sees_them() -> None:
    before = sorted(Path("/mnt").iterdir())
    result = {**RESULTS["1.1.1"], "remediation": "WORDS"}
    skipped = {**RESULTS["1.1.1"], "test_number": "4.1.1"}
    runs = ask(printing(result, skipped), NODE, MASTER)["runs"]
    assert [run["target"] for run in runs] == ["node", "master"]
    assert [each["id"] for each in runs[0]["controls"]] == ["1.1.1"]
    words = (
        "run --json --targets {} --benchmark cis-1.12 --config-dir /mnt --config /mnt/config.yaml {}; {}; "
    )
    assert runs[0]["controls"][0]["remediation"] == words.format("node", "--skip 4.1.1", "/mnt/home").strip()
    assert "--check 1.1.7,1.1.8;" in runs[1]["controls"][0]["remediation"]
    assert sorted(Path("/mnt").iterdir()) == before


@as_root
def test_what_does_not_end_is_ended_with_all_that_it_started() -> None:
    began = time.monotonic()
    (run,) = ask("#!/bin/sh\nsleep 86399 & sleep 86399\n", NODE, seconds=0.5)["runs"]
    assert run == {"target": "node", "error": "kube-bench did not end in time", "controls": []}
    assert time.monotonic() - began < 30
    assert "86399" not in subprocess.run(["ps", "-ef"], capture_output=True, text=True, check=True).stdout


@as_root
def test_what_prints_no_answer_is_an_error_without_its_words() -> None:
    (run,) = ask("#!/bin/sh\necho secret; echo secret >&2; exit 3\n", NODE)["runs"]
    assert run == {"target": "node", "error": "kube-bench failed with exit code 3", "controls": []}
