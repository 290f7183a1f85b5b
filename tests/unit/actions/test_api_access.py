"""Ways to the API: servers on this machine stand for masters."""

import http.server
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from k8sbootstrap.actions import api_access
from k8sbootstrap.actions.api_access import Way, living, run_kubectl, through_ssh
from k8sbootstrap.config.load import load_cluster
from k8sbootstrap.errors import HostError
from k8sbootstrap.pki import kubeconfig, x509
from k8sbootstrap.pki.operator_kubeconfig import server_of
from k8sbootstrap.pki.table import SERVER, Subject
from k8sbootstrap.plan.build import build_plan
from k8sbootstrap.plan.models import ClusterPlan
from tests.cluster_yaml import cluster_yaml

Serve = Callable[..., int]


@pytest.fixture(scope="module")
def authority() -> x509.Pair:
    return make()


def make() -> x509.Pair:
    key = x509.new_key()
    return x509.Pair(x509.make_authority("kubernetes", key), key)


@pytest.fixture
def serve(authority: x509.Pair, tmp_path: Path) -> Iterator[Serve]:
    """Starts an API server of the cluster on 127.0.0.1, and returns its port."""
    servers = []

    def start(status: int = 200, ca: x509.Pair = authority) -> int:
        class Ready(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/readyz" else 404)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        pair = x509.issue(
            Subject("kube-apiserver", usages=SERVER, sans=frozenset({"kubernetes", "127.0.0.1"})), ca
        )
        file = tmp_path / f"server{len(servers)}.pem"
        file.write_bytes(pair.certificate_pem + pair.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ready)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        port: int = server.server_port
        return port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def admin(authority: x509.Pair) -> str:
    pair = x509.issue(Subject("kubernetes-admin"), authority)
    return kubeconfig.render(
        cluster="demo", user="admin", server="192.0.2.1:6443", ca_pem=authority.certificate_pem, pair=pair
    ).decode()


@pytest.fixture
def plan(tmp_path: Path) -> ClusterPlan:
    file = tmp_path / "cluster.yaml"
    file.write_text(cluster_yaml("master1", "master2", "master3", "worker1"))
    return build_plan(load_cluster(file), file)


def on(plan: ClusterPlan, port: int, *names: str) -> ClusterPlan:
    """The plan with these masters on this machine; the others are nowhere."""
    hosts = tuple(
        replace(host, address="127.0.0.1" if host.name in names else "127.0.0.2") for host in plan.hosts
    )
    api = plan.config.api.model_copy(update={"port": port})
    return replace(plan, hosts=hosts, config=plan.config.model_copy(update={"api": api}))


def test_the_first_master_that_answers(plan: ClusterPlan, admin: str, serve: Serve) -> None:
    port = serve()
    way = living(on(plan, port, "master2", "master3"), admin)
    assert way is not None
    assert (way.host, way.through_ssh, server_of(way.kubeconfig)) == ("master2", False, f"127.0.0.1:{port}")


def test_an_ipv6_address_is_in_brackets(
    plan: ClusterPlan, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_access, "_answers", lambda *_: True)
    hosts = tuple(replace(host, address="2001:db8::1") for host in plan.hosts)
    way = living(replace(plan, hosts=hosts), admin)
    assert way is not None
    assert server_of(way.kubeconfig) == "[2001:db8::1]:6443"


def test_one_that_asks_who_is_there_answers_too(plan: ClusterPlan, admin: str, serve: Serve) -> None:
    assert living(on(plan, serve(401), "master1"), admin)


def test_one_that_is_not_ready_does_not_count(plan: ClusterPlan, admin: str, serve: Serve) -> None:
    assert living(on(plan, serve(500), "master1"), admin) is None


def test_another_cluster_does_not_count(plan: ClusterPlan, admin: str, serve: Serve) -> None:
    stranger = make()
    assert living(on(plan, serve(200, stranger), "master1"), admin) is None


def test_an_endpoint_of_the_users_alone_is_asked(plan: ClusterPlan, admin: str, serve: Serve) -> None:
    here = on(plan, serve(), "master1")
    api = here.config.api.model_copy(update={"endpoint": "127.0.0.2:1"})
    own = replace(here, api_endpoint="127.0.0.2:1", config=here.config.model_copy(update={"api": api}))
    assert living(own, admin) is None


def test_a_virtual_ip_comes_before_the_masters(plan: ClusterPlan, admin: str, serve: Serve) -> None:
    port = serve()
    here = on(plan, port, "master2")
    api = here.config.api.model_copy(update={"virtual_ip": IPv4Address("127.0.0.1")})
    there = replace(
        here, api_endpoint=f"127.0.0.1:{port}", config=here.config.model_copy(update={"api": api})
    )
    way = living(there, admin)
    assert way is not None
    assert (way.host, server_of(way.kubeconfig)) == ("", f"127.0.0.1:{port}")
    way = living(replace(there, api_endpoint="127.0.0.2:1"), admin)
    assert way is not None
    assert way.host == "master2"


def test_through_ssh_to_the_first_master_that_lets_us(
    plan: ClusterPlan, admin: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve()
    asked = []

    def tunnel(host: object, _port: int, target: str) -> list[str]:
        asked.append((getattr(host, "name", ""), target))
        return ["sh", "-c", "echo no route >&2; exit 255" if len(asked) == 1 else "exec sleep 60"]

    monkeypatch.setattr(api_access, "tunnel_command", tunnel)
    monkeypatch.setattr(api_access, "_free_port", lambda: port if asked else 1)
    with through_ssh(plan, admin) as way:
        assert (way.host, way.through_ssh) == ("master2", True)
        assert "tls-server-name: kubernetes" in way.kubeconfig
        assert server_of(way.kubeconfig) == f"127.0.0.1:{port}"
    assert asked == [("master1", "127.0.0.1:6443"), ("master2", "127.0.0.1:6443")]


def test_where_nobody_lets_us_each_reason_is_told(
    plan: ClusterPlan, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        api_access, "tunnel_command", lambda *_: ["sh", "-c", "echo banner >&2; echo no route >&2; exit 255"]
    )
    with pytest.raises(HostError, match="master1: no route; master2: no route; master3: no route"):
        through_ssh(plan, admin).__enter__()


def test_kubectl_gets_the_arguments_and_a_private_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "kubectl"
    program.write_text(
        f'#!/bin/sh\nexec >{tmp_path}/seen\nfile=${{1#--kubeconfig=}}\nstat -c %a "$file"\ncat "$file"\n'
        'shift\nprintf "[%s]" "$@"\nexit 3\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert run_kubectl(Way("text\n", "m1"), ["get", "pods -A", "-o", "$x"]) == 3
    assert (tmp_path / "seen").read_text() == "600\ntext\n[get][pods -A][-o][$x]"


def test_without_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="kubectl is not installed"):
        run_kubectl(Way("", "m1"), [])


def test_openssh_takes_the_command_of_a_tunnel(plan: ClusterPlan) -> None:
    words = api_access.tunnel_command(plan.hosts[0], 12345, "127.0.0.1:6443")
    shown = subprocess.run(
        [*words[:-2], "-G", *words[-2:]], capture_output=True, text=True, check=True
    ).stdout
    assert "localforward [127.0.0.1]:12345 [127.0.0.1]:6443" in shown
    assert "exitonforwardfailure yes" in shown
