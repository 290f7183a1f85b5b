"""Status from recorded answers: what is in it, how it is shown."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from rich.console import Console

from k8sbootstrap.cli import status as status_command
from k8sbootstrap.cli.main import main
from k8sbootstrap.cli.text.status_json import as_json
from k8sbootstrap.cli.text.status_tables import tables
from k8sbootstrap.errors import HostError
from k8sbootstrap.hosts.answers import HttpAnswer, RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.survey.cluster.requests import ENDPOINT_HEALTH
from k8sbootstrap.survey.status.collect import (
    KERNEL,
    OS_RELEASE,
    VIRTUAL_IP,
    collect,
    status_request,
    summarize,
)
from k8sbootstrap.survey.status.parse import os_name, version
from tests.json_form import form_of
from tests.unit.checks.cluster.healthy import healthy, make_plan
from tests.unit.hosts.sessions import unreachable

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
VERSIONS = {
    "docker": "20.10.24+dfsg1\n",
    "etcd": "etcd Version: 3.4.23\nGit SHA: Not provided\nGo Version: go1.19.8\n",
    "haproxy": "HAProxy version 2.6.12-1+deb12u2 2025/04/17 - https://haproxy.org/\nStatus: long-term\n",
}
OS = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nID=debian\n'


def pem(name: str, end: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(end - timedelta(days=365))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="module")
def pems():
    return {
        "/etc/kubernetes/pki/ca.crt": pem("kubernetes", NOW + timedelta(days=3650)),
        "/var/lib/kubelet/pki/kubelet-serving.crt": pem("system:node:x", NOW + timedelta(days=300, hours=1)),
    }


@pytest.fixture
def facts(tmp_path, pems):
    found = healthy(make_plan(tmp_path))
    answers = {}
    for host in found.plan.hosts:
        answer = found.answers[host.name]
        run = dict(answer.run)
        for name in status_request(found.plan, host).run:
            if name.startswith("version "):
                component = name.removeprefix("version ")
                run[name] = RunAnswer(0, VERSIONS.get(component, "Kubernetes v1.36.2\n"), "")
        run |= {OS_RELEASE: RunAnswer(0, OS, ""), KERNEL: RunAnswer(0, "6.1.0-37-amd64\n", "")}
        assert run.keys() == status_request(found.plan, host).run.keys()
        answers[host.name] = replace(answer, run=run, certificates=pems)
    return replace(found, answers=answers)


def shown(status, width=300) -> str:
    console = Console(width=width, no_color=True, highlight=False, soft_wrap=True)
    with console.capture() as capture:
        for part in tables(status):
            console.print(part)
    return capture.get()


def test_a_healthy_cluster_at_a_glance(facts):
    status = summarize(facts, NOW)
    host = status.hosts[0]
    assert (host.os, host.kernel, host.runtime) == (
        "Debian GNU/Linux 12 (bookworm)",
        "6.1.0-37-amd64",
        "docker 20.10.24+dfsg1",
    )
    assert host.roles == ("master", "etcd")
    assert {c.name: c.version for c in host.components}["etcd"] == "3.4.23"
    assert all(component.healthy for host in status.hosts for component in host.components)
    assert [member.host for member in status.etcd if member.leader] == ["m3"]
    assert status.etcd[0].db_size == 24576
    assert all(node.ready and node.planned and node.schedulable for node in status.nodes)
    assert host.certificates[0].path.endswith("kubelet-serving.crt")
    assert host.certificates[0].days_left == 300
    text = shown(status)
    for words in ("300 days left", "leader", "20.10.24+dfsg1", "2.6.12-1+deb12u2", "10.244.0.0/24", "5/5"):
        assert words in text
    assert "unhealthy" not in text


def test_an_unreachable_host_is_shown_as_such_and_the_rest_as_ever(facts):
    answers = {name: answer for name, answer in facts.answers.items() if name != "m1"}
    status = summarize(replace(facts, answers=answers, lost={"m1": "m1 (192.0.2.11): timed [out]"}), NOW)
    assert [host.reachable for host in status.hosts] == [False, True, True, True, True]
    assert not status.etcd[0].healthy
    text = shown(status)
    assert "unreachable: m1 (192.0.2.11): timed [out]" in text
    assert "4/4" in text


def test_unhealthy_components_and_members_say_why(facts):
    worker, member = facts.answers["w1"], facts.answers["m2"]
    sick = {**worker.http, "kubelet": HttpAnswer(500, "healthz check failed", "", 0.1)}
    run = {**member.run, ENDPOINT_HEALTH: RunAnswer(1, "[]", "Error: unhealthy cluster")}
    answers = {**facts.answers, "w1": replace(worker, http=sick), "m2": replace(member, run=run)}
    status = summarize(replace(facts, answers=answers), NOW)
    text = shown(status)
    assert "w1: HTTP 500 healthz check failed" in text
    assert "4/5" in text
    assert "unhealthy: Error: unhealthy cluster" in text


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=29, hours=1), "29 days left: /etc/kubernetes/admin.conf"),
        (timedelta(days=-2, hours=1), "EXPIRED 2 days ago: /etc/kubernetes/admin.conf"),
    ],
)
def test_certificates_that_end_soon_are_named(facts, pems, left, words):
    soon = {**pems, "/etc/kubernetes/admin.conf": pem("kubernetes-admin", NOW + left)}
    answers = {**facts.answers, "m1": replace(facts.answers["m1"], certificates=soon)}
    assert words in shown(summarize(replace(facts, answers=answers), NOW))


def test_nodes_beyond_the_plan_and_missing_ones(facts):
    nodes = dict(facts.nodes)
    nodes["old"] = {**nodes.pop("w2"), "spec": {"unschedulable": True}}
    status = summarize(replace(facts, nodes=nodes), NOW)
    text = shown(status)
    assert "has not joined" in text
    assert "Ready, cordoned" in text
    assert "not in cluster.yaml" in text


def test_an_api_that_does_not_answer(facts):
    status = summarize(replace(facts, nodes={}, api_error="no API server answered (m1: refused)"), NOW)
    assert status.nodes == ()
    assert "no API server answered (m1: refused)" in shown(status)


@pytest.mark.parametrize(
    ("holders", "words"),
    [
        (["m2"], "The virtual IP 192.0.2.100 is on m2\n"),
        ([], "192.0.2.100 is on no master"),
        (["m1", "m3"], "192.0.2.100 is on m1, m3"),
    ],
)
def test_who_has_the_virtual_ip(facts, holders, words):
    api = facts.plan.config.api.model_copy(update={"virtual_ip": IPv4Address("192.0.2.100")})
    plan = replace(facts.plan, config=facts.plan.config.model_copy(update={"api": api}))
    assert VIRTUAL_IP not in status_request(plan, plan.hosts[3]).run
    answers = dict(facts.answers)
    for host in plan.masters:
        asked = status_request(plan, host).run
        seen = "2: eth0    inet 192.0.2.100/32 scope global eth0\n" if host.name in holders else ""
        more = {name: RunAnswer(0, "Keepalived v2.2.7 (01/16,2022)\n", "") for name in asked}
        run = {**more, **answers[host.name].run, VIRTUAL_IP: RunAnswer(0, seen, "")}
        answers[host.name] = replace(answers[host.name], run=run)
    status = summarize(replace(facts, plan=plan, answers=answers), NOW)
    assert status.virtual_ip_on == tuple(holders)
    assert words in shown(status)
    assert "virtual IP" not in shown(summarize(facts, NOW))


def test_json_has_every_certificate_with_iso_times(facts):
    document = json.loads(as_json(summarize(facts, NOW)))
    assert document["hosts"][0]["certificates"][0]["not_after"] == "2027-09-20T13:00:00+00:00"
    assert len(document["hosts"][0]["certificates"]) == 2
    assert document["etcd"][2]["leader"] is True


def test_json_keeps_its_form(facts, tmp_path, monkeypatch, capsys, golden):
    answers = {name: answer for name, answer in facts.answers.items() if name != "m1"}
    nodes = {name: node for name, node in facts.nodes.items() if name != "w2"}
    status = summarize(replace(facts, answers=answers, nodes=nodes, lost={"m1": "m1: no route"}), NOW)
    monkeypatch.setattr(status_command, "collect", lambda _plan, _pool: status)
    with pytest.raises(SystemExit):
        main(["--file", str(tmp_path / "cluster.yaml"), "status", "-o", "json"])
    form = form_of([json.loads(capsys.readouterr().out)])
    golden(Path(__file__).parent / "golden/status.json", form)


def test_no_host_at_all_is_an_error(tmp_path):
    with pytest.raises(HostError) as error:
        collect(make_plan(tmp_path), Pool(unreachable))
    assert error.value.exit_code == 5
    for name in ("m1", "m2", "m3", "w1", "w2"):
        assert f"{name} (192.0.2." in str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kubernetes v1.36.3\n", "1.36.3"),
        ("containerd containerd.io 1.6.20~ds1 1.6.20~ds1-1+deb12u2\n", "1.6.20~ds1"),
        ("containerd github.com/containerd/containerd/v2 2.1.3 abc\n", "2.1.3"),
        ("cri-dockerd 0.3.26 (HEAD)\n", "0.3.26"),
        ("no such command", ""),
    ],
)
def test_versions(text, expected):
    assert version(text) == expected


def test_os_name_without_pretty_name():
    assert os_name("ID=alpine\nVERSION_ID=3.20\n") == "alpine"
