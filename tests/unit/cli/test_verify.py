import json
from xml.etree import ElementTree as ET

import pytest

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
