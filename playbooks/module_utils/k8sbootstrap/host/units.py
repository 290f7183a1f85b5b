"""systemd units of a component: enabled, started, restarted when inputs changed, waited for until healthy."""

from __future__ import annotations

import os
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

from ansible.module_utils.k8sbootstrap.changes import CONFIGURATION, DRIFT, NEW, Cause, Change, change
from ansible.module_utils.k8sbootstrap.host.losses import losses
from ansible.module_utils.k8sbootstrap.host.patience import while_busy, within
from ansible.module_utils.k8sbootstrap.host.record import Record, UnitBefore
from ansible.module_utils.k8sbootstrap.host.request import Health, Unit

_SECONDS_FOR_PATHS = 300
"""For what a program makes with the help of other hosts, such as a certificate: they may be slow."""


class UnitError(Exception):
    """A unit did not start or did not become healthy; the text holds the cause and the last journal lines."""


class Units:
    """Applies the unit part of a component's request.

    Args:
        name: Name of the component.
        wanted: The units; ``rolling`` ones restart in ``restart_one_by_one`` only.
        record: The host's record.
        check_mode: Change nothing.
        inputs: unit to the files that changed and that it must restart for.
    """

    def __init__(
        self,
        name: str,
        wanted: list[Unit],
        record: Record,
        check_mode: bool,
        inputs: dict[str, list[str]],
    ) -> None:
        self.wanted = wanted
        self.record = record
        self.part = record.component(name)
        self.check_mode = check_mode
        self.inputs = inputs
        self.known = list(self.part["units"])
        self.started: list[str] = []
        self.restarted: list[str] = []
        self.reloaded: list[str] = []
        self.enabled: list[str] = []
        self.lost: list[Change] = []

    @property
    def pending(self) -> list[str]:
        """Units of this component that must restart, but only one host at a time."""
        waiting = self.record.data["pending_restarts"]
        return [unit["name"] for unit in self.wanted if unit["rolling"] and unit["name"] in waiting]

    @property
    def changes(self) -> list[Change]:
        """What was (or in check mode would be) done to units."""
        return [
            *(change("unit", "enable", name, self._cause(name)) for name in self.enabled),
            *self.lost,
            *(change("unit", "start", name, self._cause(name)) for name in self.started),
            *(change("unit", "restart", name, why=self.inputs.get(name, ())) for name in self.restarted),
            *(change("unit", "reload", name, why=self.inputs.get(name, ())) for name in self.reloaded),
        ]

    def _cause(self, name: str) -> Cause:
        return DRIFT if name in self.known else CONFIGURATION if self.known else NEW

    def apply(self, when_active: Callable[[], None] = lambda: None) -> None:
        """Enable and start units, restart those that may restart at once, and wait for the health of all.

        Args:
            when_active: Called when a unit is active, before its health is waited for.

        Raises:
            UnitError: a unit failed.
        """
        states = self._states()
        if not self.check_mode and any(
            state.get("NeedDaemonReload") == "yes" or state.get("LoadState") != "loaded"
            for state in states.values()
        ):
            _systemctl("daemon-reload")
            states = self._states()
        to_enable = [name for name, state in states.items() if state.get("UnitFileState") != "enabled"]
        if to_enable:
            self.enabled = to_enable
            if not self.check_mode:
                _systemctl("enable", *to_enable)
        for unit in self.wanted:
            name = unit["name"]
            if name not in self.part["units"]:
                self._take_over(name, states.get(name, {}))
            state = states.get(name, {}).get("ActiveState")
            if state == "active":
                self._bring_up_to_date(unit)
            else:
                self._start(unit, is_starting=state == "activating")
            when_active()
            if unit["name"] not in self.pending:
                self._wait(unit)
        self.record.save()

    def note(self) -> None:
        """Only write down that the units are ours: somebody else starts them."""
        states = self._states()
        for unit in self.wanted:
            if unit["name"] not in self.part["units"]:
                self._take_over(unit["name"], states.get(unit["name"], {}))
        self.record.save()

    def _bring_up_to_date(self, unit: Unit) -> None:
        """Restart or reload a unit that runs, if it has to."""
        name = unit["name"]
        if name in self.record.data["pending_restarts"]:
            if not unit["rolling"]:
                self._restart(unit)
        elif name in self.record.data["pending_reloads"]:
            self._reload(name)
        elif lost := losses(unit["missing"]):
            self.lost += lost
            self._reload(name)

    def wait_for_paths(self, paths: list[str]) -> None:
        """Wait until the component's programs have made what it can't do without.

        Raises:
            UnitError: a path is not there in time.
        """
        if self.check_mode:
            return
        goes_on = within(_SECONDS_FOR_PATHS)
        for path in paths:
            while not os.path.exists(path):
                if not goes_on():
                    journals = "\n".join(_journal(unit["name"]) for unit in self.wanted)
                    raise UnitError(f"{path} does not exist after {_SECONDS_FOR_PATHS} s\n{journals}")
                time.sleep(0.2)

    def restart_one_by_one(self, peers: list[Health]) -> None:
        """Restart the rolling units that wait for it, after seeing that every peer is healthy.

        Args:
            peers: health endpoints of the other members, as ``health`` of a unit; with one of them down,
                restarting this one could cost the quorum or the API.

        Raises:
            UnitError: a peer is not healthy (nothing was restarted), or the unit failed.
        """
        for unit in self.wanted:
            if unit["name"] not in self.pending:
                continue
            if not self.check_mode:
                for peer in peers:
                    problem = until_healthy(peer, within(15))
                    if problem:
                        raise UnitError(
                            "{} was not restarted: its peer {} is not healthy ({}), and a restart could stop "
                            "the cluster. Fix that host, then run the same command again.".format(
                                unit["name"], peer["url"], problem
                            )
                        )
            self._restart(unit)
            self._wait(unit)

    def _take_over(self, name: str, state: Mapping[str, str]) -> None:
        """Write down that a unit is ours, and what one that was there before was like."""
        if state.get("LoadState") == "loaded" and f"/etc/systemd/system/{name}" not in self.part["files"]:
            before: UnitBefore = {
                "enabled": state.get("UnitFileState") == "enabled",
                "active": state.get("ActiveState") == "active",
            }
            self.record.data["units_before"].setdefault(name, before)
        self.part["units"].append(name)

    def _states(self) -> dict[str, dict[str, str]]:
        return unit_states([unit["name"] for unit in self.wanted])

    def _start(self, unit: Unit, *, is_starting: bool) -> None:
        """Start a unit. One that is starting may run out of time that began before it could start at all."""
        name = unit["name"]
        self.started.append(name)
        if self.check_mode:
            return
        try:
            _run_unit("start", name)
        except UnitError:
            if not is_starting:
                raise
            _run_unit("start", name)
        self.record.restarted(name)

    def _restart(self, unit: Unit) -> None:
        (self.reloaded if unit["reload"] else self.restarted).append(unit["name"])
        if self.check_mode:
            return
        _run_unit("reload-or-restart" if unit["reload"] else "restart", unit["name"])

    def _reload(self, name: str) -> None:
        self.reloaded.append(name)
        if self.check_mode:
            return
        _run_unit("reload", name)
        self.record.restarted(name)

    def _wait(self, unit: Unit) -> None:
        if self.check_mode:
            return
        began = time.monotonic()
        goes_on = while_busy(unit["name"], unit["timeout"])
        problem = until_healthy(unit["health"], goes_on) if unit["health"] else None
        if problem:
            raise UnitError(
                "{} is not healthy after {:.0f} s: {}\n{}".format(
                    unit["name"], time.monotonic() - began, problem, _journal(unit["name"])
                )
            )
        if unit["name"] in (*self.restarted, *self.reloaded):
            self.record.restarted(unit["name"])


def unit_states(names: list[str]) -> dict[str, dict[str, str]]:
    """What systemd knows of units: name to LoadState, ActiveState, UnitFileState and NeedDaemonReload."""
    if not names:
        return {}
    properties = "Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload"
    command = ["systemctl", "show", "-p", properties, *names]
    out = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    blocks = [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in out.split("\n\n")
    ]
    return dict(zip(names, [block for block in blocks if block]))


def give_back(name: str, before: UnitBefore) -> str:
    """Have a unit that was there before us be as it was, if it is still there.

    Args:
        name: The unit.
        before: Whether it was ``enabled`` and ``active``.

    Returns:
        Why that did not work; empty when it did.
    """
    verbs = [verb for verb, was in (("enable", before["enabled"]), ("start", before["active"])) if was]
    if unit_states([name]).get(name, {}).get("LoadState") != "loaded":
        return ""
    done = [
        subprocess.run(["systemctl", verb, name], check=False, capture_output=True, text=True)
        for verb in verbs
    ]
    return "".join(each.stderr for each in done if each.returncode != 0).strip()


def stop_for_good(units: list[str]) -> bool:
    """Stop services that are there, all at once, and see that a boot does not start them.

    Raises:
        UnitError: One does not stop.
    """
    show = ["systemctl", "show", "--property=Id,LoadState", *units]
    shown = subprocess.run(show, check=False, capture_output=True, text=True).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.split("\n\n")]
    there = [block["Id"] for block in blocks if block.get("LoadState") == "loaded"]
    if not there:
        return False
    done = subprocess.run(
        ["systemctl", "disable", "--now", *there], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise UnitError(f"systemctl disable --now {' '.join(there)} failed: {done.stderr.strip()[-300:]}")
    return True


def unit_drift(names: list[str], states: Mapping[str, Mapping[str, str]]) -> list[Change]:
    """What somebody did to units since they were set up."""
    changes = []
    for name in names:
        state = states.get(name, {})
        if state.get("UnitFileState") != "enabled":
            changes.append(change("unit", "enable", name, DRIFT))
        if state.get("ActiveState") != "active":
            changes.append(change("unit", "start", name, DRIFT))
    return changes


def _systemctl(*arguments: str) -> None:
    subprocess.run(["systemctl", *arguments], check=True, capture_output=True, text=True)


def _run_unit(verb: str, name: str) -> None:
    """Start, restart or reload a unit, also one that ended so often that systemd would not start it again.

    systemd counts the starts of the last seconds, its own after failures too. ``reset-failed`` sets that to 0
    (systemctl(1)).

    Raises:
        UnitError: It did not work.
    """
    subprocess.run(["systemctl", "reset-failed", name], check=False, capture_output=True)
    done = subprocess.run(["systemctl", verb, name], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise UnitError(f"systemctl {verb} {name} failed: {done.stderr.strip()}\n{_journal(name)}")


def _journal(name: str) -> str:
    command = ["journalctl", "--no-pager", "-o", "cat", "-n", "15", "-u", name]
    out = subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return f"Last lines of its journal:\n{out}" if out else "Its journal is empty."


def until_healthy(health: Health, goes_on: Callable[[], bool]) -> str | None:
    """Ask the health endpoint until it answers 200; None then, else the last answer in words."""
    context = None
    pause = 0.1
    while True:
        try:
            if context is None and health["url"].startswith("https:"):
                context = tls(health)
            with urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            ).open(health["url"], timeout=5) as answer:
                if answer.status == 200:
                    return None
                problem = "{} answered {}".format(health["url"], answer.status)
        except urllib.error.HTTPError as error:
            body = error.read(300).decode("utf-8", "replace").strip()
            problem = "{} answered {} {}".format(health["url"], error.code, body)
        except (OSError, ValueError) as error:
            problem = "{}: {}".format(health["url"], getattr(error, "reason", None) or error)
        if not goes_on():
            return problem
        time.sleep(pause)
        pause = min(pause * 1.5, 1.0)


def tls(health: Health) -> ssl.SSLContext:
    """How a health endpoint (``ca``, ``cert``, ``key``: paths) is to be spoken to.

    Raises:
        ValueError: The CA's file is missing.
        OSError: A file can't be used.
    """
    if not health.get("ca"):
        # the component made its own certificate and answers on the loopback address only
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if not os.path.exists(health["ca"]):
        raise ValueError("{} is missing".format(health["ca"]))
    context = ssl.create_default_context(cafile=health["ca"])
    if health.get("cert"):
        context.load_cert_chain(health["cert"], health["key"])
    return context
