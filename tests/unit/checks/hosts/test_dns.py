"""Name servers for CoreDNS: where pods get none that they could ask, somebody has to name some."""

import json
import subprocess
import sys
from importlib import resources

import pytest

from k8sbootstrap.checks.framework import Status
from k8sbootstrap.survey.facts import parse

QUESTION = json.dumps({"platforms": [], "address": "127.0.0.1", "free": ""})
ETCD = [
    {"name": "e1", "address": "192.0.2.11", "roles": ["etcd"]},
    {"name": "m1", "address": "192.0.2.12", "roles": ["master"]},
]
ELSEWHERE = (
    {"extraConfig": {"kubelet": {"resolvConf": "/etc/resolv.pods"}}},
    {"extraArgs": {"kubelet": {"resolv-conf": "/etc/resolv.pods"}}},
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "pods would have no usable name server: /etc/resolv.conf has none"),
        ("# nameserver 192.0.2.53\nsearch example.com\n", "/etc/resolv.conf has none"),
        (
            "nameserver 127.0.0.1\nnameserver ::1\n",
            "only 127.0.0.1 and ::1, which is the pod itself inside a pod",
        ),
    ],
)
def test_a_host_without_name_servers(judge, text, says):
    verdict = judge("name-servers", resolv_conf=text)
    assert verdict.status is Status.FAILED
    assert says in verdict.message
    assert "dns.upstream" in verdict.fix


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dns": {"upstream": []}}, "dns.upstream: none wanted"),
        (
            {"dns": {"upstream": ["192.0.2.53", "192.0.2.54:5353"]}},
            "dns.upstream: 192.0.2.53, 192.0.2.54:5353",
        ),
        ({"dns": {"name": "none"}}, "CoreDNS does not run on this host"),
        ({"hosts": ETCD}, "CoreDNS does not run on this host"),
        *(
            (
                {"kubernetes": way},
                "those in /etc/resolv.pods, which the kubelet's settings in cluster.yaml name",
            )
            for way in ELSEWHERE
        ),
    ],
)
def test_where_it_does_not_matter(judge, make_plan, settings, says):
    verdict = judge("name-servers", plan=make_plan(**settings), resolv_conf="")
    assert verdict.status is Status.PASSED
    assert verdict.message == says


def test_one_that_pods_can_ask_is_enough(judge):
    verdict = judge("name-servers", resolv_conf="nameserver 127.0.0.1\nnameserver 192.0.2.53\n")
    assert verdict.status is Status.PASSED


@pytest.mark.parametrize(
    ("etc", "resolved", "wanted"),
    [
        ("nameserver 192.0.2.53\n", "nameserver 192.0.2.99\n", ("192.0.2.53",)),
        ("# a stub\nnameserver 127.0.0.53\n", "nameserver 192.0.2.99\n", ("192.0.2.99",)),
        ("nameserver 127.0.0.53\n", None, ("127.0.0.53",)),
        ("nameserver 127.0.0.53\n", "# nobody told it any\n", ()),
    ],
)
def test_systemd_resolved(tmp_path, etc, resolved, wanted):
    """The probe takes the servers that systemd-resolved asks where it stands in resolv.conf itself."""
    (tmp_path / "etc").write_text(etc)
    if resolved is not None:
        (tmp_path / "resolved").write_text(resolved)
    probe = (resources.files("k8sbootstrap.hosts.scripts") / "facts.py").read_text()
    for place, name in (("/etc/resolv.conf", "etc"), ("/run/systemd/resolve/resolv.conf", "resolved")):
        probe = probe.replace(place, str(tmp_path / name))
    done = subprocess.run(
        [sys.executable, "-", QUESTION], input=probe, capture_output=True, text=True, check=True
    )
    assert parse(done.stdout).name_servers == wanted


def test_the_cache_on_every_node_needs_the_module_dummy(judge, make_plan):
    there = ["overlay", "br_netfilter", "nf_conntrack", "vxlan"]
    plan = make_plan(dns={"nodeLocalCache": True})
    verdict = judge("kernel-modules", plan=plan, modules=there)
    assert verdict.status is Status.FAILED
    assert "the kernel has no module dummy" in verdict.message
    assert "dns.nodeLocalCache" in verdict.fix
    assert judge("kernel-modules", plan=plan, modules=[*there, "dummy"]).status is Status.PASSED
    assert judge("kernel-modules", modules=there).status is Status.PASSED


def test_the_cache_on_a_node_has_the_address_of_the_service(judge):
    addresses = json.dumps(
        [{"ifname": "nodelocaldns", "addr_info": [{"local": "10.96.0.10", "prefixlen": 32}]}]
    )
    assert judge("cidr-overlap", addresses=addresses).status is Status.PASSED
