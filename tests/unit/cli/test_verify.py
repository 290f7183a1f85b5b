import hashlib
import json
from xml.etree import ElementTree as ET

import pytest

from k8sbootstrap.catalog.resolve import kube_bench
from tests.cluster_yaml import cluster_yaml

CLUSTER = cluster_yaml(
    "name: m1, address: 127.0.0.1, privateAddress: 192.0.2.11, roles: [master, worker], ssh: {port: 9}"
)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A cluster of one host whose SSH port is closed; cleanly refused, so all of it takes no time."""
    monkeypatch.setattr("k8sbootstrap.checks.framework.SETTLE", 0)
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    return path


def test_a_cluster_that_cannot_be_reached_fails_with_exit_code_6(run, file):
    ran = run("-f", str(file), "verify")
    assert ran.code == 6
    assert "failed   ssh" in ran.out
    assert "m1" in ran.out
    assert "The cluster demo does not work correctly: ssh (m1)" in ran.err
    assert "Fix ssh first" in ran.err


def test_json_goes_to_standard_output_alone_and_junit_to_its_file(run, file, tmp_path):
    junit = tmp_path / "junit.xml"
    ran = run("-f", str(file), "verify", "--short", "-o", "json", "--junit", str(junit))
    assert ran.code == 6
    document = json.loads(ran.out)
    assert document["ok"] is False
    assert {result["check"] for result in document["results"]} == {
        "ssh",
        "components",
        "etcd",
        "api-from-nodes",
        "nodes",
    }
    suite = ET.fromstring(junit.read_text()).find("testsuite")
    assert int(suite.attrib["failures"]) == len([r for r in document["results"] if r["status"] == "failed"])


def test_a_host_that_is_not_of_this_cluster_cannot_be_allowed_down(run, file):
    ran = run("-f", str(file), "verify", "--allow-down", "m9")
    assert ran.code == 2
    assert "m9 is not a host of this cluster. Its hosts are m1." in ran.err


def test_a_junit_file_that_cannot_be_is_refused_before_anything_is_asked(run, file):
    ran = run("-f", str(file), "verify", "--junit", "/nonexistent/junit.xml")
    assert ran.code == 2
    assert "/nonexistent is not a directory" in ran.err
    assert "ssh" not in ran.out


def test_nothing_left_to_check_is_not_a_success(run, file):
    ran = run("-f", str(file), "verify", "--allow-down", "m1")
    assert ran.code == 6
    assert "skipped  ssh" in ran.out


@pytest.fixture
def with_kube_bench(file):
    """The same cluster, with a directory that has kube-bench."""
    files = {each.key: each.file for each in kube_bench("amd64")}
    for key, name in files.items():
        path = file.parent / "artifacts" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        checks = f"groups: [{{id: 1, checks: [{{id: {len(name)}.1, text: Ensure this}}]}}]"
        path.write_text(f"version: cis-1.12\ntype: {name.removesuffix('.yaml')}\n{checks}\n")
    list_of_hashes = "".join(
        f"{hashlib.sha256((file.parent / 'artifacts' / key).read_bytes()).hexdigest()}  {key}\n"
        for key in files
    )
    (file.parent / "artifacts" / "SHA256SUMS").write_text(list_of_hashes)
    sources = "artifacts: {upstream: false, sources: [{directory: artifacts}]}\n"
    file.write_text(file.read_text() + sources)
    return file


def test_cis_without_kube_bench_says_where_it_was_looked_for(run, file):
    file.write_text(file.read_text() + "artifacts: {upstream: false}\n")
    ran = run("-f", str(file), "verify", "--cis")
    assert ran.code == 8
    assert "kube-bench/0.15.6/amd64/kube-bench" in ran.err


def test_cis_of_a_host_that_cannot_be_reached(run, with_kube_bench, tmp_path):
    junit = tmp_path / "junit.xml"
    ran = run("-f", str(with_kube_bench), "verify", "--cis", "--junit", str(junit))
    assert ran.code == 6
    assert "m1        0        0        1        5" in ran.out
    assert "FAIL    kube-bench kube-bench runs on the host" in ran.out
    assert "kube-bench/0.15.6: 1 file from" in ran.err
    assert "The cluster demo does not meet the CIS benchmark: kube-bench (m1)" in ran.err
    suite = ET.fromstring(junit.read_text()).find("testsuite")
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("1", "5")


def test_cis_as_json(run, with_kube_bench):
    ran = run("-f", str(with_kube_bench), "verify", "--cis", "-o", "json")
    document = json.loads(ran.out)
    assert list(document) == ["cluster", "ok", "seconds", "hosts", "results"]
    assert document["hosts"] == {"m1": {"PASS": 0, "WARN": 0, "FAIL": 1, "ignored": 0, "not run": 5}}
    first, second = document["results"][:2]
    assert list(first) == ["check", "title", "host", "status", "message", "fix"]
    assert (first["check"], first["status"]) == ("kube-bench", "FAIL")
    assert (second["title"], second["status"]) == ("Ensure this", "not run")


def test_conformance_without_its_tests_says_where_they_were_looked_for(run, file):
    file.write_text(file.read_text() + "artifacts: {upstream: false}\n")
    ran = run("-f", str(file), "verify", "--conformance")
    assert ran.code == 8
    assert "/amd64/e2e.test" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cis", "--short"], "--short and --cis exclude each other"),
        (["--cis", "--conformance"], "--cis and --conformance exclude each other"),
        (["--focus", "DNS"], "--focus needs --conformance"),
        (["--conformance", "--focus", ""], "--focus: it is empty; leave it out to run all tests"),
        (["--bundle", __file__], "--bundle needs --cis or --conformance"),
    ],
)
def test_options_that_do_not_go_together(run, file, options, said):
    ran = run("-f", str(file), "verify", *options)
    assert ran.code == 2
    assert said in ran.err
