"""May etcd be started as planned? Judged from what all hosts report; nothing is asked or changed here.

The role etcd and the commands plan and up (k8sbootstrap/survey/etcd_members.py) judge by these same rules.

They rest on etcd's own: the id of a member is the hash of its peer URL and the cluster's token, and the id of
a cluster that of its first members. So hosts that begin with the same list and token make one cluster, in
whatever order they start. A first member that never started has no client URLs, and may still begin.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sized
from typing import TypedDict

RESET = "make a new cluster: k8sbootstrap reset, then up, or up --restore BACKUP"


class Member(TypedDict):
    """A member as a living one knows it."""

    id: str
    """Hexadecimal."""
    name: str
    urls: list[str]
    """Of peers."""
    started: bool
    """Whether it has been ready once."""


class Living(TypedDict):
    """What a host's own member says."""

    cluster: str
    """Its id, hexadecimal."""
    members: list[Member]
    revision: int
    objects: int
    """How many Kubernetes has there."""


class Report(TypedDict):
    """What a host has of etcd: see ``look`` of etcd.py."""

    cluster: str
    data: bool
    changed: int
    members: dict[str, str]
    formed: bool
    api: list[str]
    joined: bool
    restoring: str
    living: Living | None


class Problem(TypedDict):
    """Something that must be put right before etcd is touched."""

    text: str
    """What is, and what would be."""
    hint: str
    """What to do."""


class Verdict(TypedDict):
    """Whether etcd may be started as planned."""

    problems: list[Problem]
    """None where all is well."""
    begin: dict[str, str]
    """Member to the state that it may start in without data, new or existing."""
    join: list[str]
    """Those of them that are no members yet: they are added one after another."""


class _Known(TypedDict, total=False):
    name: str
    address: str
    id: str
    started: bool


def judge(
    members: Mapping[str, str],
    cluster: str,
    reports: Mapping[str, Report],
    must_answer: list[str],
    file: str = "cluster.yaml",
    *,
    restoring: str = "",
) -> Verdict:
    """See whether the planned members are those of the cluster, and which of them may start without data.

    Args:
        members: The planned members, name → address.
        cluster: Name of the cluster, which is etcd's token.
        reports: Host to what it has of etcd. Members go by their names.
        must_answer: Hosts whose report is needed before a new cluster is begun.
        file: What to call the place that names the planned members.
        restoring: Id of a restore that this is a part of. It decides about members where it has begun.
    """
    if restoring and any(report["restoring"] == restoring for report in reports.values()):
        return {"problems": [], "begin": {}, "join": []}
    case = _Case(members, cluster, reports, must_answer, file)
    begin: dict[str, str] = {}
    problems = case.unfinished() or case.two_clusters() or case.other_members()
    if not problems:
        problems, begin = case.without_data()
    if problems:
        return {"problems": problems, "begin": {}, "join": []}
    return {"problems": [], "begin": begin, "join": case.joining}


class _Case:
    def __init__(
        self,
        members: Mapping[str, str],
        cluster: str,
        reports: Mapping[str, Report],
        must_answer: list[str],
        file: str,
    ) -> None:
        self.members = members
        self.cluster = cluster
        self.reports = reports
        self.must_answer = must_answer
        self.file = file
        self.back = f"undo the change in {file}, or {RESET}."
        self.living: dict[str, Living] = {
            host: report["living"] for host, report in reports.items() if report["living"]
        }
        self.recorded = {host: report["members"] for host, report in reports.items() if report["members"]}
        self.known = self._known()
        self.joining: list[str] = []

    def _known(self) -> list[_Known]:
        """The members that there are (name, address, id, started), from living ones, else from records."""
        if self.living:  # one that is cut off may know older ones
            newest = max(self.living.values(), key=lambda living: living["revision"])
            return [
                {
                    "name": each["name"],
                    "address": _address(each["urls"]),
                    "id": each["id"],
                    "started": each["started"],
                }
                for each in newest["members"]
            ]
        for names in self.recorded.values():
            return [{"name": name, "address": address} for name, address in names.items()]
        return []

    def unfinished(self) -> list[Problem]:
        """A restore that was stopped: members may have data of different clusters."""
        hosts = [host for host, report in self.reports.items() if report["restoring"]]
        if not hosts:
            return []
        return _problem(
            f"a restore of etcd was begun on {_and(hosts)} and has not ended: until then members may have "
            "different data",
            "Run the same k8sbootstrap etcd restore, or recover, again: it continues from there. After "
            "up --restore run up again in the same folder.",
        )

    def two_clusters(self) -> list[Problem]:
        """Hosts whose etcd is not one cluster."""
        clusters: dict[str, list[str]] = {}
        for host, living in self.living.items():
            clusters.setdefault(living["cluster"], []).append(host)
        if len(clusters) > 1:
            each = [
                "{} on {} ({} Kubernetes objects, revision {})".format(
                    cluster,
                    _and(hosts),
                    max(self.living[host]["objects"] for host in hosts),
                    max(self.living[host]["revision"] for host in hosts),
                )
                for cluster, hosts in clusters.items()
            ]
            return _problem(
                f"there are {len(clusters)} etcd clusters: {'; '.join(each)}",
                "Find out which of them has your workloads, usually the one with more objects. "
                "Stop kube-apiserver and etcd on the hosts of the other one. Then name the "
                f"members of the first one in {self.file}.",
            )
        if not self.living and len({_text(names) for names in self.recorded.values()}) > 1:
            each = [f"{host} with {_and(list(names))}" for host, names in self.recorded.items()]
            return _problem(
                f"etcd does not answer, and its members belong to different clusters: {'; '.join(each)}",
                "Start etcd on the hosts that have the cluster's data: systemctl start etcd.",
            )
        return []

    def other_members(self) -> list[Problem]:
        """Members that are planned and not there, or there and not planned."""
        planned = {address: name for name, address in self.members.items()}
        there = {each["address"]: each["name"] or each["address"] for each in self.known}
        used = sorted({address for report in self.reports.values() for address in report["api"]})
        if not there and set(used) - set(planned):
            there = dict(zip(used, used))
        if not there:
            return []
        added = {name: address for address, name in planned.items() if address not in there}
        gone = {name: address for address, name in there.items() if address not in planned}
        if not set(there) & set(planned) and not set(added) & set(gone):
            return self._moved(gone)
        problems: list[Problem] = []
        for name, address in gone.items():
            problems += self._elsewhere(name, address) if name in added else self._gone(name, address)
        new = [name for name in added if name not in gone]
        if new:
            problems += self._added(new, there, gone)
        return problems

    def _added(self, new: list[str], there: Mapping[str, str], gone: Mapping[str, str]) -> list[Problem]:
        """Why members can't be added; where nothing speaks against it, they are to join."""
        has = f"etcd has {_count(there, 'member')} {_and(list(there.values()))}"
        adds = f"{has}, and {self.file} adds {_and(new)}"
        if not self.living:
            return _problem(
                f"{adds}: but no member answers, and without the data of the others they would start a "
                "second, empty cluster",
                "Start etcd on its hosts first: systemctl start etcd. Or " + self.back,
            )
        if gone:
            return _problem(
                f"{adds} and no longer has {_and(list(gone))}: members can't be added and taken out at once",
                f"Put {_and(list(gone))} back into {self.file}. To take it out first: k8sbootstrap remove "
                f"{' '.join(gone)}.",
            )
        late = [
            each["name"] or each["address"]
            for each in self.known
            if not each.get("started") and each.get("id") == self._first_id(each["address"])
        ]
        down = [name for name in there.values() if name in self.members and name not in self.living]
        ill = list(dict.fromkeys([*late, *down]))
        if ill:
            return _problem(
                f"{adds}: members are added only while all others are well, and etcd on {_and(ill)} "
                "does not answer",
                f"Find out why it does not run: journalctl -u etcd. Or {self.back}",
            )
        silent = [name for name in new if name not in self.reports]
        if silent:
            return _problem(
                f"{adds}, but {_and(silent)} did not report whether there is etcd data: not reached, or "
                "left out",
                "Make these hosts reachable, and do not leave them out.",
            )
        full = [name for name in new if self.reports[name]["data"]]
        if full:
            return _problem(
                f"{adds}, but {_and(full)} has data of another etcd, or of a member that was taken out",
                "Save what you need of it, and move /var/lib/etcd away on that host.",
            )
        self.joining = new
        return []

    def _moved(self, gone: Mapping[str, str]) -> list[Problem]:
        each = [f"{name} ({address})" if name != address else name for name, address in gone.items()]
        return _problem(
            f"etcd's data is on {_and(each)}, but {self.file} puts etcd on "
            f"{_and(list(self.members))}: these would start a new, empty cluster, and API "
            "servers would use it",
            f"Members can't be moved yet: {self.back}",
        )

    def _elsewhere(self, name: str, address: str) -> list[Problem]:
        return _problem(
            f"etcd's member {name} has the address {address}, but {self.file} says "
            f"{self.members[name]}: the other members and API servers would not find it",
            f"Set the address of {name} back to {address}. To change it: k8sbootstrap remove {name}, then "
            "write the new address and run k8sbootstrap up.",
        )

    def _gone(self, name: str, address: str) -> list[Problem]:
        if any(name in names for names in self.recorded.values()) or not self.recorded:
            return _problem(
                f"{name} ({address}) is a member of etcd, but no longer in {self.file}: it would "
                "stay a member and count for the quorum",
                f"Take it out: k8sbootstrap remove {name}, or up --prune. Or add it to {self.file}.",
            )
        identity = self._known_at(address).get("id", "")
        return _problem(
            f"etcd has the member {name} ({address}), which is not in {self.file}: it was added by hand",
            f"Run on another member: etcdctl member remove {identity}. Or add it to {self.file}.",
        )

    def without_data(self) -> tuple[list[Problem], dict[str, str]]:
        """Problems with members that have no data, and which of them may start all the same."""
        begin: dict[str, str] = {}
        problems: list[Problem] = []
        lost: list[str] = []
        bare: list[str] = []
        for name, address in self.members.items():
            report = self.reports.get(name)
            if report is None or report["data"]:
                continue
            entry = self._known_at(address)
            if self.living and not entry.get("started"):
                begin[name] = "new" if entry.get("id") == self._first_id(address) else "existing"
            elif report["formed"] or (self.living and report["members"]):
                lost.append(name)
            elif self.living:
                problems += self._replaced(name, entry)
            else:
                bare.append(name)
        if lost:
            problems += self._lost(lost)
        elif bare and not problems:
            problems = self._not_begun(bare)
            begin.update(dict.fromkeys(bare, "new"))
        return problems, begin

    def _known_at(self, address: str) -> _Known:
        nobody: _Known = {}
        return next((each for each in self.known if each["address"] == address), nobody)

    def _not_begun(self, bare: list[str]) -> list[Problem]:
        """Why members without data or record of it may not begin a cluster, where no member answers."""
        reports, them = self.reports, _and(bare)
        formed = [host for host, report in reports.items() if report["formed"]]
        if formed:
            return _problem(
                f"{them}: there is no etcd data, and etcd on {_and(formed)} does not answer. A "
                "member may have run there before, and an empty one must not replace it",
                f"Start etcd on {_and(formed)} first, or find out why it does not run: journalctl -u etcd.",
            )
        used = [host for host, report in reports.items() if report["api"] or report["joined"]]
        if used:
            return _problem(
                f"{them}: there is no etcd data, but nodes or API servers of the cluster are on "
                f"{_and(used)}. With a new, empty etcd the cluster would lose its workloads",
                f"Put the data back, or restore a snapshot: k8sbootstrap etcd restore --newest. Or {RESET}.",
            )
        foreign = [host for host, report in reports.items() if report["data"] and not report["members"]]
        if foreign:
            return _problem(
                f"{_and(foreign)}: there is etcd data that k8sbootstrap did not make, and {them} "
                "would start a cluster without it",
                "Remove that cluster with the tool that made it, or move /var/lib/etcd away.",
            )
        alien = [host for host, report in reports.items() if report["cluster"] not in {"", self.cluster}]
        if alien:
            return _problem(
                f"the cluster {reports[alien[0]]['cluster']} is on {_and(alien)}: a new etcd is not started",
                "Reset it with the cluster.yaml of its own cluster first.",
            )
        silent = [host for host in self.must_answer if host not in reports]
        if silent:
            return _problem(
                f"{_and(silent)} did not report whether there is etcd data: not reached, or left "
                "out. A new etcd is started only if no host has etcd data",
                "Make these hosts reachable, and do not leave them out.",
            )
        return []

    def _lost(self, lost: list[str]) -> list[Problem]:
        """Members whose data was there and is gone."""
        rest = [name for name in self.members if name in self.reports and self.reports[name]["data"]]
        silent = [name for name in self.members if name not in self.reports]
        quorum = len(rest) > len(self.members) // 2
        if quorum:
            state = "the other members have a quorum, and the cluster works without it"
        elif rest:
            state = (
                f"with {_and(rest)} alone there is no quorum, so the API does not answer; running "
                "pods continue"
            )
        elif silent:
            state = f"no member that reports has it; {_and(silent)} did not report"
        else:
            state = "no member has it, so the API does not answer; running pods continue"
        hint = "Mount the disk if it is not mounted, or restore /var/lib/etcd. Then start etcd."
        if any(self.reports[name]["living"] for name in lost):
            hint = (
                "etcd still runs there with deleted files: save them with etcdctl snapshot save "
                "before it stops."
            )
        if quorum:
            hint += f" If the data is lost: k8sbootstrap remove {' '.join(lost)}, then up."
        elif silent:
            hint += f" Before anything else make {_and(silent)} report: the data may be there."
        else:
            command = f"recover --survivor {rest[0]}" if rest else "restore --newest"
            hint += f" If the data is lost: k8sbootstrap etcd {command}. Or {RESET}."
        places = [name + _since(self.reports[name]["changed"]) for name in lost]
        return _problem(
            f"etcd's data is gone from {_and(places)}: /var/lib/etcd/member/wal is empty, but "
            f"a member ran there. It does not start without data; {state}",
            hint,
        )

    def _replaced(self, name: str, entry: _Known) -> list[Problem]:
        return _problem(
            f"{name} has no etcd data, but etcd has a member {entry['name']} "
            f"({entry['address']}) that ran before: an empty one must not replace it",
            f"If the host is new: k8sbootstrap remove {name} --dead, then up.",
        )

    def _first_id(self, address: str) -> str:
        """The id of a member that the cluster was begun with."""
        digest = hashlib.sha1(
            f"https://{address}:2380{self.cluster}".encode(), usedforsecurity=False
        ).digest()
        return format(int.from_bytes(digest[:8], "big"), "x")


def _problem(text: str, hint: str) -> list[Problem]:
    return [{"text": text, "hint": hint}]


def _address(urls: list[str]) -> str:
    """Where the peers reach a member, as planned members are written."""
    return urls[0].split("://")[-1].rsplit(":", 1)[0] if urls else ""


def _and(names: list[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1))


def _count(things: Sized, noun: str) -> str:
    return f"the {noun}" if len(things) == 1 else f"the {noun}s"


def _text(names: Mapping[str, str]) -> str:
    return ",".join(f"{name}={address}" for name, address in sorted(names.items()))


def _since(changed: int) -> str:
    if not changed:
        return ""
    return time.strftime(" (/var/lib/etcd last changed %Y-%m-%d %H:%M UTC)", time.gmtime(changed))
