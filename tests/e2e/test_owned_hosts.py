"""Hosts that belong to somebody: packages, settings, containers and disks of theirs outlive a cluster.

One master and one worker. What can not stay is refused, and the host is as before. What can is there while
the cluster runs, and as it was after a reset.
"""

from __future__ import annotations

import json

import pytest
from clusters import OWNED_HOSTS
from labs import Lab, make_lab, wait_for
from snapshot import differences, snapshot

pytestmark = pytest.mark.e2e

STAND_INS = r"""
cd /tmp; mkdir -p containerd.io/DEBIAN docker-ce/DEBIAN
about='Architecture: amd64\nMaintainer: x <x@example.com>\nDescription: stand-in\n'
rivals='Conflicts: containerd, runc\nReplaces: containerd, runc\nProvides: containerd, runc\n'
printf "Package: containerd.io\nVersion: 1.7.27-1\n$rivals$about" >containerd.io/DEBIAN/control
rivals='Depends: containerd.io\nConflicts: docker.io\nReplaces: docker.io\n'
printf "Package: docker-ce\nVersion: 5:28.1.1-1\n$rivals$about" >docker-ce/DEBIAN/control
for p in containerd.io docker-ce; do dpkg-deb --build $p; dpkg -i $p.deb; done
rm -rf containerd.io docker-ce *.deb
"""
IMAGE = (
    "tar -C / -ch bin/sleep lib64/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6 "
    "lib/x86_64-linux-gnu/libselinux.so.1 lib/x86_64-linux-gnu/libpcre2-8.so.0 | docker import - theirs"
)
SWARM_IS_SET_UP = """
network() { ip route; iptables -S; }
[ -n "$(ip -o link show master docker_gwbridge)" ] || exit 1
before=$(network); sleep 2; [ "$before" = "$(network)" ] && echo yes
"""
SITE = """\
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend site
  bind :80
  http-request return status 200 content-type text/plain string hello
"""
SETTINGS = {
    "data-root": "/srv/docker",
    "insecure-registries": ["192.0.2.1:5000"],
    "default-address-pools": [{"base": "172.30.0.0/16", "size": 24}],
}
PODMAN = "/etc/cni/net.d/87-podman-bridge.conflist"
POD = """
apiVersion: v1
kind: Pod
metadata: {name: volume}
spec:
  nodeName: worker1
  containers:
    - name: main
      image: docker.io/library/busybox:1.35.0
      command: [sleep, "10000"]
      volumeMounts: [{name: theirs, mountPath: /theirs, subPath: sub}]
  volumes: [{name: theirs, hostPath: {path: /srv/theirs}}]
"""
CHANGING = ("/srv/docker/", "/var/lib/docker/", "/run/", "/var/lib/containerd/")
"""What programs of the host's owner write while they run."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    yield from make_lab(tmp_path_factory.mktemp("owned"), *OWNED_HOSTS.options)


def refused(lab: Lab, *says: str) -> None:
    """See that preflight names this, and that it left the worker as it was."""
    before = snapshot(lab, "worker1")
    said = lab.k("preflight", code=4).stdout
    for text in says:
        assert text in said, said
    assert left_alone(before, snapshot(lab, "worker1"))


def left_alone(before: dict[str, list[str]], now: dict[str, list[str]]) -> bool:
    """Whether nothing differs but what programs of the host's owner write."""
    found = differences(before, now)
    found.pop(
        "nft", None
    )  # a table that docker had before keeps empty chains of iptables; those are compared
    files = [line for line in found.pop("files", []) if not line[2:].startswith(CHANGING)]
    assert (files, found) == ([], {})
    return True


def test_no_package_is_removed(lab: Lab) -> None:
    lab.sh("worker1", STAND_INS)
    refused(lab, "apt would have to remove containerd.io, docker-ce", "runtime.source: upstream")
    before = snapshot(lab, "worker1")
    said = lab.k("plan", code=5)
    assert "would remove containerd.io docker-ce from this host" in said.stdout + said.stderr
    lab.k("up", "-y", code=4)
    assert left_alone(before, snapshot(lab, "worker1"))
    lab.sh("worker1", "dpkg --purge docker-ce containerd.io")


def test_settings_that_can_not_stay_are_refused(lab: Lab) -> None:
    lab.sh("worker1", "apt-get install -y -q --no-install-recommends docker.io haproxy >/dev/null")
    lab.sh("worker1", f"cp /etc/haproxy/haproxy.cfg /root/; echo '{SITE}' >/etc/haproxy/haproxy.cfg")
    lab.sh(
        "worker1",
        f"systemctl restart haproxy; {IMAGE}; docker run -d --name web -p 8080:80 theirs /bin/sleep 9d",
    )
    lab.sh("worker1", f"docker swarm init --advertise-addr {lab.address('worker1')}")
    # docker answers before the swarm's own network is there
    wait_for(lambda: lab.sh("worker1", SWARM_IS_SET_UP, code=None), 30, "the network of docker's swarm")
    refused(
        lab,
        "haproxy already has its own configuration",
        "containers of your own would lose their network and ports: web",
        "docker is in a swarm",
    )
    site = f"import urllib.request; print(urllib.request.urlopen('http://{lab.address('worker1')}').read())"
    assert "hello" in lab.sh("master1", f'python3 -c "{site}"')
    lab.sh("worker1", "docker swarm leave --force; docker rm -f web")
    lab.sh(
        "worker1",
        "mv /root/haproxy.cfg /etc/haproxy/haproxy.cfg; systemctl stop haproxy; systemctl disable haproxy",
    )
    lab.sh(
        "worker1",
        "echo 'DOCKER_OPTS=\"--log-driver=journald\"' >>/etc/default/docker; systemctl restart docker",
    )
    refused(lab, "docker would not start: its command line has --log-driver")
    lab.sh("worker1", "sed -i /journald/d /etc/default/docker")


@pytest.fixture(scope="module")
def before(lab: Lab) -> dict[str, dict[str, list[str]]]:
    """Both hosts with disks on their data folders, and the worker with docker as its owner set it up."""
    for name in lab.hosts:
        folders = "etcd kubelet" + (" docker" if name == "master1" else "")
        lab.sh(
            name,
            f"for d in {folders}; do mkdir -p /srv/$d /var/lib/$d; chmod 751 /srv/$d; "
            "mount --bind /srv/$d /var/lib/$d; done",
        )
    text = json.dumps(SETTINGS)
    # a bridge from before would keep the address that it had then
    lab.sh(
        "worker1",
        f"systemctl stop docker.socket docker; ip link del docker0; mkdir -p /etc/docker; "
        f"echo '{text}' >/etc/docker/daemon.json; systemctl start docker",
    )
    lab.sh(
        "worker1", f"{IMAGE}; docker run -d --restart always --network host --name agent theirs /bin/sleep 9d"
    )
    lab.sh(
        "worker1", f"mkdir -p /etc/cni/net.d; echo '{{}}' >{PODMAN}; echo 'debug: false' >/etc/crictl.yaml"
    )
    return {name: snapshot(lab, name) for name in lab.hosts}


def running(lab: Lab) -> str:
    return lab.sh("worker1", "docker ps --format '{{.Names}}' --filter name=agent").strip()


def test_what_can_stay_stays_and_is_merged(lab: Lab, before: dict[str, dict[str, list[str]]]) -> None:
    assert before
    said = lab.k("preflight").stdout
    assert "these settings of the host are kept: /etc/docker/daemon.json" in said
    assert f"{PODMAN} (of podman) is kept" in said
    lab.k("up", "-y")
    now = json.loads(lab.sh("worker1", "cat /etc/docker/daemon.json"))
    assert {key: now[key] for key in SETTINGS} == SETTINGS
    assert (now["bridge"], now["exec-opts"]) == ("none", ["native.cgroupdriver=systemd"])
    assert "/srv/docker" in lab.sh("worker1", "docker info -f '{{.DockerRootDir}}'")
    assert running(lab) == "agent"
    assert lab.sh("worker1", "cat /etc/crictl.yaml") == "debug: false\n"
    lab.k("plan", "--detailed-exitcode")


def test_what_is_added_later_stays(lab: Lab) -> None:
    lab.sh("worker1", "sed -i 's/^{/{\"debug\": true,/' /etc/docker/daemon.json")
    lab.k("plan", "--detailed-exitcode", code=11)
    lab.k("up", "-y")
    assert json.loads(lab.sh("worker1", "cat /etc/docker/daemon.json"))["debug"] is True
    lab.k("plan", "--detailed-exitcode")


def test_reset_leaves_what_was_there(lab: Lab, before: dict[str, dict[str, list[str]]]) -> None:
    lab.sh("worker1", "mkdir -p /srv/theirs/sub; echo precious >/srv/theirs/sub/file")
    lab.sh("master1", f"kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f - <<'E'\n{POD}\nE")
    ready = "get pod volume -o jsonpath='{.status.phase}'"
    wait_for(lambda: lab.kubectl(ready) == "Running", 90, "the pod with a volume")
    # whatever is called umount there, and whoever is in the folder
    lab.sh(
        "worker1", "printf '#!/bin/sh\\nexit 1\\n' >/usr/local/sbin/umount; chmod 755 /usr/local/sbin/umount"
    )
    lab.sh("worker1", "cd /srv/theirs/sub; nohup sleep 120 >/dev/null 2>&1 &")
    lab.k("reset", "-y")
    lab.sh("worker1", "rm /usr/local/sbin/umount")
    assert lab.sh("worker1", "cat /srv/theirs/sub/file") == "precious\n"
    lab.sh("worker1", "rm -r /srv/theirs")
    for name in lab.hosts:
        assert left_alone(before[name], snapshot(lab, name))
        assert lab.sh(name, "ls -A /var/lib/etcd /var/lib/kubelet").split() == [
            "/var/lib/etcd:",
            "/var/lib/kubelet:",
        ]
        assert lab.sh(name, "stat -c '%a %U' /var/lib/etcd") == "751 root\n"
    assert running(lab) == "agent"


def test_a_disk_that_came_later(lab: Lab) -> None:
    """The cluster is installed again, on hosts where a reset left disks; then one more is mounted."""
    lab.sh("master1", "umount /var/lib/etcd; rmdir /var/lib/etcd")
    lab.k("up", "-y")
    lab.sh(
        "master1",
        "systemctl stop etcd; cp -a /var/lib/etcd/. /srv/etcd/; mount --bind /srv/etcd /var/lib/etcd; "
        "systemctl start etcd",
    )
    lab.k("reset", "-y")
    assert lab.sh("master1", "ls -A /var/lib/etcd; stat -c '%a %U' /var/lib/etcd") == "755 root\n"
    assert "/var/lib/etcd" in lab.sh("master1", "cut -d' ' -f2 /proc/mounts")
    lab.k("reset", "-y")
    lab.k("preflight")
