"""Reset takes Kubernetes' chains off and leaves everything else as it was: recorded iptables-save outputs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.k8sbootstrap.host.firewall import deletions
from playbook_code import PLAYBOOKS

RECORDED = Path(__file__).parent / "recorded"
NODE = (RECORDED / "iptables-save-node.txt").read_text()
FOREIGN = (RECORDED / "iptables-save-foreign.txt").read_text()


def blocks(text: str) -> dict[str, list[str]]:
    """Lines by table."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            found[line[1:]] = table = []
        elif line and line[0] in ":-":
            table.append(re.sub(r" \[\d+:\d+\]$", "", line))
    return found


def test_chains_of_others_and_their_rules_are_not_touched() -> None:
    foreign = ("MY-KUBE-GUARD", "dport 22 ", "docker9", "dport 8080", "virbr0", "198.51.100.7", "-i lo")
    text = deletions(NODE)
    assert [word for word in foreign if word in text] == []
    assert deletions(FOREIGN) == ""
    assert deletions("") == ""


def test_every_table_is_a_transaction_of_its_own() -> None:
    found = blocks(deletions(NODE))
    assert list(found) == ["mangle", "filter", "nat"]
    assert deletions(NODE).count("COMMIT\n") == 3
    assert found["mangle"] == [
        f"-{verb} {chain}" for verb in "FX" for chain in ("KUBE-KUBELET-CANARY", "KUBE-PROXY-CANARY")
    ]


def test_rules_that_jump_go_before_the_chains_they_jump_to() -> None:
    for lines in blocks(deletions(NODE)).values():
        verbs = "".join(line[1] for line in lines)
        assert re.fullmatch(r"D*F+X+", verbs)


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "iptables-restore", "iptables-save"))),
    reason="needs root, unshare and iptables",
)
def test_iptables_takes_it_and_others_rules_survive() -> None:
    """In a network namespace of its own, so that this machine's rules are not touched."""
    script = 'iptables-restore <"$1" && printf %s "$2" | iptables-restore --noflush --wait && iptables-save'
    recorded = str(RECORDED / "iptables-save-node.txt")
    command = ["unshare", "--net", "sh", "-c", script, "sh", recorded, deletions(NODE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr or "Could not fetch rule set" in done.stderr:
        pytest.skip(f"this machine has no iptables in a namespace: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    ours = re.compile(r"(?:^:|-[Aj] )(?:KUBE|CNI|K8SBOOTSTRAP)-")
    left = {table: [line for line in lines if not ours.search(line)] for table, lines in blocks(NODE).items()}
    left["filter"].append(next(line for line in blocks(NODE)["filter"] if "--dport 22 " in line))
    after = blocks(done.stdout)
    assert {table: sorted(after[table]) for table in left} == {t: sorted(lines) for t, lines in left.items()}


NFT_RULES = """\
table ip kube-proxy { chain services { type nat hook output priority -100; }; chain x { accept; }; }
table ip6 kube-proxy { chain services { }; }
table inet kube-proxy { chain x { accept; }; }
table ip filled { chain postrouting { type nat hook postrouting priority 100; masquerade; }; }
table ip empty { chain prerouting { type filter hook prerouting priority -300; policy accept; }; }
table ip mine { chain empty { }; }
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nft"))), reason="needs root, unshare and nft"
)
def test_tables_of_kube_proxy_go_whole_and_those_of_others_stay() -> None:
    """In a network namespace of its own, with the real nft."""
    folder = str(PLAYBOOKS / "module_utils")
    code = "from k8sbootstrap.host.firewall import clean; clean(['ip mine'])"
    script = 'printf %s "$1" | nft -f - && cd "$2" && "$3" -c "$4" && nft list tables'
    command = ["unshare", "--net", "sh", "-c", script, "sh", NFT_RULES, folder, sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        pytest.skip(f"this machine has no nftables in a namespace: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == ["table inet kube-proxy", "table ip filled", "table ip mine"]


def test_pod_networks_rules_go_too() -> None:
    saved = """*filter
:FORWARD DROP [0:0]
:FLANNEL-FWD - [0:0]
:cali-FORWARD - [0:0]
:CILIUM_FORWARD - [0:0]
-A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
-A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m mark --mark 0x10000/0x10000 -j ACCEPT
-A FORWARD -m comment --comment "about cali: mine" -j ACCEPT
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
-A FORWARD -m comment --comment "cilium-feeder: CILIUM_FORWARD" -j CILIUM_FORWARD
-A FLANNEL-FWD -s 10.244.0.0/16 -j ACCEPT
COMMIT
"""
    lines = blocks(deletions(saved))["filter"]
    assert [line for line in lines if line.startswith("-D")] == [
        '-D FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD',
        '-D FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m mark --mark 0x10000/0x10000 -j ACCEPT',
        '-D FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
        '-D FORWARD -m comment --comment "cilium-feeder: CILIUM_FORWARD" -j CILIUM_FORWARD',
    ]
    assert [line for line in lines if line.startswith("-X")] == [
        "-X FLANNEL-FWD",
        "-X cali-FORWARD",
        "-X CILIUM_FORWARD",
    ]


def test_rules_of_the_nodes_dns_cache_go() -> None:
    rule = '-A PREROUTING -d 169.254.20.10/32 -p udp -m udp --dport 53 -m comment --comment "{}" -j NOTRACK'
    saved = ["*raw", ":PREROUTING ACCEPT [0:0]", rule.format("NodeLocal DNS Cache: skip conntrack")]
    saved += [rule.format("somebody's"), "COMMIT"]
    assert deletions("\n".join(saved)).splitlines() == [
        "*raw",
        rule.format("NodeLocal DNS Cache: skip conntrack").replace("-A", "-D", 1),
        "COMMIT",
    ]
