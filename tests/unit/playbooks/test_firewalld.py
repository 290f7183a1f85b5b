"""firewalld is opened for the cluster where it runs, and only what was opened is closed again."""

import os
from collections.abc import Callable
from pathlib import Path

import playbook_code
import pytest
from ansible.module_utils.k8sbootstrap.host import firewalld

PUBLIC = """<?xml version="1.0" encoding="utf-8"?>
<zone>
  <short>Public</short>
  <service name="ssh"/>
  <port port="6443" protocol="tcp"/>
</zone>
"""
FIREWALL_CMD = """#!/bin/sh
echo "$*" >>{folder}/calls
case "$*" in
  --get-zone-of-interface=eth1) echo internal ;;
  --get-zone-of-interface=*) echo "no zone" >&2; exit 2 ;;
  --get-default-zone) echo public ;;
  *198.51.100.9*) echo "Error: ZONE_CONFLICT: '198.51.100.9' already bound to 'work'" >&2; exit 26 ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
test -e {folder}/active
"""
IP = """#!/bin/sh
echo '[{{"ifname":"lo","addr_info":[{{"local":"127.0.0.1"}}]}},
  {{"ifname":"eth0","addr_info":[{{"local":"192.0.2.11"}}]}},
  {{"ifname":"eth1","addr_info":[{{"local":"10.0.0.11"}},{{"local":"10.0.0.99"}}]}}]'
"""
WANTED = {
    "sources": ["10.0.0.12", "10.244.0.0/16"],
    "ports": ["6443/tcp"],
    "addresses": ["10.0.0.11", "192.0.2.11"],
}
TRUSTED = [["trusted", "source", "10.0.0.12"], ["trusted", "source", "10.244.0.0/16"]]
host_base = playbook_code.load("library", "host_base")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A host whose firewalld runs, with commands that write down how they are called."""
    programs = (("firewall-cmd", FIREWALL_CMD), ("systemctl", SYSTEMCTL), ("ip", IP))
    offline = ("firewall-offline-cmd", '#!/bin/sh\necho "offline $*" >>{folder}/calls\n')
    (tmp_path / "bin").mkdir()
    for name, text in (*programs, offline):
        path = tmp_path / "bin" / name
        path.write_text(text.format(folder=tmp_path))
        path.chmod(0o755)
    zones = tmp_path / "zones"
    zones.mkdir()
    (zones / "public.xml").write_text(PUBLIC)
    monkeypatch.setattr(firewalld, "_ZONES", (str(zones), str(tmp_path / "defaults")))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "active").touch()
    (tmp_path / "calls").touch()

    def called() -> list[str]:
        lines = (tmp_path / "calls").read_text().splitlines()
        (tmp_path / "calls").write_text("")
        return [line for line in lines if not line.startswith("--get-")]

    return called


def test_ports_are_opened_in_the_zones_of_the_hosts_addresses(commands):
    assert firewalld.openings(WANTED) == [
        *TRUSTED,
        ["internal", "port", "6443/tcp"],
        ["public", "port", "6443/tcp"],
    ]
    assert firewalld.openings({**WANTED, "ports": []}) == TRUSTED


def test_what_is_open_for_good_already_is_left_alone(commands):
    assert firewalld.closed(firewalld.openings(WANTED)) == [*TRUSTED, ["internal", "port", "6443/tcp"]]


def test_openings_are_made_now_and_for_good(commands):
    firewalld.open_all(TRUSTED[:1])
    assert commands() == [
        "--zone=trusted --add-source=10.0.0.12",
        "--permanent --zone=trusted --add-source=10.0.0.12",
    ]


def test_a_refusal_is_told_in_firewalld_s_own_words(commands):
    with pytest.raises(
        firewalld.FirewallError, match=r"source 198.51.100.9 in zone trusted: .*ZONE_CONFLICT"
    ):
        firewalld.open_all([["trusted", "source", "198.51.100.9"]])


def test_reset_closes_also_where_firewalld_does_not_run(commands, tmp_path):
    firewalld.close_all(TRUSTED[:1])
    assert commands() == [
        "--zone=trusted --remove-source=10.0.0.12",
        "--permanent --zone=trusted --remove-source=10.0.0.12",
    ]
    (tmp_path / "active").unlink()
    firewalld.close_all(TRUSTED[:1])
    assert commands() == ["offline --zone=trusted --remove-source=10.0.0.12"]


def test_the_record_has_what_was_opened_and_nothing_that_was_open(commands, new_record):
    record = new_record()
    changes, right = host_base._firewall(WANTED, record, check_mode=False)
    ours = [*TRUSTED, ["internal", "port", "6443/tcp"]]
    assert new_record().data["firewall"] == ours
    assert [change["text"] for change in changes] == [f"{firewalld.words(each)} opened" for each in ours]
    assert {change["causes"][0] for change in changes} == {"new"}
    assert right == [*ours, ["public", "port", "6443/tcp"]]


def test_a_host_that_left_the_cluster_is_shut_out_again(commands, new_record):
    record = new_record()
    record.data["firewall"] = [["trusted", "source", "10.0.0.77"], ["public", "port", "6443/tcp"]]
    changes, _ = host_base._firewall(WANTED, record, check_mode=False)
    assert "--permanent --zone=trusted --remove-source=10.0.0.77" in commands()
    assert changes[-1]["text"] == "source 10.0.0.77 in firewalld's zone trusted closed"
    assert ["trusted", "source", "10.0.0.77"] not in new_record().data["firewall"]
    assert ["public", "port", "6443/tcp"] in record.data["firewall"]


def test_what_somebody_closed_is_drift(commands, new_record):
    record = new_record()
    record.data["firewall"] = list(TRUSTED)
    changes, _ = host_base._firewall(WANTED, record, check_mode=False)
    assert [change["causes"] for change in changes] == [["drift"], ["drift"], ["configuration"]]
    assert record.data["firewall"] == [*TRUSTED, ["internal", "port", "6443/tcp"]]


def test_the_probe_sees_what_was_closed_without_asking_firewalld(commands, tmp_path):
    wanted = {**WANTED, "openings": [*TRUSTED, ["public", "port", "6443/tcp"]]}
    assert firewalld.shut(wanted) == TRUSTED
    assert (tmp_path / "calls").read_text() == ""
    assert firewalld.shut({}) == []


def test_the_probe_sees_that_firewalld_was_started_since(commands, tmp_path):
    wanted = {**WANTED, "openings": None}
    assert firewalld.shut(wanted) == [*TRUSTED, ["internal", "port", "6443/tcp"]]
    (tmp_path / "active").unlink()
    assert firewalld.shut(wanted) == []


ZONE = '<zone target="ACCEPT">\n  <short>Trusted</short>\n{more}</zone>\n'


def test_files_that_firewalld_made_for_the_openings_go_with_them(commands, tmp_path):
    zones, defaults = tmp_path / "zones", tmp_path / "defaults"
    defaults.mkdir()
    (defaults / "trusted.xml").write_text(ZONE.format(more=""))
    made = firewalld.new_files([*TRUSTED, ["public", "port", "6443/tcp"]])
    assert made == [str(zones / name) for name in ("public.xml.old", "trusted.xml", "trusted.xml.old")]
    (zones / "trusted.xml").write_text(f'<?xml version="1.0"?>{ZONE.format(more="")}'.replace("  ", ""))
    (zones / "trusted.xml.old").touch()
    firewalld.remove_files(made)
    assert [path.name for path in zones.iterdir()] == ["public.xml"]
    firewalld.remove_files(made)


def test_files_with_settings_of_somebody_else_stay(commands, tmp_path):
    zones, defaults = tmp_path / "zones", tmp_path / "defaults"
    defaults.mkdir()
    (defaults / "trusted.xml").write_text(ZONE.format(more=""))
    made = firewalld.new_files(TRUSTED)
    (zones / "trusted.xml").write_text(ZONE.format(more='<source address="203.0.113.5"/>'))
    firewalld.remove_files(made)
    assert (zones / "trusted.xml").exists()


def test_check_mode_changes_nothing(commands, new_record):
    record = new_record(check_mode=True)
    assert len(host_base._firewall(WANTED, record, check_mode=True)[0]) == 3
    assert commands() == []
    assert record.data["firewall"] == []


def test_nothing_is_done_where_firewalld_does_not_run(commands, new_record, tmp_path):
    (tmp_path / "active").unlink()
    assert host_base._firewall(WANTED, new_record(), check_mode=False) == ([], None)
    assert commands() == []
