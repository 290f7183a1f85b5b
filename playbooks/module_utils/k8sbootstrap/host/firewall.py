"""Takes Kubernetes' own chains and tables out of iptables and nftables, and nothing else."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess

_TABLES = ("ip kube-proxy", "ip6 kube-proxy", "ip calico", "ip6 calico")
"""nftables tables of kube-proxy and calico."""
_COMMENTS = ("cali:", "NodeLocal DNS Cache:")
"""What comments in rules of calico and of the nodes' DNS cache begin with."""
_OURS = re.compile(r"^(KUBE-|K8SBOOTSTRAP-|CNI-|FLANNEL-|cali-|CILIUM_|OLD_CILIUM_)")


def list_nft_tables() -> list[str]:
    """Names of all nftables tables, such as ``ip nat``; empty without the nft command."""
    if not shutil.which("nft"):
        return []
    out = subprocess.run(["nft", "list", "tables"], check=False, capture_output=True, text=True).stdout
    return [line.removeprefix("table ").strip() for line in out.splitlines() if line.startswith("table ")]


def deletions(saved: str) -> str:
    """What ``iptables-restore --noflush`` needs to delete our chains and every rule that jumps to them.

    Args:
        saved: Output of iptables-save.

    Returns:
        Restore input; empty when there is nothing of ours. Chains and rules of others are not in it.
    """
    blocks = []
    table = ""
    chains: list[str] = []
    rules: list[str] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            table, chains, rules = line, [], []
        elif line.startswith(":"):
            name = line[1:].split()[0]
            if _OURS.match(name):
                chains.append(name)
        elif line.startswith("-A "):
            chain = line.split()[1]
            if not _OURS.match(chain) and _is_ours(line):
                rules.append("-D " + line[3:])
        elif line == "COMMIT" and (chains or rules):
            body = [*rules, *(f"-F {name}" for name in chains), *(f"-X {name}" for name in chains)]
            blocks.append("\n".join([table, *body, "COMMIT"]))
    return "\n".join(blocks) + "\n" if blocks else ""


def _is_ours(rule: str) -> bool:
    """Whether a rule in somebody else's chain jumps to one of ours, or says in its comment whose it is."""
    words = shlex.split(rule)  # a comment is one word, whatever it says
    return any(
        (word in ("-j", "-g") and _OURS.match(words[i + 1]))
        or (word == "--comment" and words[i + 1].startswith(_COMMENTS))
        for i, word in enumerate(words[:-1])
    )


def clean(tables_before: list[str]) -> None:
    """Remove our chains for IPv4 and IPv6, our tables, and those that we found missing and are empty now.

    Raises:
        RuntimeError: iptables refused; its own words.
    """
    for family in ("iptables", "ip6tables"):
        if not shutil.which(f"{family}-save"):
            continue
        saved = subprocess.run([f"{family}-save"], check=False, capture_output=True, text=True).stdout
        text = deletions(saved)
        if not text:
            continue
        command = [f"{family}-restore", "--noflush", "--wait"]
        done = subprocess.run(command, check=False, input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(
                f"{family}-restore refused to delete Kubernetes' chains: {done.stderr.strip()}"
            )
    for table in list_nft_tables():
        if table in _TABLES or (table not in tables_before and _is_empty(table)):
            subprocess.run(["nft", "delete", "table", *table.split()], check=False, capture_output=True)


def _is_empty(table: str) -> bool:
    out = subprocess.run(
        ["nft", "list", "table", *table.split()], check=False, capture_output=True, text=True
    ).stdout
    ignored = ("table ", "chain ", "type ", "policy ", "}", "#")
    return not [line for line in out.splitlines() if line.strip() and not line.strip().startswith(ignored)]
