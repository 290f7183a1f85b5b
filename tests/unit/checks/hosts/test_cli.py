import json
import socket
from pathlib import Path

import pytest

from k8sbootstrap.checks.framework import CheckReport, CheckResult, Status
from k8sbootstrap.checks.hosts import CHECK_NAMES
from k8sbootstrap.checks.hosts.base import Seen
from k8sbootstrap.cli import preflight
from k8sbootstrap.cli.main import main
from k8sbootstrap.errors import HostError
from k8sbootstrap.survey.facts import parse
from tests.cluster_yaml import cluster_yaml
from tests.json_form import form_of
from tests.unit.hosts.sessions import AnsweredPool


@pytest.fixture
def cluster_file(tmp_path):
    """A cluster whose one host refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    path = tmp_path / "cluster.yaml"
    path.write_text(
        cluster_yaml(
            "name: m1, address: 127.0.0.1, privateAddress: 192.0.2.1, roles: [master, worker], "
            f"ssh: {{port: {port}}}",
            version="1.34.11",
        )
    )
    return path


def run(cluster_file, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(["--file", str(cluster_file), "preflight", *arguments])
    return caught.value.code


def test_text_shows_only_problems(cluster_file, capsys):
    assert run(cluster_file) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "m1"
    assert lines[1].split()[:2] == ["failed", "ssh:"]
    assert "connection refused" in lines[1]
    assert "SSH server" in lines[2]
    assert lines[3] == f"1 host, {len(CHECK_NAMES)} checks each: 1 failed, {len(CHECK_NAMES) - 1} skipped"
    assert len(lines) == 4


def test_verbose_shows_all(cluster_file, capsys):
    with pytest.raises(SystemExit):
        main(["-v", "--file", str(cluster_file), "preflight"])
    output = capsys.readouterr().out
    assert all(f" {name}: " in output for name in CHECK_NAMES)


def test_json(cluster_file, capsys):
    assert run(cluster_file, "-o", "json") == 4
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert [result["check"] for result in report["results"]] == list(CHECK_NAMES)


def test_json_keeps_its_form(tmp_path, recording, monkeypatch, capsys, golden):
    path = tmp_path / "cluster.yaml"
    path.write_text(cluster_yaml("m1", "w1", version="1.34.11", subnet="192.0.2"))
    text = recording(machine="aarch64", disk_free=0, meminfo="MemTotal:  1500000 kB\n")
    answers = {"m1": Seen(parse(text), 1000.0, 1001.0), "w1": HostError("w1: no route", hint="Start it.")}
    monkeypatch.setattr(preflight, "ensure_known", lambda *_, **__: None)
    monkeypatch.setattr(preflight, "Pool", lambda: AnsweredPool(answers))
    assert run(path, "--ignore", "disk", "-o", "json") == 4
    form = form_of([json.loads(capsys.readouterr().out)])
    golden(Path(__file__).parent / "golden/preflight.json", form)


EVERY_STATUS = CheckReport(
    "demo",
    (
        CheckResult("ssh", "m1", Status.PASSED, "root@192.0.2.11:22", ""),
        CheckResult("swap", "m1", Status.IGNORED, "swap is on: [/dev/sda2]", "Run swapoff -a."),
        CheckResult("disk", "w1", Status.FAILED, "1.0 GiB free", "Free some space."),
        CheckResult("clock-skew", "w1", Status.WARNING, "2.0 s ahead", "Install chrony."),
        CheckResult("ports", "w1", Status.SKIPPED, "the ss command is not installed there", ""),
    ),
)
PROBLEMS = """\
m1
  ignored  swap: swap is on: [/dev/sda2]
           Run swapoff -a.
w1
  failed   disk: 1.0 GiB free
           Free some space.
  warning  clock-skew: 2.0 s ahead
           Install chrony.
2 hosts, 5 checks each: 1 ok, 1 warning, 1 failed, 1 ignored, 1 skipped
"""
EVERYTHING = """\
m1
  ok       ssh: root@192.0.2.11:22
  ignored  swap: swap is on: [/dev/sda2]
           Run swapoff -a.
w1
  failed   disk: 1.0 GiB free
           Free some space.
  warning  clock-skew: 2.0 s ahead
           Install chrony.
  skipped  ports: the ss command is not installed there
2 hosts, 5 checks each: 1 ok, 1 warning, 1 failed, 1 ignored, 1 skipped
"""


@pytest.mark.parametrize(("options", "text"), [((), PROBLEMS), (("-v",), EVERYTHING)])
def test_text_word_by_word(cluster_file, monkeypatch, capsys, options, text):
    monkeypatch.setattr(preflight, "ensure_known", lambda *_, **__: None)
    monkeypatch.setattr(preflight, "run_preflight", lambda *_, **__: EVERY_STATUS)
    with pytest.raises(SystemExit) as caught:
        main([*options, "--file", str(cluster_file), "preflight"])
    assert caught.value.code == 4
    assert capsys.readouterr().out == text


def test_json_word_by_word(cluster_file, monkeypatch, capsys):
    results = EVERY_STATUS.results[1:3]
    monkeypatch.setattr(preflight, "ensure_known", lambda *_, **__: None)
    monkeypatch.setattr(preflight, "run_preflight", lambda *_, **__: CheckReport("demo", results))
    assert run(cluster_file, "-o", "json") == 4
    assert (
        capsys.readouterr().out
        == """\
{
  "ok": false,
  "counts": {
    "ok": 0,
    "warning": 0,
    "failed": 1,
    "ignored": 1,
    "skipped": 0
  },
  "results": [
    {
      "host": "m1",
      "check": "swap",
      "status": "ignored",
      "message": "swap is on: [/dev/sda2]",
      "fix": "Run swapoff -a."
    },
    {
      "host": "w1",
      "check": "disk",
      "status": "failed",
      "message": "1.0 GiB free",
      "fix": "Free some space."
    }
  ]
}
"""
    )


def test_an_ignored_failure_does_not_count(cluster_file, capsys):
    assert run(cluster_file, "--ignore", "ssh") == 0
    assert "ignored  ssh" in capsys.readouterr().out


def test_an_unknown_name_is_a_usage_error(cluster_file, capsys):
    assert run(cluster_file, "--ignore", "swop") == 2
    assert "swop" in capsys.readouterr().err
