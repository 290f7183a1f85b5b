"""What OpenSSH is told is all that it goes by: nobody's ssh_config, no other known_hosts."""

import subprocess
from dataclasses import replace
from types import SimpleNamespace

import pytest

from k8sbootstrap.inventory.connection import connection_variables, ssh_command
from tests.unit.hosts.ssh_server import bastion_of, learn, target_of


@pytest.fixture(params=["direct", "hop"])
def host(request, new_server, key, known_hosts):
    server, hop = new_server(), new_server()
    target = target_of(server, key, known_hosts)
    learn(target, server)
    learn(target, hop)
    if request.param == "hop":
        target = replace(target, bastion=bastion_of(hop))
    return SimpleNamespace(name="m1", address="127.0.0.1", ssh=target)


def ssh(host, *options):
    command = ssh_command(host)
    command[1:1] = options
    return subprocess.run([*command, "true"], capture_output=True, text=True, check=True, timeout=30)


def test_no_configuration_is_read(host):
    said = ssh(host, "-v").stderr
    assert "Authenticated to" in said
    assert "Reading configuration data" not in said


def test_nothing_is_forwarded_and_no_other_known_hosts_count(host):
    settings = dict(line.split(" ", 1) for line in ssh(host, "-G").stdout.splitlines())
    assert settings["forwardagent"] == settings["permitlocalcommand"] == "no"
    assert settings["globalknownhostsfile"] == "/dev/null"
    assert settings["userknownhostsfile"] == str(host.ssh.known_hosts)
    assert settings["stricthostkeychecking"] == "true"
    assert settings.keys().isdisjoint({"localforward", "remoteforward", "dynamicforward", "sendenv"})
    hop = settings.get("proxycommand", "")
    assert bool(hop) == bool(host.ssh.bastion)
    assert not hop or "-F none" in hop


def test_ansible_is_told_the_same(host):
    assert connection_variables(host)["ansible_ssh_common_args"].startswith("-F none ")
