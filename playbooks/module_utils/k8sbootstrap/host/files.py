"""Users, directories, files and binaries of a component: changed only where what is there differs."""

from __future__ import annotations

import base64
import difflib
import grp
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPMessage
from typing import IO, TypedDict, cast

from ansible.module_utils.k8sbootstrap.changes import (
    CONFIGURATION,
    DRIFT,
    NEW,
    RENEWAL,
    Cause,
    Change,
    change,
)
from ansible.module_utils.k8sbootstrap.host.arrivals import ARRIVING, arrived, place
from ansible.module_utils.k8sbootstrap.host.certificates import (
    belong_together,
    end_of,
    ends_soon,
    has_expired,
)
from ansible.module_utils.k8sbootstrap.host.endpoints import runs_on
from ansible.module_utils.k8sbootstrap.host.foreign import content_of
from ansible.module_utils.k8sbootstrap.host.merge import only_live
from ansible.module_utils.k8sbootstrap.host.record import (
    ORIGINALS,
    Component,
    FileEntry,
    FileNotes,
    Record,
    write_atomically,
)
from ansible.module_utils.k8sbootstrap.host.request import Binary, Directory, File, Request, User
from ansible.module_utils.k8sbootstrap.host.selinux import relabel
from ansible.module_utils.k8sbootstrap.host.trees import as_found, made_by_us

_UNIT_FOLDER = "/etc/systemd/system/"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
"""What files begin with that nobody can read in a diff."""
_DOWNLOADING = ".k8sbootstrap-download"
"""Ending of a binary that is being fetched, beside where it belongs."""
BEFORE = ".k8sbootstrap-before"
"""Ending of what a file held, until its program has taken the new content."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but none from TLS to a server without it."""

    def redirect_request(  # noqa: PLR0917 - urllib calls it so
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Follow one, or not.

        Raises:
            urllib.error.URLError: It leads to a server without TLS.
        """
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError("redirects from https:// to another scheme")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Diff(TypedDict):
    """A change of a file as Ansible shows it."""

    prepared: str
    name: str


class FileSet:
    """Applies the file part of a component's request.

    ``changes`` collects the changes, ``diffs`` Ansible diffs (secrets only as "changed"), and ``inputs`` the
    files that changed for each unit that must restart because of them.
    """

    def __init__(self, request: Request, record: Record, check_mode: bool) -> None:
        self.request = request
        self.record = record
        self.part = record.component(request["name"])
        self.check_mode = check_mode
        self.changes: list[Change] = []
        self.diffs: list[Diff] = []
        self.inputs: dict[str, list[str]] = {}
        self._new: list[str] = []
        self._notes: dict[str, FileNotes] = {}
        self._renewed: set[str] = set()

    def missing_binaries(self, uploads: dict[str, str]) -> list[str]:
        """Destinations of binaries that are neither here nor uploaded nor to be had from their URLs.

        Binaries that a mirror serves are fetched here, those that were sent ahead are taken from where they
        arrive. Nothing else on the host has been changed yet.
        """
        missing = []
        for binary in self.request["binaries"]:
            dest = binary["dest"]
            if dest in uploads or self._has(dest, binary["sha256"]):
                continue
            if self.check_mode:
                continue
            fetched = arrived(self.request["incoming"], binary["sha256"]) or self._download(binary)
            if fetched:
                uploads[dest] = fetched
            else:
                missing.append(dest)
        return missing

    def apply(self, uploads: Mapping[str, str]) -> None:
        """Bring users, directories, files and binaries to the wanted state; remove what is not wanted."""
        contents = {wanted["dest"]: self._content(wanted) for wanted in self.request["files"]}
        for user in self.request["users"]:
            self._user(user)
        for directory in self.request["directories"]:
            self._directory(directory)
        self.record.save()
        kept = self._kept()
        if self._renewed and not self.check_mode:
            self.part["digest"] = ""  # a run that is killed between a certificate and its key must be seen
            self.record.save()
        for wanted in self.request["files"]:
            content = kept.get(wanted["dest"], contents[wanted["dest"]])
            if content is None:
                continue
            self._file(wanted, hashlib.sha256(content).hexdigest(), content)
        for binary in self.request["binaries"]:
            self._file(_as_file(binary), binary["sha256"], uploads.get(binary["dest"], ""))
        relabel(self._new)
        self._prune()
        self.record.save()

    def write(self, wanted: File) -> None:
        """Bring one file to the wanted state; others stay."""
        content = base64.b64decode(wanted["content"])
        self._file(wanted, hashlib.sha256(content).hexdigest(), content)
        relabel(self._new)
        self.record.save()

    def _content(self, wanted: File) -> bytes | None:
        content, notes = content_of(wanted, self.part["files"].get(wanted["dest"]), ORIGINALS)
        leaf = wanted.get("leaf")
        self._notes[wanted["dest"]] = {**notes, "leaf": leaf} if leaf else notes
        return content

    def _kept(self) -> dict[str, bytes]:
        """Certificates and keys that stay, though the controller has others that say the same.

        Another controller may have made them, or a renewal of which this one does not know. A certificate and
        its key stay together or not at all.
        """
        now = time.time()
        pairs: dict[str, list[File]] = {}
        for wanted in self.request["files"]:
            if wanted.get("leaf"):
                pairs.setdefault(certificate_path(wanted["dest"]), []).append(wanted)
        kept = {}
        for certificate, files in pairs.items():
            keys = [wanted["dest"] for wanted in files if wanted["dest"] != certificate]
            if not all(self._says_the_same(wanted) for wanted in files):
                continue
            if not all(belong_together(certificate, key) for key in keys):
                continue
            leaf = files[0]["leaf"]
            soon = leaf is not None and ends_soon(certificate, leaf["authority_ends"], now)
            if soon or any(wanted["renew"] for wanted in files):
                self._renewed.update(wanted["dest"] for wanted in files)
                continue
            for wanted in files:
                with open(wanted["dest"], "rb") as handle:
                    kept[wanted["dest"]] = handle.read()
        return kept

    def _says_the_same(self, wanted: File) -> bool:
        """Whether a certificate or key is there as it was written, and says what the wanted one says."""
        known, leaf = self.part["files"].get(wanted["dest"]), wanted["leaf"]
        known_leaf = known.get("leaf") if known else None
        return (
            known is not None
            and leaf is not None
            and known_leaf is not None
            and known_leaf["says"] == leaf["says"]
            and self._has(wanted["dest"], known["sha256"])
        )

    # users and directories

    def _user(self, wanted: User) -> None:
        try:
            pwd.getpwnam(wanted["name"])
            return
        except KeyError:
            self.changes.append(
                change("user", "add", wanted["name"], *self._because(wanted["name"] in self.part["users"]))
            )
        if self.check_mode:
            return
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run(
            [*command, "--home-dir", wanted["home"], wanted["name"]], check=True, capture_output=True
        )
        self.part["users"].append(wanted["name"])
        self.record.save()

    def _directory(self, wanted: Directory) -> None:
        path = wanted["path"]
        mode = int(wanted["mode"], 8)
        made: list[str] = []
        parent = path
        while not os.path.isdir(parent):
            made.insert(0, parent)
            parent = os.path.dirname(parent)
        if made:
            self.changes.append(
                change("directory", "add", path, *self._because(path in self.part["directories"]))
            )
            if self.check_mode:
                return
            for new in made:
                os.mkdir(new)
                os.chmod(new, 0o755)  # noqa: S103 - whatever the umask: services look for their own folder in it
                self._new.append(new)
                self.part["directories"].append(new)
            self.part["parents"] += made[:-1]
        elif not self.check_mode and not made_by_us(path, self.record.data):
            for folder, entry in as_found(path, wanted.get("data", False)).items():
                self.record.data["found"].setdefault(folder, entry)
            self.record.save()
        uid, gid = _ids(wanted)
        now = os.stat(path)
        if (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) != (mode, uid, gid):
            if not made:
                self.changes.append(change("directory", "mode", path))
            if not self.check_mode:
                os.chown(path, uid, gid)
                os.chmod(path, mode)

    # files

    def _file(self, wanted: File, digest: str, source: bytes | str) -> None:
        """Bring one file to the wanted state.

        Args:
            wanted: The file.
            digest: sha256 of its content.
            source: Its content, or the path where it arrived.
        """
        dest = wanted["dest"]
        mode = int(wanted["mode"], 8)
        known = self.part["files"].get(dest)
        same_content = self._has(dest, digest)
        owned = _ids(wanted) if not self.check_mode or _exists(wanted) else (-1, -1)
        now = os.stat(dest) if os.path.exists(dest) else None
        if same_content and now and (stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid) == (mode, *owned):
            if known is None:
                self.part["files"][dest] = self._entry(dest, digest, self._keep_original(dest))
            elif known["sha256"] != digest or known.get("leaf") != self._notes.get(dest, {}).get("leaf"):
                # what somebody added is part of it now
                self.part["files"][dest] = self._entry(dest, digest, known["original"])
            return
        if same_content:
            set_before = known and (known.get("mode"), known.get("uid"), known.get("gid")) == (
                f"{mode:04o}",
                *owned,
            )
            self.changes.append(change("file", "mode", dest, DRIFT if set_before else CONFIGURATION))
            if not self.check_mode:
                original = known["original"] if known else self._keep_original(dest)
                os.chown(dest, *owned)
                os.chmod(dest, mode)
                self.part["files"][dest] = self._entry(dest, digest, original)
            return
        causes: tuple[Cause, ...] = (RENEWAL,)
        if dest not in self._renewed:
            causes = file_causes(known, digest, self._digest(dest) if now and known else None)
        self.changes.append(change("file", "change" if now else "add", dest, *causes))
        self._diff(wanted, now, source)
        units = [
            unit
            for unit in wanted["restarts"]
            if _is_loaded_and_not_inactive(unit) and not self._runs_on(unit, wanted, source)
        ]
        for unit in units:
            self.inputs.setdefault(unit, []).append(dest)
        self.record.pend(units, reload=self._is_live(wanted, now, source))
        if self.check_mode:
            return
        original = known["original"] if known else self._keep_original(dest)
        # recorded before it is written: a run killed in between must not leave a file that nobody knows
        begun = {"sha256": digest, "stat": None, "original": original, **self._notes.get(dest, {})}
        self.part["files"][dest] = cast("FileEntry", begun)
        self.record.save()
        if isinstance(source, bytes):
            write_atomically(dest, source, mode, *owned)
        else:
            place(source, dest, digest, mode, owned)
        self._new.append(dest)
        self.part["files"][dest] = self._entry(dest, digest, original)

    @staticmethod
    def _is_live(wanted: File, now: os.stat_result | None, source: bytes | str) -> bool:
        """Whether its program need only read a file that was there again."""
        if now is None or isinstance(source, str):
            return False
        return only_live(wanted["dest"], wanted.get("live"), source)

    @staticmethod
    def _runs_on(unit: str, wanted: File, source: bytes | str) -> bool:
        """Whether a unit may go on with the servers that it was started with."""
        flag = wanted.get("endpoints")
        return bool(flag) and isinstance(source, bytes) and runs_on(unit, flag, wanted["dest"], source)

    def _has(self, dest: str, digest: str) -> bool:
        return self._digest(dest) == digest

    def _digest(self, dest: str) -> str:
        return digest_of(dest, self.part["files"].get(dest))

    def _because(self, ours: bool) -> tuple[Cause, ...]:
        """The cause of something missing: drift if it was there once by our doing."""
        return (DRIFT,) if ours else (CONFIGURATION,) if self.part["files"] else (NEW,)

    def _entry(self, dest: str, digest: str, original: str | None) -> FileEntry:
        now = os.stat(dest)
        return {
            "sha256": digest,
            "mode": f"{stat.S_IMODE(now.st_mode):04o}",
            "uid": now.st_uid,
            "gid": now.st_gid,
            "stat": _stat_key(now),
            "original": original,
            **self._notes.get(dest, {}),
        }

    def _keep_original(self, dest: str) -> str | None:
        """Keep a copy of somebody else's file, so that reset can put it back; its name, or None."""
        if self.check_mode or not os.path.isfile(dest):
            return None
        os.makedirs(ORIGINALS, mode=0o700, exist_ok=True)
        name = hashlib.sha256(dest.encode()).hexdigest()[:16]
        if not os.path.exists(os.path.join(ORIGINALS, name)):
            shutil.copy2(dest, os.path.join(ORIGINALS, name))
            owner = os.stat(dest)
            os.chown(os.path.join(ORIGINALS, name), owner.st_uid, owner.st_gid)
        return name

    def _diff(self, wanted: File, now: os.stat_result | None, source: bytes | str) -> None:
        dest = wanted["dest"]
        if wanted.get("secret") or isinstance(source, str) or source.startswith(_CERTIFICATE):
            text = "{}: {} (contents not shown)\n".format(dest, "changed" if now else "added")
            self.diffs.append({"prepared": text, "name": dest})
            return
        before: list[str] = []
        if now:
            with open(dest, encoding="utf-8", errors="replace") as handle:
                before = handle.read().splitlines(keepends=True)
        after = source.decode("utf-8", "replace").splitlines(keepends=True)
        text = "".join(difflib.unified_diff(before, after, dest if now else "/dev/null", dest))
        self.diffs.append({"prepared": text, "name": dest})

    def _download(self, binary: Binary) -> str | None:
        """Fetch a binary from the mirror the controller named; None when this host can't."""
        url = binary.get("url")
        if not url:
            return None
        folder = os.path.dirname(ORIGINALS)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        target = os.path.join(folder, binary["sha256"] + _DOWNLOADING)
        try:
            opener = urllib.request.build_opener(_Redirects)
            with opener.open(url, timeout=10) as answer, open(target, "wb") as out:
                shutil.copyfileobj(answer, out, 1 << 20)
        except (OSError, urllib.error.URLError):
            if os.path.exists(target):
                os.unlink(target)
            return None
        if _sha256(target) != binary["sha256"]:
            os.unlink(target)
            return None
        return target

    # what is no longer wanted

    def _prune(self) -> None:
        wanted = {item["dest"] for item in (*self.request["files"], *self.request["binaries"])}
        for dest in sorted(set(self.part["files"]) - wanted):
            self.changes.append(change("file", "remove", dest, CONFIGURATION))
            if self.check_mode:
                continue
            if dest.startswith(_UNIT_FOLDER) and dest.count("/") == _UNIT_FOLDER.count("/"):
                subprocess.run(
                    ["systemctl", "disable", "--now", os.path.basename(dest)],
                    check=False,
                    capture_output=True,
                )
            restore(dest, self.part["files"].pop(dest)["original"])
            self.record.save()


def digest_of(path: str, known: FileEntry | None) -> str:
    """sha256 of a file, empty when it is not there. It is hashed only when its inode, size or ctime changed.

    Args:
        path: The file.
        known: Its entry in the record, or None.
    """
    try:
        now = os.stat(path)
    except OSError:
        return ""
    if known and known.get("stat") == _stat_key(now):
        return known["sha256"]
    return _sha256(path)


def certificate_path(path: str) -> str:
    """The path of the certificate that belongs to a key; any other path as it is."""
    return path[: -len(".key")] + ".crt" if path.endswith(".key") else path


def file_causes(known: FileEntry | None, wanted: str, found: str | None) -> tuple[Cause, ...]:
    """Why a file's content is not as wanted.

    Args:
        known: Its entry in the record; None when it was never ours.
        wanted: sha256 that it should have.
        found: sha256 that it has; empty or None when it is missing.
    """
    if not known:
        return (NEW,)
    causes: list[Cause] = [CONFIGURATION] if known["sha256"] != wanted else []
    if found != known["sha256"]:
        causes.append(DRIFT)
    return tuple(causes)


def file_drift(part: Component) -> list[Change]:
    """What somebody changed of a component's files, directories and users since they were applied."""
    users = {user.pw_name for user in pwd.getpwall()}
    changes = [change("user", "add", name, DRIFT) for name in part["users"] if name not in users]
    changes += [
        change("directory", "add", path, DRIFT) for path in part["directories"] if not os.path.isdir(path)
    ]
    for path, known in part["files"].items():
        found = digest_of(path, known)
        if found != known["sha256"]:
            changes.append(change("file", "change" if found else "add", path, DRIFT))
            continue
        now = os.stat(path)
        if (f"{stat.S_IMODE(now.st_mode):04o}", now.st_uid, now.st_gid) != (
            known.get("mode"),
            known.get("uid"),
            known.get("gid"),
        ):
            changes.append(change("file", "mode", path, DRIFT))
        leaf = known.get("leaf")
        if leaf and certificate_path(path) == path and ends_soon(path, leaf["authority_ends"], time.time()):
            changes.append(change("file", "change", path, RENEWAL))
    changes += [change("file", "add", path, DRIFT) for path in part["needs"] if not _is_good(path)]
    return changes


def certificate_ends(part: Component) -> dict[str, float]:
    """When certificates of a component end: the controller's names for them to seconds since 1970."""
    ends = {}
    for path, known in part["files"].items():
        leaf = known.get("leaf")
        end = end_of(path) if leaf and certificate_path(path) == path else None
        if leaf and end is not None:
            ends[leaf["name"]] = end
    return ends


def _is_good(path: str) -> bool:
    """Whether a file that a program made is there and, if it is a certificate, has not expired."""
    return os.path.exists(path) and not (path.endswith(".pem") and has_expired(path, time.time()))


def restore(dest: str, original: str | None) -> None:
    """Remove a file of ours; put back the one that was there before us, if there was one."""
    for ending in (ARRIVING, _DOWNLOADING, BEFORE):
        if os.path.lexists(dest + ending):
            os.unlink(dest + ending)
    if original:
        kept = os.path.join(ORIGINALS, original)
        if not os.path.exists(kept):
            return  # a run that was killed right after has put it back already
        owner = os.stat(kept)
        shutil.copy2(kept, dest)
        os.chown(dest, owner.st_uid, owner.st_gid)
        os.unlink(kept)
    elif os.path.lexists(dest):
        os.unlink(dest)


def _ids(wanted: File | Directory) -> tuple[int, int]:
    return pwd.getpwnam(wanted.get("owner") or "root").pw_uid, grp.getgrnam(
        wanted.get("group") or "root"
    ).gr_gid


def _as_file(binary: Binary) -> File:
    """A binary as a file: root's, and shown in no diff. Its content is elsewhere."""
    return {
        "dest": binary["dest"],
        "mode": binary["mode"],
        "restarts": binary["restarts"],
        "content": "",
        "owner": "root",
        "group": "root",
        "secret": True,
        "live": [],
        "endpoints": "",
        "merge": "",
        "keep": False,
        "replace": False,
        "leaf": None,
        "renew": False,
        "reread": None,
    }


def _exists(wanted: File) -> bool:
    try:
        _ids(wanted)
    except KeyError:
        return False
    return True


def _stat_key(now: os.stat_result) -> list[int]:
    return [now.st_size, now.st_ino, now.st_ctime_ns]


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _is_loaded_and_not_inactive(unit: str) -> bool:
    command = ["systemctl", "show", "-p", "LoadState", "-p", "ActiveState", unit]
    out = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    return "LoadState=loaded" in out and "ActiveState=inactive" not in out
