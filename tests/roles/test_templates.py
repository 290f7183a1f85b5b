"""Every template of every role, rendered per release, runtime and kind of host, and checked."""

import base64
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
import yaml
from scenarios import BUCKET_SECRET, HOSTS, PASSWORD, ROOT, SCENARIOS, Rendered, RenderedFile, play
from units import command, flags, verify

from k8sbootstrap.catalog.flags import differences, not_taken
from k8sbootstrap.errors import HostError
from k8sbootstrap.pki.table import OPERATOR_KUBECONFIG, entries
from k8sbootstrap.plan.components import COMPONENTS
from k8sbootstrap.plan.phases import COPY_CERTIFICATES
from k8sbootstrap.run.playbook import write_playbook
from k8sbootstrap.state import State
from k8sbootstrap.survey.todo import Survey, Work
from tests.golden_tree import check_folders, remove_folders

GOLDEN = Path(__file__).parent / "golden"
GoldenTree = Callable[[Path, Mapping[str, str], str | None], None]
REMOVED = yaml.safe_load((Path(__file__).parent / "removed.yaml").read_text())
CONFIG_FILES = {
    "kubelet": "/var/lib/kubelet/config.yaml",
    "kube-proxy": "/etc/kubernetes/kube-proxy.yaml",
    "kube-scheduler": "/etc/kubernetes/scheduler-config.yaml",
}
CIS_600 = (
    *(f"/etc/systemd/system/{name}.service" for name in ("etcd", "kubelet", "kube-apiserver", "kube-proxy")),
    *(f"/etc/systemd/system/kube-{name}.service" for name in ("controller-manager", "scheduler")),
    *(f"/etc/kubernetes/{name}.conf" for name in ("admin", "super-admin", "controller-manager", "scheduler")),
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/proxy.conf",
    "/var/lib/kubelet/config.yaml",
)
"""Files that CIS wants at 600 root:root."""


def templated(rendered: Rendered) -> list[RenderedFile]:
    return [file for file in rendered.files if file.template]


def test_golden(rendered: Rendered, golden_tree: GoldenTree) -> None:
    files = {str(file.golden): file.text for file in templated(rendered)}
    assert len(files) == len(templated(rendered)), "two files have the same golden one"
    objects = rendered.arguments("master1", "kube_apply")[0]["objects"]
    files["master1/cluster_rbac/bindings.yaml"] = yaml.safe_dump_all(objects, explicit_start=True)
    golden_tree(GOLDEN / rendered.scenario.name, files, rendered.scenario.like)


def test_all_golden_files_are_of_a_scenario(request: pytest.FixtureRequest) -> None:
    names = [scenario.name for scenario in SCENARIOS]
    if request.config.getoption("--update-golden"):
        remove_folders(GOLDEN, names)
    check_folders(GOLDEN, names)


def test_a_scenario_comes_after_the_one_that_it_is_like() -> None:
    """--update-golden has written that one by then."""
    names = [None, *(scenario.name for scenario in SCENARIOS)]
    assert [s.name for s in SCENARIOS if s.like not in names[: names.index(s.name)]] == []


def parse_yaml(file: RenderedFile) -> None:
    assert all(isinstance(document, dict) for document in yaml.safe_load_all(file.text))


def parse_shell(file: RenderedFile) -> None:
    checks = [["sh", "-n", "-s"], *([["shellcheck", "-s", "sh", "-"]] if shutil.which("shellcheck") else [])]
    for check in checks:
        done = subprocess.run(check, input=file.text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


PARSERS: dict[str, Callable[[RenderedFile], object]] = {
    ".conflist": lambda file: json.loads(file.text),
    ".json": lambda file: json.loads(file.text),
    ".sh": parse_shell,
    ".toml": lambda file: tomllib.loads(file.text),
    ".yaml": parse_yaml,
}


def is_routed(rendered: Rendered) -> bool:
    return rendered.plan.config.network.plugin == "routed"


def test_files_parse(rendered: Rendered) -> None:
    parsed = set()
    for file in templated(rendered):
        suffix = Path(str(file.template).removesuffix(".j2")).suffix
        if suffix == ".conf" and file.dest.startswith("/etc/kubernetes/"):
            suffix = ".yaml"
        if suffix in PARSERS:
            PARSERS[suffix](file)
            parsed.add(suffix)
        assert "{{" not in file.text, file
        assert "{%" not in file.text, file
        assert file.text == file.text.rstrip("\n") + "\n", file
    runtime = ".json" if rendered.scenario.runtime == "docker" else ".toml"
    assert parsed == {".sh", ".yaml", runtime, *((".conflist",) if is_routed(rendered) else ())}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("host", HOSTS)
def test_systemd_takes_the_units(rendered: Rendered, host: str, tmp_path: Path) -> None:
    files = {
        file.dest: file.text
        for file in rendered.files
        if file.host == host and Path(file.dest).parts[:4] == ("/", "etc", "systemd", "system")
        if not file.dest.endswith(".env")
    }
    programs = [binary["dest"] for request in rendered.requests(host) for binary in request["binaries"]]
    programs += [file.dest for file in rendered.files if file.host == host and file.mode == "0755"]
    assert verify(files, programs, tmp_path / "root") == ""


def test_units_keep_running_and_start_at_boot(rendered: Rendered) -> None:
    assert rendered.services
    for unit in rendered.services:
        assert "\nWantedBy=multi-user.target\n" in unit.text, unit
        assert "\nRestart=always\n" in unit.text or "\nType=oneshot\n" in unit.text, unit


def test_units_start_programs_that_are_sent(rendered: Rendered) -> None:
    for unit in rendered.services:
        requests = rendered.requests(unit.host)
        sent = {binary["dest"] for request in requests for binary in request["binaries"]}
        sent |= {file.dest for file in rendered.files if file.mode == "0755"}
        assert next(word for word in command(unit.text) if word != "/bin/sh") in sent, unit


def components(rendered: Rendered) -> Iterable[tuple[str, dict[str, str]]]:
    """Program names and flags of every unit."""
    for unit in rendered.services:
        words = command(unit.text)
        if words[0] != "/bin/sh":
            yield Path(words[0]).name, flags(words)


def test_no_flag_that_the_release_does_not_take(rendered: Rendered) -> None:
    minor, deprecated = rendered.scenario.minor, REMOVED["flags"]
    seen = set()
    for program, given in components(rendered):
        assert set(given) & {*not_taken(program, minor), *deprecated.get(program, [])} == set(), program
        seen.add(program)
    assert seen >= set(differences())


@pytest.mark.parametrize("component", CONFIG_FILES)
def test_no_field_that_the_release_does_not_take(rendered: Rendered, component: str) -> None:
    config = yaml.safe_load(rendered.file("master1", CONFIG_FILES[component]).text)
    unknown_gates = REMOVED["feature_gates"].get(rendered.scenario.minor, [])
    assert set(config) & set(REMOVED["fields"].get(component, [])) == set()
    assert set(config.get("featureGates", {})) & set(unknown_gates) == set()


def test_what_the_user_adds_arrives(rendered: Rendered) -> None:
    config = rendered.plan.config.kubernetes
    given: dict[str, dict[str, str]] = {}
    for program, found in components(rendered):
        given.setdefault(program, {}).update(found)
    for program, extra in config.extra_args.items():
        assert given[program].items() >= extra.items()
    if not config.extra_config:
        return
    kubelet = yaml.safe_load(rendered.file("worker1", CONFIG_FILES["kubelet"]).text)
    assert kubelet["maxPods"] == 60
    assert kubelet["authentication"]["webhook"] == {"enabled": True, "cacheTTL": "1m0s"}
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    proxy = yaml.safe_load(rendered.file("worker1", CONFIG_FILES["kube-proxy"]).text)
    assert proxy["conntrack"] == {"maxPerCore": 0}
    scheduler = yaml.safe_load(rendered.file("master1", CONFIG_FILES["kube-scheduler"]).text)
    assert scheduler["leaderElection"] == {"leaderElect": True, "leaseDuration": "20s"}


def test_runtime_and_kubelet_have_the_same_cgroup_driver(rendered: Rendered) -> None:
    for host in HOSTS:
        kubelet = yaml.safe_load(rendered.file(host, CONFIG_FILES["kubelet"]).text)["cgroupDriver"]
        if rendered.scenario.runtime == "docker":
            options = json.loads(rendered.file(host, "/etc/docker/daemon.json").text)["exec-opts"]
            assert options == [f"native.cgroupdriver={kubelet}"]
        else:
            config = tomllib.loads(rendered.file(host, "/etc/containerd/config.toml").text)
            plugin = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}[config["version"]]
            runc = config["plugins"][plugin]["containerd"]["runtimes"]["runc"]
            assert runc["options"] == {"SystemdCgroup": kubelet == "systemd"}


def test_logins_are_secret_and_only_where_they_are_used(rendered: Rendered) -> None:
    login = base64.b64encode(f"puller:{PASSWORD}".encode())
    holders = {file.dest: file for file in rendered.files if file.host == "worker1" and login in file.content}
    root = rendered.plan.config.kubernetes.extra_args.get("kubelet", {}).get("root-dir", "/var/lib/kubelet")
    wanted = {f"{root}/config.json"} if rendered.plan.registries else set()
    if rendered.plan.registries and rendered.scenario.runtime == "containerd":
        wanted.add("/etc/containerd/certs.d/quay.io/hosts.toml")
    assert set(holders) == wanted
    for file in holders.values():
        assert (file.mode, file.owner, file.secret, file.restarts) == ("0600", "root", True, ())
    texts = [path.read_bytes() for path in rendered.inventory.rglob("*.yml")]
    assert [text for text in texts if login in text or PASSWORD.encode() in text] == []


def test_registries_restart_nothing(rendered: Rendered) -> None:
    """CAs, mirrors of containerd and logins are read on every pull."""
    files = [file for file in rendered.files if "/certs.d/" in file.dest]
    assert bool(files) == bool(rendered.plan.registries)
    assert {file.restarts for file in files} <= {()}


def test_a_proxy_and_its_password_are_in_a_private_file_alone(rendered: Rendered) -> None:
    folder = f"/etc/systemd/system/{rendered.scenario.runtime}.service.d"
    has_proxy = rendered.plan.config.proxy.http is not None
    # the bucket for snapshots is reached through it, too
    holders = [
        file
        for file in rendered.files
        if b"hunter2" in file.content and file.dest != "/etc/etcd/snapshot-store.json"
    ]
    assert {file.dest for file in holders} == ({f"{folder}/proxy.env"} if has_proxy else set())
    for file in holders:
        assert (file.mode, file.owner, file.secret) == ("0600", "root", True)
        dropin = rendered.file(file.host, f"{folder}/k8sbootstrap.conf").text
        assert f"EnvironmentFile={folder}/proxy.env" in dropin
    assert not any(b"hunter2" in path.read_bytes() for path in rendered.inventory.rglob("*.yml"))
    given = [
        call["environment_proxy"] for host in HOSTS for call in rendered.arguments(host, "host_packages")
    ]
    assert all(bool(each) == has_proxy for each in given)


def test_the_buckets_secret_is_in_a_private_file_alone(rendered: Rendered) -> None:
    holders = [file for file in rendered.files if BUCKET_SECRET.encode() in file.content]
    wanted = {"/etc/etcd/snapshot-store.json"} if rendered.plan.config.etcd.snapshots.s3 else set()
    assert {file.dest for file in holders} == wanted
    for file in holders:
        assert (file.mode, file.owner, file.secret, file.restarts) == ("0600", "root", True, ())
        assert "etcd-bucket" in rendered.file(file.host, "/etc/systemd/system/etcd-snapshot.service").text
    texts = [path.read_bytes() for path in rendered.inventory.rglob("*.yml")]
    assert not any(BUCKET_SECRET.encode() in text for text in texts)


def test_private_keys_are_secret_and_closed(rendered: Rendered) -> None:
    marks = (b"PRIVATE KEY", b"client-key-data", b"token: ")
    holders = [file for file in rendered.files if any(mark in file.content for mark in marks)]
    assert len(holders) > 15
    for file in holders:
        assert file.secret, file
        assert file.mode == "0600", file
        assert file.owner in {"root", "etcd", "docker-registry"}, file
    proxies = [file for file in rendered.files if file.dest == "/etc/kubernetes/proxy.conf"]
    assert [file.secret for file in proxies] == [True, True], "what they replace may have a key in it"


def test_no_variable_of_others_sends_the_clusters_connections_through_a_proxy(rendered: Rendered) -> None:
    """Company images set them for all services (DefaultEnvironment of systemd). Go takes all eight."""
    names = {f"{kind}_proxy" for kind in ("http", "https", "all", "no")}
    every = {name for each in names for name in (each, each.upper())}
    ours = ("etcd", "kube")
    units = [
        file
        for file in templated(rendered)
        if file.dest.endswith(".service") and Path(file.dest).name.startswith(ours)
    ]
    assert len({file.dest for file in units}) == 7
    for file in units:
        (line,) = re.findall(r"^UnsetEnvironment=(.*)$", file.content.decode(), re.MULTILINE)
        assert set(line.split()) == every, file.dest


def test_cis_modes(rendered: Rendered) -> None:
    found = [file for file in rendered.files if file.dest in CIS_600]
    assert {file.dest for file in found if file.host == "master1"} == set(CIS_600)
    for file in found:
        assert (file.mode, file.owner, file.group) == ("0600", "root", "root"), file
    for file in rendered.files:
        if file.dest.startswith("/etc/kubernetes/"):
            assert (file.owner, file.group) == ("root", "root"), file


def test_what_a_new_certificate_restarts_is_what_the_table_says(rendered: Rendered) -> None:
    """A file of the state's PKI is recognized by its content."""
    state = State.beside(rendered.inventory.parent / "cluster.yaml", rendered.plan.config.name)
    units = {component.name: component.unit for component in COMPONENTS}
    known = {
        (state.pki / entry.file).read_bytes(): (units[entry.restarts],) if entry.restarts else ()
        for entry in entries(rendered.plan)
        if entry.name != OPERATOR_KUBECONFIG
    }
    copied = [file for file in rendered.files if file.content in known]
    restarts = {file.dest: (file.restarts, known[file.content]) for file in copied}
    assert "/etc/kubernetes/pki/apiserver.crt" in restarts
    assert "/etc/kubernetes/scheduler.conf" in restarts
    for dest, (done, said) in restarts.items():
        assert done == said, dest
    assert {file.component for file in copied} <= set(COPY_CERTIFICATES)


def test_restarts_name_units_of_the_host(rendered: Rendered) -> None:
    for host in HOSTS:
        units = {unit["name"] for request in rendered.requests(host) for unit in request["units"]}
        for request in rendered.requests(host):
            for item in [*request["files"], *request["binaries"]]:
                assert set(item["restarts"]) <= units, item["dest"]


def test_files_go_to_folders_that_are_made_or_there(rendered: Rendered) -> None:
    there = {"/etc", "/etc/systemd/system", "/etc/modules-load.d", "/etc/sysctl.d", "/usr/local/bin"}
    for host in HOSTS:
        made = set(there)
        for request in rendered.requests(host):
            made |= {folder["path"] for folder in request["directories"]}
            needed = {str(Path(item["dest"]).parent) for item in request["files"] + request["binaries"]}
            assert needed <= made, request["name"]


def test_every_template_is_used(rendered: Rendered) -> None:
    """What one scenario leaves out is another runtime's, kind of endpoint's or kind of pod network's."""
    all_templates = {(path.parts[-3], path.name) for path in (ROOT / "roles").glob("*/templates/*.j2")}
    used = {(file.component, str(file.template)) for file in templated(rendered)}
    used.add(("cluster_rbac", "bindings.yaml.j2"))
    scenario = rendered.scenario
    docker = scenario.runtime == "docker"
    upstream = rendered.plan.config.runtime.source == "upstream"
    unused = {("container_runtime", "containerd-2.toml.j2" if docker or upstream else "daemon.json.j2")}
    unused.add(("container_runtime", "daemon.json.j2" if upstream else "containerd-3.toml.j2"))
    if not upstream:
        unused.add(("container_runtime", "containerd.service.j2"))
    if not docker:
        unused |= {("container_runtime", f"cri-dockerd.{kind}.j2") for kind in ("service", "socket")}
    if docker or not rendered.plan.registries:
        unused.add(("container_runtime", "hosts.toml.j2"))
    if not rendered.plan.config.proxy.http:
        unused.add(("container_runtime", "proxy.env.j2"))
    if rendered.plan.config.api.endpoint:
        unused |= {("api_loadbalancer", "haproxy.cfg.j2"), ("api_loadbalancer", "dropin.conf.j2")}
    if not rendered.plan.config.api.virtual_ip:
        unused |= {("api_virtual_ip", "keepalived.conf.j2"), ("api_virtual_ip", "dropin.conf.j2")}
    if not rendered.plan.local_registry:
        unused |= {("image_registry", "config.yml.j2"), ("image_registry", "dropin.conf.j2")}
    routed = {name for role, name in all_templates if role == "pod_network"} - {"plugin.j2"}
    unused |= {("pod_network", name) for name in ({"plugin.j2"} if is_routed(rendered) else routed)}
    assert all_templates - used == unused


@pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")
def test_haproxy_takes_its_configuration(rendered: Rendered, tmp_path: Path) -> None:
    if rendered.plan.config.api.endpoint:
        pytest.skip("workers use the external endpoint")
    authority = tmp_path / "ca.crt"
    authority.write_bytes(rendered.file("worker1", "/etc/haproxy/kubernetes-ca.crt").content)
    text = rendered.file("worker1", "/etc/haproxy/haproxy.cfg").text
    config = tmp_path / "haproxy.cfg"
    for ours, here in (
        ("/etc/haproxy/kubernetes-ca.crt", str(authority)),
        ("  user haproxy\n  group haproxy\n", ""),  # the package makes them
    ):
        assert ours in text
        text = text.replace(ours, here)
    config.write_text(text)
    done = subprocess.run(["haproxy", "-c", "-f", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_mode_reaches_the_end_on_bare_hosts(rendered: Rendered, tmp_path: Path) -> None:
    if rendered.scenario.name != "1.36-docker":
        pytest.skip("one scenario is enough")
    calls = play(tmp_path, rendered.inventory, {}, "--check")
    assert calls["worker1"][-1]["arguments"]["name"] == "retired"


def test_roles_of_a_run_get_what_only_the_run_knows(rendered: Rendered, tmp_path: Path) -> None:
    """Where binaries were sent beforehand, and that a master which does not answer is asked for nothing."""
    if rendered.scenario.name != "1.36-docker":
        pytest.skip("one scenario is enough")
    work = {"worker1": {"pod_network": Work(("configuration",))}}
    survey = Survey(work, {"master1": HostError("gone")}, without_api=("master3",))
    site = write_playbook(survey, tmp_path / "run", "/var/tmp/incoming")
    calls = play(tmp_path, rendered.inventory, {}, site=site)
    nodes, component = [call["arguments"] for call in calls["worker1"]]
    assert nodes["asked on"] == "master2"
    assert component["incoming"] == "/var/tmp/incoming"


@pytest.mark.parametrize(
    ("resolv", "resolved", "used"),
    [
        ("nameserver 192.0.2.53\n", None, "etc"),
        ("# by systemd-resolved\nnameserver 127.0.0.53\noptions edns0\n", "nameserver 192.0.2.53\n", "run"),
        ("nameserver 127.0.0.53\n", None, "etc"),
        ("nameserver 192.0.2.53\n", "nameserver 192.0.2.53\n", "etc"),
    ],
)
def test_pods_never_get_the_address_of_systemd_resolved(
    tmp_path: Path, resolv: str, resolved: str | None, used: str
) -> None:
    """The command that a unit of kubelet runs before it starts, on files of this test."""
    unit = (GOLDEN / "1.36-docker/worker1/kubelet/kubelet.service").read_text()
    line = next(line for line in unit.replace("\\\n", " ").splitlines() if line.startswith("ExecStartPre="))
    paths = {
        "/etc/resolv.conf": "etc",
        "/run/systemd/resolve/resolv.conf": "run",
        "/run/k8sbootstrap/resolv.conf": "link",
    }
    for path, name in paths.items():
        assert path in line
        line = line.replace(path, str(tmp_path / name))
    (tmp_path / "etc").write_text(resolv)
    if resolved:
        (tmp_path / "run").write_text(resolved)
    (tmp_path / "link").symlink_to("/nowhere")
    subprocess.run(line.removeprefix("ExecStartPre=").replace("$$", "$"), shell=True, check=True)
    assert (tmp_path / "link").readlink() == tmp_path / used


def test_a_running_api_server_gets_its_authentication_configuration_in_the_second_call(
    rendered: Rendered,
) -> None:
    first, second = [each for each in rendered.requests("master1") if each["name"] == "kube_apiserver"]
    given = [file for file in first["files"] if file["reread"]]
    assert second["files"] == given
    words = command(rendered.file("master1", "/etc/systemd/system/kube-apiserver.service").text)
    assert flags(words).get("authentication-config") == (given[0]["dest"] if given else None)
    wanted = rendered.plan.authentication
    assert [base64.b64decode(file["content"]) for file in given] == ([wanted.read_bytes()] if wanted else [])
    for file in given:
        assert (file["mode"], file["owner"], file["group"], file["restarts"]) == ("0600", "root", "root", [])
        assert file["reread"] == {
            "unit": "kube-apiserver.service",
            "server": "https://127.0.0.1:7443",
            "after": [],
        }


def test_hosts_lose_what_no_longer_belongs_to_them(rendered: Rendered) -> None:
    """Workers lose a load balancer if there is an external endpoint, masters a virtual IP that is not wanted.

    All but one host lose an image registry, too.
    """
    taken_off = {
        host: [name for request in rendered.requests(host) for name in request["absent"]] for host in HOSTS
    }
    no_registry = [] if rendered.plan.local_registry else ["image_registry"]
    no_balancer = ["api_loadbalancer"] if rendered.plan.config.api.endpoint else []
    no_virtual_ip = [] if rendered.plan.config.api.virtual_ip else ["api_virtual_ip"]
    assert taken_off == {
        "master1": ["image_registry", *no_virtual_ip],
        "worker1": [*no_registry, *no_balancer],
    }
