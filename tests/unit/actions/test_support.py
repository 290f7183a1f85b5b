"""The archive: what is in it, what is left out, and that it is judged the same."""

import io
import json
import tarfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from k8sbootstrap.actions.support import LOOK, Support, archive, collect, secrets_of
from k8sbootstrap.checks.doctor.causes import as_document, diagnose
from k8sbootstrap.formats.archive import read_member
from k8sbootstrap.hosts.answers import RunAnswer
from k8sbootstrap.hosts.pool import Pool
from k8sbootstrap.pki.issue import ensure_pki
from k8sbootstrap.plan.build import load_plan
from k8sbootstrap.plan.models import ClusterPlan
from k8sbootstrap.state import State
from k8sbootstrap.survey.doctor import kept
from k8sbootstrap.survey.doctor.look import ClusterLook
from k8sbootstrap.survey.doctor.support import api_commands, host_commands
from tests.cluster_yaml import cluster_yaml
from tests.unit.checks.doctor import sound as s
from tests.unit.checks.doctor.test_rules import member_stopped
from tests.unit.hosts.sessions import ScriptedSession, unreachable

CANARIES = {name: f"canary-{name}-0123456789" for name in ("sudo", "registry", "proxy", "source")}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUDO_CANARY", CANARIES["sudo"])
    (tmp_path / "registry-password").write_text(CANARIES["registry"])
    (tmp_path / "registry-password").chmod(0o600)
    file = tmp_path / "cluster.yaml"
    file.write_text(
        cluster_yaml(
            "m1",
            "m2",
            "m3",
            "w1, labels: {disk: ssd}",
            "w2",
            subnet="192.0.2",
            ssh="{user: admin, port: 2222, sudoPassword: {env: SUDO_CANARY}}",
            proxy=f'{{http: "http://robot:{CANARIES["proxy"]}@proxy.example.com:3128"}}',
            runtime="{registries: [{host: r.example.com, username: puller, password: "
            "{file: registry-password}}]}",
            artifacts=f'{{sources: [{{url: "https://robot:{CANARIES["source"]}@127.0.0.1:9/files"}}]}}',
        )
    )
    file.chmod(0o600)
    return file


@pytest.fixture
def plan(file: Path) -> ClusterPlan:
    return load_plan(file)


def everything(plan: ClusterPlan, look: ClusterLook) -> ClusterLook:
    """The same with what support asks beyond doctor; each command prints all secrets."""
    leak = RunAnswer(0, "first line\n" + "\n".join(CANARIES.values()) + "\n", "")
    for name in look.hosts:
        host = next(each for each in plan.hosts if each.name == name)
        look = s.with_host(look, name, dict.fromkeys(host_commands(plan, host), leak))
    return replace(look, api={**look.api, **dict.fromkeys(api_commands(), leak)})


def unpacked(content: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert {member.mode for member in tar} == {0o600}
        return {name: tar.extractfile(name).read().decode() for name in tar.getnames()}


def test_all_of_every_host_is_in_it_but_no_secret(plan, file):
    state = State.beside(file, plan.config.name)
    ensure_pki(plan, state)
    key = (state.pki / "ca.key").read_text()
    run = state.runs / "20261129T190000Z-abcdef"
    run.mkdir(parents=True)
    (run / "ansible.log").write_text(f"said {CANARIES['sudo']}\n{key}")
    (run / "events.jsonl").write_text(json.dumps({"text": f'a "{CANARIES["proxy"]}\\"'}) + "\n{cut")
    broken = s.without_host(member_stopped(s.sound(plan)), "w2")
    look = s.with_host(everything(plan, broken), "m1", {"journal/etcd.log": key.splitlines()[1]})
    content = archive(Support(plan, look, diagnose(plan, look)), file)
    files = unpacked(content)
    assert {name.split("/")[1] for name in files} == {
        "look.json",
        "README.txt",
        "doctor.json",
        "doctor.txt",
        "cluster.yaml",
        "hosts",
        "api",
        "runs",
    }
    for name in ("hosts/m1/journal/kubelet.log", "hosts/w1/network/routes.txt", "api/pods.txt"):
        assert files[f"support/{name}"].splitlines() == ["first line", "***", "***", "***", "***"]
    assert files["support/hosts/w2/error.txt"] == "w2 (192.0.2.9:22): timed out\n"
    assert "etcd-member-down" in files["support/doctor.txt"]
    assert files[f"support/runs/{run.name}/ansible.log"] == "said ***\n***\n"
    assert json.loads(files[f"support/runs/{run.name}/events.jsonl"].splitlines()[0])
    lines = [line for path in state.pki.rglob("*.key") for line in path.read_text().splitlines()[1:-1]]
    for text in files.values():
        assert not [name for name, canary in CANARIES.items() if canary in text]
        assert not [line for line in lines if len(line) > 40 and line in text]


def test_it_is_judged_the_same_elsewhere(plan, file, tmp_path):
    broken = s.without_host(member_stopped(s.sound(plan)), "w2")
    look = everything(plan, broken)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(archive(Support(plan, look, diagnose(plan, look)), file))
    again = diagnose(*kept.read(read_member(path, LOOK, 1 << 30)))
    assert as_document(again) == as_document(diagnose(plan, look))
    assert len(again.causes) == 2


def test_secrets_of_this_machine_are_known(plan, file):
    state = State.beside(file, plan.config.name)
    assert set(CANARIES.values()) <= set(secrets_of(plan, file, state))


def test_each_host_is_asked_once(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(cluster_yaml("m1", "w1", subnet="192.0.2"))
    plan = load_plan(file)
    asked = []

    def reply(host: str, command: str, stdin: str) -> RunAnswer:
        wanted = json.loads(stdin.partition("\n")[0])
        asked.append((host, "nodes" in wanted["run"]))
        answers = {name: {"rc": 1, "stdout": "", "stderr": "no"} for name in wanted["run"]}
        gets = {name: {"status": 200, "body": "", "error": "", "seconds": 0} for name in wanted["http"]}
        return RunAnswer(
            0, json.dumps({"run": answers, "http": gets, "certificates": {}, "clock": [0, 0]}), ""
        )

    with Pool(lambda target: ScriptedSession(target, reply)) as pool:
        found = collect(plan, pool)
    assert sorted(asked) == [("m1", False), ("m1", True), ("w1", False)]
    assert unpacked(archive(found, file))["support/api/error.txt"] == "no\n"


def test_no_host_at_all_is_an_archive_too(plan, file):
    found = collect(plan, Pool(unreachable))
    files = unpacked(archive(found, file))
    assert all(f"support/hosts/{host.name}/error.txt" in files for host in plan.hosts)
    assert [cause["id"] for cause in json.loads(files["support/doctor.json"])["findings"]] == [
        "host-unreachable"
    ] * 5
    assert asdict(found.look)["hosts"] == {}
