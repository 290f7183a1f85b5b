"""Master and worker, docker on Debian 13: bad input, playbooks alone, reset, `up` killed in every phase."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from pathlib import Path

import pyrage
import pytest
import yaml
from clusters import NEWEST, SMALL
from cryptography import x509
from issuer import authentication
from issuer import serve as serve_issuer
from labs import REPOSITORY, Lab, kill, make_lab, playbook, summary, wait_for
from registry import PASSWORD, USER, Registry, image_file, serve
from rotation import replace_cas
from snapshot import differences, snapshot

from k8sbootstrap.artifacts.fetch import fetch_all
from k8sbootstrap.artifacts.sources.registries import RegistryImages
from k8sbootstrap.catalog.models import ArtifactFile
from k8sbootstrap.config.models.artifacts import Artifacts
from k8sbootstrap.config.models.runtime import Registry as KnownRegistry
from k8sbootstrap.formats.image_archive import ImageArchive, read_archive
from k8sbootstrap.lab.image_tar import write_image
from k8sbootstrap.lab.root_image import PASSWORD_USER
from k8sbootstrap.plan.registries import plan_registries
from k8sbootstrap.state import State

pytestmark = pytest.mark.e2e

RECORD = "/var/lib/k8sbootstrap/record.json"
PHASES = (
    "host",
    "etcd",
    "control_plane",
    "packages",
    "container_runtime",
    "kubelet",
    "pod_network",
    "kube_proxy",
    "addons",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("small") / "my clusters, it's $5 {{ small }}"
    folder.mkdir()
    yield from make_lab(folder, *SMALL.options)


@pytest.fixture(scope="module")
def bare(lab: Lab) -> dict[str, dict[str, list[str]]]:
    """What the hosts are like before anything is installed."""
    return {name: snapshot(lab, name) for name in lab.hosts}


def test_lab_up_again_changes_nothing(lab: Lab) -> None:
    before = lab.file.read_text()
    started = time.monotonic()
    lab.k("lab", "up", *SMALL.options)
    assert time.monotonic() - started < 10
    assert lab.file.read_text() == before
    assert lab.k("lab", "ssh", "worker1", "hostname").stdout == "worker1\n"
    states = {host["name"]: host["state"] for host in json.loads(lab.k("lab", "status", "-o", "json").stdout)}
    assert states == {"master1": "running", "worker1": "running"}
    lab.sh("worker1", "exit 7", code=7)


def test_bare_hosts_pass_preflight(lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    assert bare["worker1"]["units"]
    lab.k("preflight")


def test_a_port_that_is_blocked_between_hosts_is_named_with_the_rule(lab: Lab) -> None:
    rule = "INPUT -p tcp -m tcp --dport 6443 -j DROP"
    lab.sh("master1", f"iptables -A {rule}")
    try:
        said = lab.k("preflight", code=4).stdout
    finally:  # the table was not there before, and stays when its last rule is gone
        lab.sh("master1", f"iptables -D {rule}; nft delete table ip filter")
    address = lab.config["hosts"][0]["address"]
    assert (
        f"hosts can't connect to {address}: 6443/tcp (kube-apiserver) from worker1: no answer in 5 s" in said
    )
    assert f"iptables -A {rule}" in said
    assert "10250" not in said
    for name in lab.hosts:
        assert "k8sb-preflight" not in lab.sh(name, "ss -ltnp")


class TestBadInput:
    """Each fault: one clear message, the documented exit code, and nothing done to any host."""

    @pytest.fixture(autouse=True)
    def _untouched(self, lab: Lab):
        yield
        for name in lab.hosts:
            assert lab.sh(name, f"test -e {RECORD} && cat {RECORD} || echo none").strip() == "none"

    def test_wrong_key(self, lab: Lab) -> None:
        key = lab.directory / "stranger"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        file = lab.variant("wrong-key.yaml", lambda config: config["ssh"].update(key=str(key)))
        said = lab.k("up", file=file, code=4).stderr
        assert "authentication refused for user ops" in said
        assert "ssh.key" in said

    def test_wrong_sudo_password(self, lab: Lab) -> None:
        def change(config: dict) -> None:
            config["ssh"] |= {"user": PASSWORD_USER, "sudoPassword": {"env": "LAB_SUDO"}}

        file = lab.variant("wrong-sudo.yaml", change)
        said = lab.k("up", file=file, code=4, LAB_SUDO="not-the-password")
        assert f"sudo refused the password of user {PASSWORD_USER}" in said.stderr
        assert "not-the-password" not in said.stderr + said.stdout

    def test_unknown_host_key(self, lab: Lab) -> None:
        known = lab.state / "known_hosts"
        kept = known.read_text()
        known.unlink()
        try:
            said = lab.k("up", code=5).stderr
        finally:
            known.write_text(kept)
        assert "unknown SSH host key" in said
        assert "SHA256:" in said
        assert "--accept-new-host-keys" in said

    def test_changed_host_key(self, lab: Lab) -> None:
        known = lab.state / "known_hosts"
        kept = known.read_text()
        one, other = (line.split(maxsplit=1) for line in kept.splitlines())
        known.write_text(f"{one[0]} {other[1]}\n{other[0]} {one[1]}\n")
        try:
            said = lab.k("up", "--accept-new-host-keys", code=5).stderr
        finally:
            known.write_text(kept)
        assert "changed" in said
        assert lab.address("master1") in said

    def test_unreachable_host(self, lab: Lab) -> None:
        lab.k("lab", "partition", "worker1")
        try:
            said = lab.k("up", code=4).stderr
        finally:
            lab.k("lab", "heal", "worker1")
        assert "worker1" in said
        assert "no answer within" in said

    def test_port_taken(self, lab: Lab) -> None:
        listen = "import socket,time; s=socket.create_server(('0.0.0.0', 6443)); time.sleep(600)"
        lab.sh("master1", f'systemd-run --unit=squatter python3 -c "{listen}"')
        try:
            said = lab.k("up", code=4).stderr
        finally:
            lab.sh("master1", "systemctl stop squatter")
        assert "6443" in said
        assert "python3" in said

    def test_duplicate_machine_id(self, lab: Lab) -> None:
        own = lab.sh("worker1", "cat /etc/machine-id")
        lab.sh("worker1", f"echo {lab.sh('master1', 'cat /etc/machine-id').strip()} >/etc/machine-id")
        try:
            said = lab.k("up", code=4).stderr
        finally:
            lab.sh("worker1", f"echo {own.strip()} >/etc/machine-id")
        assert "machine-id" in said
        assert "master1" in said
        assert "worker1" in said

    def test_overlapping_cidrs(self, lab: Lab) -> None:
        ranges = {"podCIDR": "10.96.0.0/12", "serviceCIDR": "10.96.0.0/16"}
        file = lab.variant("overlap.yaml", lambda config: config.update(network=ranges))
        said = lab.k("up", file=file, code=3).stderr
        assert "overlap.yaml:" in said
        assert "podCIDR" in said

    def test_unsupported_release(self, lab: Lab) -> None:
        file = lab.variant("old.yaml", lambda config: config["kubernetes"].update(version="1.19.3"))
        said = lab.k("up", file=file, code=3).stderr
        assert "old.yaml:" in said
        assert "kubernetes.version" in said

    def test_corrupted_artifact(self, lab: Lab) -> None:
        source = Path(lab.config["artifacts"]["sources"][-1]["directory"])
        damaged = lab.directory / "damaged"
        shutil.copytree(source, damaged, copy_function=os.link)
        kubelet = damaged / f"kubernetes/{NEWEST}/amd64/kubelet"
        content = kubelet.read_bytes()
        kubelet.unlink()
        kubelet.write_bytes(content[:-1] + b"!")

        def change(config: dict) -> None:
            own = config["artifacts"]["sources"][-1]["ownBuilds"]
            source = {"directory": str(damaged), "ownBuilds": own}
            config["artifacts"] = {"sources": [source], "upstream": False}

        empty = str(lab.directory / "empty-cache")  # an undamaged copy in the cache would do
        file = lab.variant("damaged.yaml", change)
        said = lab.k("up", file=file, code=8, K8SBOOTSTRAP_CACHE=empty).stderr
        assert f"kubernetes/{NEWEST}/amd64/kubelet" in said
        assert "sha256" in said.lower()
        sums = (damaged / "SHA256SUMS").read_text()
        there = hashlib.sha256(content).hexdigest()
        (damaged / "SHA256SUMS").unlink()
        changed = sums.replace(there, hashlib.sha256(kubelet.read_bytes()).hexdigest())
        assert changed != sums
        (damaged / "SHA256SUMS").write_text(changed)
        said = lab.k("up", file=file, code=8, K8SBOOTSTRAP_CACHE=empty).stderr
        shutil.rmtree(damaged)
        assert f"{damaged}: its SHA256SUMS has sha256 {hashlib.sha256(changed.encode()).hexdigest()}" in said


def play(lab: Lab, file: Path | None = None) -> str:
    """Run the playbooks on a rendered inventory, with no command line of ours involved; what is counted."""
    done = playbook(lab, "site.yml", file=file)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout.split("PLAY RECAP")[1]


def test_plain_ansible_playbook_and_no_pod_network(lab: Lab) -> None:
    """Nodes then wait for one, which is no failure; it can come later, and then not be changed any more."""
    none = lab.variant("none.yaml", lambda config: config.update(network={"plugin": "none"}))
    assert "changed=0" not in play(lab, none)
    report = json.loads(lab.k("verify", "-o", "json", file=none).stdout)
    seen = {result["check"]: result["status"] for result in report["results"]}
    assert {seen[name] for name in ("ssh", "components", "etcd", "api-from-nodes")} == {"passed"}
    assert {seen[name] for name in ("nodes", "pods", "pod-network", "service")} == {"skipped"}
    assert "NetworkReady=false" in lab.kubectl("get nodes -o yaml")
    assert lab.k("up").returncode == 0
    lab.k("verify")
    assert "its pod network is routed" in lab.k("up", file=none, code=4).stderr
    recap = play(lab)
    assert recap.count("changed=0") == len(lab.hosts), recap


def test_what_is_installed(lab: Lab) -> None:
    """Modes, owners and settings as the CIS benchmark wants them, seen from outside."""
    master, worker = lab.infra("master1"), lab.infra("worker1")
    for path in (
        "/etc/systemd/system/kube-apiserver.service",
        "/etc/systemd/system/kube-controller-manager.service",
        "/etc/systemd/system/kube-scheduler.service",
        "/etc/systemd/system/kubelet.service",
        "/etc/kubernetes/admin.conf",
        "/etc/kubernetes/super-admin.conf",
        "/etc/kubernetes/controller-manager.conf",
        "/etc/kubernetes/scheduler.conf",
        "/etc/kubernetes/kubelet.conf",
        "/var/lib/kubelet/config.yaml",
    ):
        file = master.file(path)
        assert (file.mode, file.user, file.group) == (0o600, "root", "root"), path
    data = master.file("/var/lib/etcd")
    assert (data.mode, data.user, data.group) == (0o700, "etcd", "etcd")
    for unit in (
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
    ):
        assert master.service(unit).is_enabled
        assert master.service(unit).is_running
    assert worker.service("haproxy").is_running
    assert worker.socket("tcp://127.0.0.1:6443").is_listening
    assert not worker.file("/etc/kubernetes/bootstrap-kubelet.conf").exists
    assert not lab.kubectl(
        "get secrets -n kube-system --field-selector type=bootstrap.kubernetes.io/token -o name"
    )
    pem = ssl.get_server_certificate((lab.address("worker1"), 10250))
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert certificate.issuer.rfc4514_string() == "CN=kubernetes"
    sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert lab.address("worker1") in map(str, sans.get_values_for_type(x509.IPAddress))


def test_changed_flag_restarts_only_its_component(lab: Lab) -> None:
    # the controller manager and the scheduler exit by themselves when they lose the API for longer
    units = ("etcd", "kube-apiserver", "kubelet", "kube-proxy", "docker")

    def since() -> dict[str, str]:
        show = "for u in {}; do echo $u $(systemctl show -p ExecMainStartTimestampMonotonic --value $u); done"
        text = lab.sh("master1", show.format(" ".join(units)))
        return dict(line.split() for line in text.splitlines())

    before = since()

    def change(config: dict) -> None:
        config["kubernetes"]["extraArgs"] = {"kube-apiserver": {"audit-log-maxage": "31"}}
        config["api"] = {"authentication": "authentication.yaml"}

    (lab.directory / "authentication.yaml").write_text(authentication())
    lab.k("up", file=lab.variant("flag.yaml", change))
    after = since()
    assert {unit for unit in units if before[unit] != after[unit]} == {"kube-apiserver"}
    assert "--audit-log-maxage=31" in lab.sh(
        "master1", "tr '\\0' '\\n' </proc/$(pidof kube-apiserver)/cmdline"
    )


def test_users_of_an_oidc_issuer(lab: Lab, tmp_path: Path) -> None:
    """They come and go without a restart; what the API server refuses does not stay."""
    file, wanted = lab.directory / "flag.yaml", lab.directory / "authentication.yaml"
    there = "/etc/kubernetes/authentication.yaml"
    started = "systemctl show -p ExecMainStartTimestampMonotonic --value kube-apiserver"
    before = lab.sh("master1", started)
    api = "kubectl --kubeconfig /dev/null --server https://127.0.0.1:6443"
    api += " --certificate-authority /etc/kubernetes/pki/ca.crt auth whoami -o json"

    def whoami(token: str, code: int = 0) -> dict:
        said = lab.sh("master1", f"{api} --token {token}", code=code)
        return json.loads(said)["status"]["userInfo"] if said else {}

    with serve_issuer(tmp_path, f"{lab.address('master1').rpartition('.')[0]}.1") as issuer:
        token = issuer.token(sub="ann", groups=["developers"])
        whoami(token, code=1)
        wanted.write_text(issuer.configuration("!user.username.startsWith('system:')"))
        planned = json.loads(lab.k("plan", "-o", "json", file=file).stdout)["hosts"]
        [changed] = [each for host in planned for each in host["changes"]]
        assert (changed["action"], changed["name"], changed["causes"]) == ("change", there, ["configuration"])
        assert f"+    url: {issuer.url}" in changed["diff"]
        lab.k("up", file=file)
        ann = whoami(token)
        assert (ann["username"], ann["groups"]) == ("lab:ann", ["lab:developers", "system:authenticated"])
        whoami(issuer.token("another-client", sub="ann"), code=1)

        wanted.write_text(issuer.configuration("user.username.startsWith("))
        said = lab.k("up", file=file, code=5).stderr
        assert "jwt[0].userValidationRules[0].expression: Invalid value" in said
        assert "its old file is back" in said
        assert whoami(token)["username"] == "lab:ann"
    assert lab.sh("master1", f"grep -c system: {there}; stat -c %a:%U {there}") == "1\n600:root\n"
    assert lab.sh("master1", started) == before


def test_users_of_a_host_get_at_nothing_that_is_sent_there(lab: Lab) -> None:
    """A user without rights makes folders first, and tries what turns up in /var/tmp while programs come."""
    programs = "/usr/local/bin/kubelet /usr/local/bin/kube-proxy"
    before = lab.sh("worker1", f"sha256sum {programs}")
    script = (REPOSITORY / "tests/e2e/intruder.py").read_text()
    lab.sh("worker1", f"cat >/var/lib/intruder.py <<'END'\n{script}END\nchmod 644 /var/lib/intruder.py")
    user = "setpriv --reuid 12345 --regid 12345 --clear-groups"
    log = "-p StandardOutput=file:/run/intruder.log -p StandardError=file:/run/intruder.log"
    lab.sh("worker1", f"systemd-run -q --unit intruder {log} {user} python3 /var/lib/intruder.py")
    try:
        wait_for(lambda: "ready" in lab.sh("worker1", "cat /run/intruder.log"), 20, "the intruder")
        lab.sh("worker1", f"rm {programs}")
        lab.k("up")
    finally:
        lab.sh("worker1", "systemctl stop intruder")
        seen = lab.sh("worker1", "cat /run/intruder.log").splitlines()
        left = lab.sh("worker1", "cd /var/tmp; find . -name 'k8sbootstrap*' ! -uid 12345")
        lab.sh("worker1", "rm -rf /var/tmp/k8sbootstrap-* /var/lib/intruder.py /run/intruder.log")
    # it sees that there is a folder, and may make one whose name it reads in a command line; that is all
    assert "saw 0700" in seen
    assert {line.split()[0] for line in seen} <= {"ready", "made", "saw"}
    assert left == ""
    assert lab.sh("worker1", f"sha256sum {programs}") == before
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"


def test_private_registry_and_own_images(lab: Lab, tmp_path: Path) -> None:
    """A registry with a CA of its own and a login, and an image from a file: nothing restarts for them."""
    source = Path(lab.config["artifacts"]["sources"][-1]["directory"])
    image = next(source.glob("busybox/*/amd64/image.tar"))
    box = image_file(image, "bin/busybox")
    write_image(lab.directory / "own.tar", "own.example.com/tool:1", {"bin/sleep": box}, {})
    units = "systemctl show -p ExecMainStartTimestampMonotonic --value docker kubelet"
    before = lab.sh("worker1", units)
    with serve(tmp_path, f"{lab.address('master1').rpartition('.')[0]}.1") as registry:
        registry.push(image, "team/app", "1")
        assert _pulled(registry, tmp_path).refs == (f"{registry.host}/team/app:1",)
        login = {"username": USER, "password": {"env": "LAB_REGISTRY"}}
        runtime = {
            "name": "docker",
            "registries": [{"host": registry.host, "ca": str(registry.ca), **login}],
            "images": ["own.tar"],
        }
        file = lab.variant("registry.yaml", lambda config: config.update(runtime=runtime))
        lab.k("up", file=file, LAB_REGISTRY=PASSWORD)
        assert "Nothing to change" in lab.k("up", file=file, LAB_REGISTRY=PASSWORD).stdout
        for name, ref, policy in (
            ("private", f"{registry.host}/team/app:1", "Always"),
            ("own", "own.example.com/tool:1", "Never"),
        ):
            pod = {"containers": [{"name": "c", "image": ref, "imagePullPolicy": policy}]}
            pod["containers"][0]["command"] = ["sleep", "600"]
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}
            lab.kubectl(f"apply -f - <<'END'\n{json.dumps(body)}\nEND")
        wait = "wait pod/private pod/own --for=condition=Ready --timeout=120s"
        assert lab.kubectl(wait).count("condition met") == 2
    assert lab.sh("worker1", units) == before
    assert lab.sh("worker1", "stat -c %a:%U /var/lib/kubelet/config.json").strip() == "600:root"
    secrets = (PASSWORD.encode(), base64.b64encode(f"{USER}:{PASSWORD}".encode()))
    holders = [
        path.name
        for path in lab.directory.rglob("*")
        if path.is_file() and any(secret in path.read_bytes() for secret in secrets)
    ]
    assert holders == ["registry-logins.json"]


def _pulled(registry: Registry, folder: Path) -> ImageArchive:
    """An image that this machine pulls, as for a bundle."""
    file = ArtifactFile("app", "1", "amd64", "image.tar")
    known = plan_registries([KnownRegistry(host=registry.host, ca=registry.ca)], folder)
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    images = RegistryImages(
        {file.key: f"{registry.host}/team/app:1"}, known, {registry.host: login}, all=False
    )
    state = State.beside(folder / "cluster.yaml", "pull")
    config = Artifacts(upstream=False)
    got = fetch_all([], config, state, folder, folder / "cache", optional=[file], images=images)
    return read_archive(got[file.key].path)


WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1  # as process 1 it does not end when it is told to
      containers:
      - {name: web, image: "docker.io/library/busybox:1.35.0", command: [httpd, -f]}
---
apiVersion: v1
kind: Secret
metadata: {name: password}
stringData: {password: hunter2}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
"""


CHART = REPOSITORY / "tests/unit/addons/charts/web"


def test_manifests_and_charts(lab: Lab, helm_directory: Path) -> None:
    """Applied, found when somebody changed them, named when they are refused, and removed."""
    mine = "-A -l k8sbootstrap.io/addon=manifests -o name"

    def changes(file: Path) -> list[tuple[str, str, list[str]]]:
        hosts = json.loads(lab.k("plan", "-o", "json", file=file).stdout)["hosts"]
        return sorted(
            (change["action"], change["name"], change["causes"])
            for host in hosts
            for change in host["changes"]
        )

    folder = lab.directory / "manifests"
    folder.mkdir()
    (folder / "web.yaml").write_text(WEB)
    chart = {"chart": str(CHART), "release": "store", "namespace": "shop", "valuesFiles": ["values.yaml"]}

    def change(config: dict) -> None:
        config["artifacts"]["sources"].append({"directory": str(helm_directory)})
        config["manifests"] = [{"directory": "manifests"}, chart]

    file = lab.variant("manifests.yaml", change)
    values = lab.directory / "values.yaml"
    values.write_text("replicas: many")
    assert "manifests[1].chart: chart store: helm: " in lab.k("up", file=file, code=3).stderr
    values.write_text("{replicas: 0, random: true}")
    assert "chart store: hooks are not run: Job/pre-install" in lab.k("up", file=file).stdout
    there = lab.kubectl(f"get namespace,crd,things,secret,configmap,deployment {mine}").split()
    assert there == [
        "namespace/shop",
        "customresourcedefinition.apiextensions.k8s.io/things.example.com",
        "thing.example.com/store",
        "secret/password",
        "secret/store",
        "configmap/store",
        "deployment.apps/store",
        "deployment.apps/web",
    ]
    assert "Nothing to change" in lab.k("up", file=file).stdout

    lab.kubectl("scale -n shop deployment/web --replicas=1")
    lab.kubectl("annotate -n shop deployment/web theirs=stays")
    lab.kubectl("delete secret password")
    values.write_text("{replicas: 0, text: new}")
    (folder / "more.yml").write_text(WEB.partition("---")[0].replace("name: web,", "name: more,", 1))
    assert changes(file) == [
        ("apply", "ConfigMap/kube-public/store", ["configuration"]),
        ("apply", "Deployment/shop/more", ["new"]),
        ("apply", "Deployment/shop/web", ["drift"]),
        ("apply", "Secret/password", ["drift"]),
        ("remove", "Secret/shop/store", ["configuration"]),
    ]
    lab.k("up", file=file)
    field = "-o jsonpath={.spec.replicas}{.metadata.annotations.theirs}"
    assert lab.kubectl(f"get -n shop deployment/web {field}") == "2stays"
    (folder / "web.yaml").write_text(WEB.replace("  replicas: 2\n", ""))
    lab.k("up", file=file)
    lab.kubectl("scale -n shop deployment/web --replicas=3")
    assert "Nothing to change" in lab.k("up", file=file).stdout
    assert lab.kubectl(f"get -n shop deployment/web {field}") == "3stays"

    (folder / "more.yml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: 1}\n"
    )
    said = lab.k("up", file=file, code=5).stderr
    assert "manifests/more.yml, document 1, Service/bad: kubectl apply: Error from server" in said
    assert ".spec.ports: expected list" in said
    (folder / "more.yml").unlink()
    (folder / "web.yaml").write_text(WEB.rpartition("---")[2])
    file = lab.variant(file.name, lambda config: config.update(manifests=[{"directory": "manifests"}]))
    assert changes(file) == [
        ("remove", "ConfigMap/kube-public/store", ["configuration"]),
        ("remove", "Deployment/shop/more", ["configuration"]),
        ("remove", "Deployment/shop/store", ["configuration"]),
        ("remove", "Deployment/shop/web", ["configuration"]),
        ("remove", "Secret/default/password", ["configuration"]),
        ("remove", "Thing/store", ["configuration"]),
    ]
    lab.k("up")
    kinds = "crd,things,secret,configmap,deployment"
    stays = ["customresourcedefinition.apiextensions.k8s.io/things.example.com"]
    wait_for(lambda: lab.kubectl(f"get {kinds} {mine}").split() == stays, 60, "all others to be gone")
    # the namespace goes once the kubelet has given its pods up
    phase = lab.kubectl("get namespace shop --ignore-not-found -o jsonpath={.status.phase}")
    assert phase in {"", "Terminating"}
    kept = [path for path in lab.state.rglob("*") if path.is_file()]
    assert [path for path in kept if re.search("hunter2|aHVudGVyMg", path.read_text())] == []


def test_reset_leaves_hosts_as_they_were(lab: Lab, bare: dict[str, dict[str, list[str]]]) -> None:
    lab.k("reset", code=2)  # nobody to ask, and no --yes
    left = "/var/tmp/k8sbootstrap-tmp-0123456789abcdef"  # as a connection leaves it that is lost
    user = lab.config["ssh"]["user"]
    lab.sh("worker1", f"install -d -m 700 -o {user} {left}; install -m 600 -o {user} /bin/true {left}/0")
    lab.k("reset", "--yes")
    for name in lab.hosts:
        assert differences(bare[name], snapshot(lab, name)) == {}
    said = lab.k("reset", "--yes").stdout
    assert "0 of 2 hosts" in said


def test_up_killed_in_every_phase_goes_on(lab: Lab) -> None:
    """One installation, killed once in each phase as by a crash; the run after the last kill finishes it."""
    for phase in PHASES:
        process = lab.start("up")
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            runs = lab.state / "runs"
            events = lab.last_run() / "events.jsonl" if runs.is_dir() and any(runs.iterdir()) else None
            if events and events.exists() and f'"phase": "{phase}"' in _task_events(events):
                break
            time.sleep(0.05)
        assert process.poll() is None, f"up ended before it reached {phase}:\n{process.stdout.read()}"
        kill(process)
        assert "The record has no end" in lab.k("report", "--output", "-").stdout
    lab.k("up")
    lab.k("verify")
    said = lab.k("up").stdout
    assert "Nothing to change: 2 hosts, 0 changed." in said
    assert all(host["changed"] == 0 for host in summary(lab)["hosts"].values())


def _task_events(events: Path) -> str:
    return "\n".join(line for line in events.read_text().splitlines() if '"task' in line)


def test_second_up_at_the_same_time_is_refused(lab: Lab) -> None:
    lab.sh("worker1", "rm /etc/k8sbootstrap/pod-network")  # something to do, or it would be over at once
    process = lab.start("up")
    try:
        time.sleep(2)
        said = lab.k("up", code=7).stderr
        assert str(process.pid) in said
    finally:
        kill(process)
    lab.k("up")


def test_another_operator_is_refused_meanwhile(lab: Lab, tmp_path: Path) -> None:
    """From a folder of their own, as on another machine; one whose command was killed blocks nobody."""
    other = Lab(tmp_path / "theirs", lab.options)
    other.directory.mkdir()
    shutil.copy(lab.file, other.file)
    shutil.copytree(lab.directory / ".k8sbootstrap", other.directory / ".k8sbootstrap")
    lab.sh("worker1", "rm /etc/kubernetes/kube-proxy.yaml")
    process = lab.start("up")
    wait_for(lambda: lab.sh("master1", "cat /run/k8sbootstrap.lease", code=None), 30, "the lease")
    process.send_signal(signal.SIGSTOP)  # it neither ends nor renews its lease
    said = other.k("up", code=7).stderr
    assert 'master1: another command is changing this cluster: "k8sbootstrap up" of root on ' in said
    other.k("plan")  # changes nothing, and needs no lease
    kill(process)
    other.k("up")
    assert lab.sh("master1", "ls /run/k8sbootstrap.lease", code=None) == ""
    assert "Nothing to change" in lab.k("up").stdout


def test_lost_state_directory(lab: Lab) -> None:
    """It is read back from a master: the cluster keeps its identity, and all goes on."""
    lost = lab.directory / "lost"
    lab.state.rename(lost)
    lab.state.mkdir(mode=0o700)
    shutil.copy(lost / "known_hosts", lab.state)
    refused = lab.k("up", code=9).stderr  # not on a terminal, and nobody said yes
    assert "SHA-256" in refused
    assert not (lab.state / "pki").exists()
    shutil.rmtree(lab.state)
    assert "run k8sbootstrap adopt" in lab.k("status", code=5).stderr
    assert "run k8sbootstrap adopt" in lab.k("kubectl", "get", "nodes", code=9).stderr
    assert "run k8sbootstrap adopt" in lab.k("reset", "--yes", code=5).stderr
    assert not list(lab.state.rglob("*.crt"))
    adopted = lab.k("adopt", "--accept-new-host-keys", "--yes").stdout
    assert "so they were copied from master1" in adopted
    assert "hosts in the cluster: master1, worker1" in adopted
    for name in ("ca.crt", "ca.key", "sa.key", "etcd/ca.key"):
        assert (lab.state / "pki" / name).read_bytes() == (lost / "pki" / name).read_bytes(), name
    assert "worker1" in lab.k("kubectl", "get", "nodes").stdout
    assert lab.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"
    assert "Nothing to change" in lab.k("up").stdout
    assert "already. Nothing was changed." in lab.k("adopt").stdout
    shutil.rmtree(lost)


def test_cas_are_replaced(lab: Lab) -> None:
    """On one master; on three of them and under load: make e2e-accidents."""
    replace_cas(lab)


def test_full_disk(lab: Lab) -> None:
    """A host whose disk is full: preflight says so, and names the folder."""
    mount = "mount -t tmpfs -o size=1m tmpfs /var/lib/kubelet/plugins"
    lab.sh("worker1", f"mkdir -p /var/lib/kubelet/plugins && {mount} && umount /var/lib/kubelet/plugins")
    lab.sh(
        "worker1", "cp /usr/local/bin/kube-proxy /root/kept && mount -t tmpfs -o size=1m tmpfs /usr/local/bin"
    )
    try:
        said = lab.k("up", code=5).stderr
    finally:
        lab.sh("worker1", "umount /usr/local/bin; rm /root/kept")
    assert "worker1" in said
    assert "No space left on device" in said
    lab.k("up")
    lab.k("verify")


def test_host_lost_in_the_middle(lab: Lab) -> None:
    """A worker that vanishes during a run is named, the master is done, and the next run finishes."""
    lab.sh("worker1", "rm /etc/docker/daemon.json /etc/kubernetes/kube-proxy.yaml")
    before = lab.last_run()
    process = lab.start("up")
    wait_for(lambda: lab.last_run() != before, 30, "the run's record")
    events = lab.last_run() / "events.jsonl"
    wait_for(lambda: '"phase": "container_runtime"' in _task_events(events), 60, "the runtime's phase")
    lab.k("lab", "partition", "worker1")
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        lab.k("lab", "heal", "worker1")
    assert process.returncode == 5, output
    assert "worker1" in output
    lab.k("up")


KEPT = "get configmap/kept secret/kept -o yaml"


def _fill(lab: Lab) -> str:
    """Give a cluster objects of its own, and a token of a service account, which is returned."""
    lab.kubectl("create configmap kept --from-literal=a=b")
    lab.kubectl("create secret generic kept --from-literal=password=hunter3")
    lab.kubectl("create namespace shop")
    lab.kubectl(f"apply -f - <<'END'\n{WEB}END")
    lab.kubectl("expose -n shop deployment/web --port 80")
    lab.kubectl("rollout status -n shop deployment/web --timeout=120s")
    return lab.kubectl("create token default").strip()


def _swapped(lab: Lab, folder: Path) -> Lab:
    """A folder with the same cluster on the same hosts: master1 and a new worker have changed places."""
    other = Lab(folder, lab.options)
    other.directory.mkdir()
    config = lab.config
    config["ssh"]["key"] = str(lab.directory / config["ssh"]["key"])
    master, worker = config["hosts"]
    config["hosts"] = [
        {**worker, "name": "master1", "roles": ["master"]},
        {**master, "name": "worker2", "roles": ["worker"]},
    ]
    other.file.write_text(yaml.safe_dump(config))
    return other


def test_a_lost_cluster_comes_back_on_other_hosts(
    lab: Lab, bare: dict[str, dict[str, list[str]]], tmp_path: Path
) -> None:
    """From a backup alone, with the hosts' addresses swapped; killed in the middle, it goes on."""
    identity = pyrage.x25519.Identity.generate()
    key, file, admin = tmp_path / "key", tmp_path / "lab.backup", lab.state / "admin.kubeconfig"
    key.write_text(str(identity))
    token, before = _fill(lab), lab.kubectl(KEPT)
    lab.k("backup", "create", str(file), "--recipient", str(identity.to_public()))
    decrypt = ("--restore", str(file), "--identity", str(key), "--yes")
    assert "master1 is not empty: it has the cluster" in lab.k("up", *decrypt, code=4).stderr
    lab.k("reset", "--yes")

    other = _swapped(lab, tmp_path / "other")
    process = other.start("up", *decrypt, "--accept-new-host-keys")
    there = "test -e /var/lib/etcd/member/wal && echo yes"
    wait_for(lambda: lab.sh("worker1", there, code=None), 200, "data of etcd")
    kill(process)
    assert (other.state / "restore/etcd.snapshot").stat().st_mode & 0o777 == 0o600
    assert "has not ended" in other.k("plan", code=4).stderr
    other.k("up")

    def kubectl(arguments: str) -> str:
        return lab.kubectl(arguments, on="worker1")

    assert kubectl(KEPT) == before
    assert kubectl("get nodes -o jsonpath={.items[*].metadata.name}") == "master1 worker2"
    addresses = "-o jsonpath='{.items[*].status.addresses[?(@.type==\"InternalIP\")].address}'"
    assert kubectl(f"get nodes {addresses}").split() == [host["address"] for host in other.config["hosts"]]
    kubectl("wait -n shop deployment/web --for=condition=Available --timeout=120s")
    assert kubectl("get pods -n shop -o jsonpath={.items[*].spec.nodeName}") == "worker2 worker2"
    slices = "get endpointslices -l kubernetes.io/service-name=kubernetes -o yaml"
    wait_for(lambda: lab.address("master1") not in kubectl(slices), 60, "the API server's own address alone")
    api = "kubectl --server https://127.0.0.1:6443 --certificate-authority /etc/kubernetes/pki/ca.crt"
    assert "serviceaccount:default:default" in lab.sh("worker1", f"{api} --token {token} auth whoami")
    use = "kubectl --kubeconfig /dev/stdin --server https://127.0.0.1:6443 get nodes -o name"
    assert "node/worker2" in lab.sh("worker1", f"{use} <<'END'\n{admin.read_text()}\nEND")
    other.k("verify")
    assert other.k("plan", "--detailed-exitcode").stdout == "Nothing to change.\n"
    kubectl("create configmap later")
    assert "nothing is restored again" in other.k("up", *decrypt).stdout
    kubectl("get configmap later")
    kept = [path for path in other.directory.rglob("*") if path.is_file()]
    assert [path for path in kept if b"hunter3" in path.read_bytes()] == []
    other.k("reset", "--yes")
    sessions = "pgrep -c sshd-session || true"
    for name in lab.hosts:
        wait_for(lambda at=name: lab.sh(at, sessions) == "0\n", 120, "connections of the killed run to end")
        assert differences(bare[name], snapshot(lab, name)) == {}
