"""What a host says of etcd, and when its member may start without data."""

import http.server
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import jinja2
import pytest
from ansible.module_utils.k8sbootstrap.kube import etcd
from playbook_code import PLAYBOOKS

New = Callable[..., Any]
MEMBERS = {"master1": "10.0.0.11", "master2": "10.0.0.12"}
UNIT = """\
ExecStart=/usr/local/bin/etcd \\
  --initial-cluster=master1=https://10.0.0.11:2380,master2=https://10.0.0.12:2380 \\
  --initial-cluster-state=new
"""


@pytest.fixture
def paths(host: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's folder, with etcd's places in it."""
    for name in ("DATA", "BEGIN", "UNIT", "API_UNIT", "JOINED", "PKI"):
        monkeypatch.setattr(etcd, name, str(host) + getattr(etcd, name))
    return host


def write(path: str | Path, text: str = "") -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def give_data(paths: Path) -> None:
    write(etcd.DATA + "/member/wal/0000000000000000-0000000000000000.wal")


def test_a_bare_host(paths: Path, new_record: New) -> None:
    nothing = {"members": {}, "formed": False, "api": [], "joined": False, "restoring": "", "living": None}
    assert etcd.look(new_record()) == {"cluster": "", "data": False, "changed": 0, **nothing}
    assert list(paths.iterdir()) == []


def test_folders_without_a_log_are_no_data(paths: Path) -> None:
    write(etcd.DATA + "/member/snap/db")
    assert not etcd.has_data()
    give_data(paths)
    assert etcd.has_data()


@pytest.mark.parametrize(
    ("units", "digest", "formed"), [([], "", False), (["etcd.service"], "", True), ([], "abc", True)]
)
def test_a_host_of_an_older_version(
    paths: Path, new_record: New, units: list[str], digest: str, *, formed: bool
) -> None:
    write(etcd.UNIT, UNIT)
    record = new_record()
    record.component("etcd").update(files={etcd.UNIT: {}}, units=units, digest=digest)
    assert etcd.recorded(record) == {"members": MEMBERS, "formed": formed}


def test_which_members_the_api_server_uses(paths: Path, new_record: New) -> None:
    write(etcd.API_UNIT, "  --etcd-servers=https://10.0.0.31:2379,https://10.0.0.32:2379 \\\n")
    record = new_record()
    assert etcd.look(record)["api"] == []  # it is somebody else's
    record.component("kube_apiserver")
    assert etcd.look(record)["api"] == ["10.0.0.31", "10.0.0.32"]


def test_a_node(paths: Path, new_record: New) -> None:
    record = new_record()
    record.component("kubelet")
    assert not etcd.look(record)["joined"]
    write(etcd.JOINED)
    assert etcd.look(record)["joined"]


class Gateway(http.server.BaseHTTPRequestHandler):
    """etcd's JSON gateway, with answers in the form of etcd's."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[dict[str, Any]] = {}
    asked: ClassVar[list[tuple[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, json.loads(body)))
        text = json.dumps(self.answers[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: Any) -> None:
        pass


LIST, RANGE = "/v3/cluster/member/list", "/v3/kv/range"
ANSWERS = {
    LIST: {
        "header": {
            "cluster_id": "6170486423054271432",
            "member_id": "10897692533242857061",
            "raft_term": "2",
        },
        "members": [
            {
                "ID": "10897692533242857061",
                "name": "master1",
                "peerURLs": ["https://10.86.1.11:2380"],
                "clientURLs": ["https://10.86.1.11:2379"],
            },
            {"ID": "1", "peerURLs": ["https://10.86.1.12:2380"]},
        ],
    },
    RANGE: {"header": {"revision": "812", "raft_term": "2"}, "count": "244"},
}


@pytest.fixture
def gateway(paths: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Gateway]]:
    """It answers to the healthcheck client's certificate alone."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed")
    write(etcd.PKI + "/x")
    key, certificate = etcd.PKI + "/healthcheck-client.key", etcd.PKI + "/healthcheck-client.crt"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += [
        "-subj",
        "/CN=x",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copy(certificate, etcd.PKI + "/ca.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setattr(etcd, "PORT", server.server_port)
    monkeypatch.setattr(Gateway, "answers", dict(ANSWERS))
    monkeypatch.setattr(Gateway, "asked", [])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Gateway
    server.shutdown()
    server.server_close()


def test_what_a_living_member_reports(gateway: Any, new_record: New) -> None:
    first = {
        "id": "973c619edb5e0665",
        "name": "master1",
        "urls": ["https://10.86.1.11:2380"],
        "started": True,
    }
    added = {"id": "1", "name": "", "urls": ["https://10.86.1.12:2380"], "started": False}
    wanted = {"cluster": "55a1f8b5898543c8", "members": [first, added], "revision": 812, "objects": 244}
    living = etcd.look(new_record())["living"]
    assert living == wanted
    assert [path for path, _ in gateway.asked] == [LIST, RANGE]
    assert not gateway.asked[0][1]["linearizable"]  # it answers without a quorum
    assert gateway.asked[1][1]["serializable"]


@pytest.mark.parametrize("answer", [{}, [], {"header": {}}, {"header": {"cluster_id": "x"}, "members": []}])
def test_an_answer_that_is_not_etcds(gateway: Any, new_record: New, answer: Any) -> None:
    gateway.answers[LIST] = answer
    assert etcd.look(new_record())["living"] is None


def test_nothing_listens(gateway: Any, new_record: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "PORT", 1)
    assert etcd.look(new_record())["living"] is None


def permission() -> str | None:
    path = Path(etcd.BEGIN)
    return path.read_text() if path.exists() else None


def test_the_permission_is_there_while_the_unit_starts(paths: Path, new_record: New) -> None:
    with etcd.permitted(new_record(), {"name": "master1", "members": MEMBERS, "begin": "new"}):
        pairs = "master1=https://10.0.0.11:2380,master2=https://10.0.0.12:2380"
        assert permission() == f"new {pairs}\n"
        assert new_record().data["etcd"] == {"members": MEMBERS, "formed": False}
    assert permission() is None


def test_it_goes_when_the_unit_fails(paths: Path, new_record: New) -> None:
    with pytest.raises(RuntimeError), etcd.permitted(new_record(), {"members": MEMBERS, "begin": "new"}):
        raise RuntimeError
    assert permission() is None


def test_a_member_whose_data_a_restore_brings_may_not_begin(paths: Path, new_record: New) -> None:
    """It is marked, and one that the restore has placed already is known as that."""
    wanted = {"members": MEMBERS, "begin": "new", "restoring": "r1"}
    with etcd.permitted(new_record(), wanted):
        assert permission() is None
    assert new_record().data["etcd"] == {"restoring": "r1", "placed": ""}
    record = new_record()
    record.data["etcd"] |= {"members": MEMBERS, "formed": True, "placed": "r1"}
    record.save()
    with etcd.permitted(new_record(), wanted):
        assert permission() is None
    assert new_record().data["etcd"]["placed"] == "r1"
    assert new_record().data["etcd"]["formed"]


@pytest.mark.parametrize("data", [False, True])
def test_there_is_none_without_need(paths: Path, new_record: New, *, data: bool) -> None:
    if data:
        give_data(paths)
    write(etcd.BEGIN, "new\n")  # of a run that was killed
    with etcd.permitted(new_record(), {"members": MEMBERS, "begin": "new" if data else ""}):
        assert permission() is None


def test_check_mode_and_other_components_leave_it_alone(paths: Path, new_record: New) -> None:
    write(etcd.BEGIN, "new\n")
    with etcd.permitted(new_record(check_mode=True), {"members": MEMBERS, "begin": "new"}):
        pass
    with etcd.permitted(new_record(), {}):
        pass
    assert permission() == "new\n"
    assert not new_record().data["etcd"]


def test_a_member_of_an_older_version_is_written_down(paths: Path, new_record: New) -> None:
    give_data(paths)
    write(etcd.UNIT, UNIT)
    record = new_record()
    record.component("etcd").update(files={etcd.UNIT: {}}, units=["etcd.service"])
    with etcd.permitted(record, {"members": MEMBERS, "begin": ""}):
        pass
    assert record.data["etcd"] == {"members": MEMBERS, "formed": True}


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Runs the script that the unit starts, with an etcd that only prints its arguments."""
    text = (PLAYBOOKS.parent / "roles/etcd/templates/start-etcd.sh.j2").read_text()
    text = jinja2.Template(text).render(etcd_name="m1", etcd_address="10.0.0.11")
    for path in ("/var/lib/etcd", "/run/k8sbootstrap"):
        assert f" {path}/" in text or f"<{path}/" in text
        text = text.replace(path, f"{tmp_path}{path}")
    write(tmp_path / "start-etcd", text)
    command = ["sh", str(tmp_path / "start-etcd"), "echo", "--name=a b", "--flag=$x"]
    return lambda: subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_starts_where_data_is(start: Any, tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / f"var/lib/etcd/member/wal/{number}.wal")
    write(tmp_path / "run/k8sbootstrap/etcd-begin", "new x=https://y\n")
    own = "--initial-cluster=m1=https://10.0.0.11:2380"
    assert start().stdout == f"--name=a b --flag=$x --initial-cluster-state=existing {own}\n"


@pytest.mark.parametrize("state", ["new", "existing"])
def test_it_starts_where_it_may(start: Any, tmp_path: Path, state: str) -> None:
    write(tmp_path / "run/k8sbootstrap/etcd-begin", f"{state} m1=https://x:2380,$(m2)=https://y:2380\n")
    members = "--initial-cluster=m1=https://x:2380,$(m2)=https://y:2380"
    assert start().stdout == f"--name=a b --flag=$x --initial-cluster-state={state} {members}\n"


@pytest.mark.parametrize("there", ["", "var/lib/etcd/member/snap/db", "var/lib/etcd/member/wal/0.tmp"])
def test_it_does_not_start_without_data(start: Any, tmp_path: Path, there: str) -> None:
    if there:
        write(tmp_path / there)
    done = start()
    assert (done.returncode, done.stdout) == (78, "")
    assert all(line.startswith("<3>") for line in done.stderr.splitlines())
    assert "Is a disk not mounted there" in done.stderr
