import json
import socket

import pytest

from k8sbootstrap.cli.main import main
from k8sbootstrap.preflight.run import CHECK_NAMES


@pytest.fixture
def cluster_file(tmp_path):
    """A cluster whose one host refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    path = tmp_path / "cluster.yaml"
    path.write_text(
        "apiVersion: k8sbootstrap/v1alpha1\nkind: Cluster\nname: demo\nkubernetes: {version: 1.20.2}\n"
        f"hosts:\n- {{name: m1, address: 127.0.0.1, privateAddress: 192.0.2.1, roles: [master, worker], "
        f"ssh: {{port: {port}}}}}\n"
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


def test_an_ignored_failure_does_not_count(cluster_file, capsys):
    assert run(cluster_file, "--ignore", "ssh") == 0
    assert "ignored  ssh" in capsys.readouterr().out


def test_an_unknown_name_is_a_usage_error(cluster_file, capsys):
    assert run(cluster_file, "--ignore", "swop") == 2
    assert "swop" in capsys.readouterr().err
