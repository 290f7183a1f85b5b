"""``component``: everything one component needs on a host, in one module call.

Users, directories, templates, copied files, binaries, container images and systemd units go to the host
together. A call costs one round trip when nothing differs; binaries travel only when the host has neither the
right file nor a mirror to fetch it from. Works in check mode, with diffs.

Items of the lists users, directories, files, binaries, units and images may carry two keys more:
    when (str): An expression, as a task's ``when``: where it is false, the host gets no such item, and
        nothing else of the item is looked at.
    loop (list): One item for each of these values, which the item's other keys call ``item``.

Options:
    name (str): Component; what it no longer lists is removed from the host.
    cluster (str): Name of the cluster, for the host's record.
    users (list of {name, home}): System users.
    directories (list of {path, mode, owner, group, data}): ``data`` where programs write into it: when the
        host is reset, what is new there goes, also where the folder was there before.
    files (list): ``dest``, one of ``template`` (in the role), ``src`` (path on the controller) or
        ``content``; ``mode``, ``owner``, ``group``, ``secret`` (never shown in diffs) and ``restarts`` (units
        that must restart when it changes; default: all units of the component), ``live`` (keys of a JSON file
        for which these units only reload), ``endpoints`` (flag of the unit in it that lists servers: the unit
        does not restart for another list while its program has at least half of them), ``merge`` (docker or
        containerd: settings that are there already are kept where they go together with these), ``keep``
        (somebody else's file stays), ``replace`` (the cluster's programs write it too), ``reread`` ({unit,
        server, after}: the API server of ``unit`` reads it again by itself and may refuse it, so while it
        runs only the call with ``restart`` changes it). Any other file that somebody else wrote is refused.
        An item with ``pki`` is several files: certificates, keys and kubeconfigs that have these names in the
        controller's folder ``src``, for the folder ``dest``. ``pki`` is a list, or maps names to those on the
        host; a name without a suffix is a certificate (.crt) and its key (.key). Certificates and public keys
        are 0644 (or ``mode``) and root's; all else is 0600 and secret. ``user`` names a user other than root
        that reads them: it owns the keys, and certificates are 0640 and its group's.
    binaries (list of {dest, artifact, mode, restarts}): ``artifact`` is {path, sha256, url}.
    units (list of {name, health, timeout, rolling, reload, missing}): See
        module_utils/k8sbootstrap/host/units.py.
    images (list of {ref, artifact}), runtime (docker or containerd): Images to load when the runtime lacks
        them.
    registry ({data, user, images}): Storage and user of a docker-registry here, and the images (list of {ref,
        name, tag, arch, artifact}) that it is to have.
    sandbox_image (str): The one of them that the kubelet never removes to free disk space.
    needs (list): Paths that its programs made and without which it must be applied again; of certificates
        (.pem) also that they have not expired.
    digest (str): Of all that the component is made from; in the host's record once it is applied.
    etcd ({name, members, begin, restoring}): Of etcd: the member here, all members (name → address), and the
        state (new, existing) that it may start in without data; empty where it may not. With the id of a
        restore, which brings its data, it is installed and does not start.
    replaces (list of str): Components to take off before the units start: these need their ports.
    absent (list of str): Components to take off instead; of the rest only cluster counts.
    restart (bool), peers (list of health): Only restart what waits for it, after seeing that every peer is
        healthy; then change the files that have ``reread``, which are the only ones given.
    renew (list of str): Certificates, by their names in the controller's PKI, that replace those which the
        host has. Others stay while they say the same and have more than 30 days left. The plays of
        ``k8sbootstrap certs renew`` set it as a default of this module.
    incoming (str): Folder on the host where binaries may have been put beforehand, each named by its sha256;
        the plays of ``k8sbootstrap up`` set it for all components as a default of this module.
    pending_restarts (list), inputs (dict): Units that must restart whatever changes, and because of what.
        With restart: those of the first call's result.

Variables of the inventory that it reads beside its options:
    k8sbootstrap_made_with (dict): What the host's cluster is made with and can't be changed later; nothing is
        installed where the host's record says otherwise.
"""

from __future__ import annotations

import base64
import json
from collections import ChainMap
from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.loader import action_loader
from ansible.template import trust_as_template

IMAGE_FOLDER = "/var/lib/k8sbootstrap/images"
LEAVES = "leaves.json"
"""In the controller's PKI: what it knows of the certificates there."""
LISTS = ("users", "directories", "files", "binaries", "units", "images")
"""Options whose items may have ``when`` and ``loop``."""
OwnModule = action_loader.get("own_module", class_only=True)


class ActionModule(OwnModule):
    """Renders the request, calls the module, and sends the binaries that the host turns out to lack."""

    # a temporary folder is made on the host only when there is something to send: it costs a round trip
    TRANSFERS_FILES = False

    @classmethod
    def finalize_task_arg(cls, name, value, templar, context):
        """Where Ansible resolves the templates in an argument: of an item, only once its ``when`` holds."""
        items = templar.resolve_to_container(value) if name in LISTS else None
        if not isinstance(items, list):
            return super().finalize_task_arg(name, value, templar, context)
        return [
            made for item in items for made in _resolved(name, templar.resolve_to_container(item), templar)
        ]

    def run(self, tmp=None, task_vars=None):
        """Standard entry point of an action plugin."""
        result = super(OwnModule, self).run(tmp, task_vars)
        task_vars = task_vars or {}
        self.refuse_facts(task_vars)
        request = self._request(self._task.args, task_vars)
        sources = {item["dest"]: item.pop("path") for item in request["binaries"]}
        sources.update((item["sha256"], item.pop("path")) for item in request["registry"].get("images", []))
        try:
            result.update(self._call(request, {}, task_vars))
            missing = result.pop("missing", None)
            if missing:
                result.update(self._call(request, self._send(missing, sources), task_vars))
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # noqa: SLF001
        return result

    def _call(self, request, uploads, task_vars):
        arguments = {"request": json.dumps(request), "uploads": uploads}
        found = self.answer("component", arguments, task_vars)
        units = {unit["name"] for unit in request["units"]}
        strange = {*found.get("pending_restarts", ()), *found.get("inputs", ())} - units
        if strange:
            raise AnsibleActionFail(
                f"the host asks to restart units that are not part of this component: {_few(strange)}"
            )
        return found

    def _send(self, missing, sources):
        strange = set(missing) - set(sources)
        if strange:
            raise AnsibleActionFail(
                f"the host asks for files that are not part of this component: {_few(strange)}"
            )
        folder = self._make_tmp_path()
        uploads = {}
        for number, dest in enumerate(dict.fromkeys(missing)):
            source = sources[dest]
            if not source or not Path(source).is_file():
                raise AnsibleActionFail(
                    f"{dest} is not on the host, no mirror has it, and the controller has no file "
                    f"{source or '(none given)'} to send. Run k8sbootstrap render or up again to fetch "
                    "it"
                )
            target = self._connection._shell.join_path(folder, str(number))  # noqa: SLF001
            uploads[dest] = self._transfer_file(source, target)
        return uploads

    def _request(self, args, task_vars):
        units = [
            {"health": None, "timeout": 60, "rolling": False, "reload": False, "missing": [], **unit}
            for unit in args.get("units") or []
        ]
        restarts = [unit["name"] for unit in units]
        images = args.get("images") or []
        binaries = [self._binary(item, restarts) for item in args.get("binaries") or []]
        tars = {}  # by hash: one may hold several images
        for image in images:
            artifact = image["artifact"]
            if artifact["sha256"] in tars:
                continue
            tar = f"{IMAGE_FOLDER}/{image['ref'].replace('/', '_').replace(':', '_')}.tar"
            tars[artifact["sha256"]] = tar
            binaries.append(
                self._binary({"dest": tar, "artifact": artifact, "mode": "0600", "restarts": []}, [])
            )
        directories = list(args.get("directories") or [])
        if images:
            directories.append({"path": IMAGE_FOLDER, "mode": "0700"})
        return {
            "name": args["name"],
            "cluster": args.get("cluster") or "",
            "users": args.get("users") or [],
            "directories": [dict({"mode": "0755"}, **item) for item in directories],
            "files": [
                self._file(file, restarts, task_vars)
                for item in args.get("files") or []
                for file in (_of_pki(item) if "pki" in item else [item])
            ],
            "binaries": binaries,
            "units": units,
            "images": [{"ref": image["ref"], "tar": tars[image["artifact"]["sha256"]]} for image in images],
            "registry": self._registry(args.get("registry")),
            "sandbox_image": args.get("sandbox_image") or "",
            "runtime": args.get("runtime") or "",
            "needs": args.get("needs") or [],
            "digest": args.get("digest") or "",
            "etcd": args.get("etcd") or {},
            "replaces": args.get("replaces") or [],
            "absent": args.get("absent") or [],
            "restart": bool(args.get("restart")),
            "pending": args.get("pending_restarts") or [],
            "inputs": args.get("inputs") or {},
            "peers": args.get("peers") or [],
            "incoming": args.get("incoming") or "",
            "made_with": task_vars.get("k8sbootstrap_made_with") or {},
        }

    @staticmethod
    def _registry(registry):
        images = [
            {
                **{key: image[key] for key in ("ref", "name", "tag", "arch")},
                "sha256": image["artifact"]["sha256"],
                "path": image["artifact"]["path"],
            }
            for image in (registry or {}).get("images", [])
        ]
        return dict(registry, images=images) if registry else {}

    @staticmethod
    def _binary(item, restarts):
        artifact = item["artifact"]
        return {
            "dest": item["dest"],
            "mode": item.get("mode") or "0755",
            "restarts": item.get("restarts", restarts),
            "sha256": artifact["sha256"],
            "url": artifact.get("url"),
            "path": artifact.get("path"),
        }

    def _file(self, item, restarts, task_vars):
        leaf = None
        if "template" in item:
            content = self._render(item["template"], item, task_vars).encode()
        elif "src" in item:
            source = Path(item["src"]).expanduser()
            leaf = _leaf(source)
            try:
                content = source.read_bytes()
            except OSError as error:
                raise AnsibleActionFail(f"{item['dest']} can't be created: {error}") from error
        else:
            content = str(item["content"]).encode()
        return {
            "dest": item["dest"],
            "content": base64.b64encode(content).decode(),
            "mode": item.get("mode") or "0644",
            "owner": item.get("owner") or "root",
            "group": item.get("group") or "root",
            "secret": bool(item.get("secret")),
            "restarts": item.get("restarts", restarts),
            "live": item.get("live") or [],
            "endpoints": item.get("endpoints") or "",
            "merge": item.get("merge") or "",
            "keep": bool(item.get("keep")),
            "replace": bool(item.get("replace")),
            "leaf": leaf,
            "renew": leaf is not None and leaf["name"] in (self._task.args.get("renew") or ()),
            "reread": item.get("reread"),
        }

    def _render(self, name, item, task_vars):
        path = self._find_needle("templates", name)
        source = trust_as_template(self._loader.get_text_file_contents(path))
        variables = dict(task_vars, **(item.get("vars") or {}))
        templar = self._templar.copy_with_new_env(
            searchpath=[str(Path(path).parent)], available_variables=variables
        )
        return str(templar.template(source, escape_backslashes=False, overrides={"trim_blocks": True}) or "")


def _leaf(source):
    """What the controller notes of the certificate that a file of its PKI is, or belongs to; else None."""
    for folder in list(source.parents)[:3]:
        notes = folder / LEAVES
        if notes.is_file():
            name = str(source.relative_to(folder))
            name = name.removesuffix(".crt").removesuffix(".key")
            leaf = json.loads(notes.read_text(encoding="utf-8")).get(name)
            return dict(leaf, name=name) if leaf else None
    return None


def _of_pki(item):
    """The files that an item with ``pki`` stands for."""
    names = item["pki"] if isinstance(item["pki"], dict) else {name: name for name in item["pki"]}
    return [
        _of_pki_name(item, name + suffix, target + suffix)
        for name, target in names.items()
        for suffix in ([""] if Path(name).suffix else [".crt", ".key"])
    ]


def _of_pki_name(item, name, target):
    user = item.get("user") or "root"
    is_public = Path(name).suffix in {".crt", ".pub"}
    certificate = {"owner": "root", "mode": item.get("mode") or ("0644" if user == "root" else "0640")}
    return {
        "dest": f"{item['dest']}/{target}",
        "src": f"{item['src']}/{name}",
        "group": user,
        "secret": not is_public,
        **(certificate if is_public else {"owner": user, "mode": "0600"}),
        **({"restarts": item["restarts"]} if "restarts" in item else {}),
    }


def _resolved(option, item, templar):
    """What an item of a list stands for: itself, one for each value of its ``loop``, or nothing."""
    if not isinstance(item, dict):
        return [templar.template(item)]
    rest = {key: value for key, value in item.items() if key not in {"loop", "when"}}
    scopes = [templar]
    if "loop" in item:
        values = templar.template(item["loop"])
        if not isinstance(values, list):
            raise AnsibleActionFail(f"{_place(option, item, templar)}: `loop` is not a list")
        scopes = [_with_item(templar, value) for value in values]
    return [scope.template(rest) for scope in scopes if _is_wanted(option, item, scope)]


def _with_item(templar, value):
    scope = templar.copy()
    scope.available_variables = ChainMap({"item": value}, templar.available_variables)
    return scope


def _is_wanted(option, item, templar):
    when = item.get("when", True)
    try:
        return templar.evaluate_conditional(when)
    except AnsibleError as error:
        raise AnsibleActionFail(f"{_place(option, item, templar)}: `when: {when}`: {error}") from None


def _place(option, item, templar):
    """Role, option and name of an item, for an error about it."""
    label = next((item[key] for key in ("dest", "path", "name", "ref") if key in item), "without a name")
    return f"role {templar.available_variables.get('role_name')}, {option}, {label}"


def _few(names):
    return ", ".join(repr(name[:100]) for name in sorted(names)[:5])
