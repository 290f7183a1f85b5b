"""What of the package on hosts a file needs is found from its imports, and Ansible sends exactly that."""

import gc
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from k8sbootstrap import host_code
from k8sbootstrap.host_code import PACKAGE, needed_by
from k8sbootstrap.resources import host_code_dir

LIBRARY = host_code_dir().parents[1] / "library"
SENT = """
import datetime, io, json, pathlib, sys, zipfile
from ansible._internal._ansiballz._builder import ExtensionManager
from ansible.executor.module_common import recursive_finder
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader()
sent = {}
for path in map(pathlib.Path, sys.argv[1:]):
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        now = datetime.datetime.now(datetime.timezone.utc)
        extensions = ExtensionManager.create(task_vars={})
        recursive_finder(path.stem, "ansible.legacy." + path.stem, path.read_text(), archive, now, extensions)
        sent[path.stem] = archive.namelist()
print(json.dumps(sent))
"""
"""What Ansible sends with each module, by its own finder."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of four modules: a imports b, b imports c of a subpackage; d is alone."""
    folder = tmp_path / "package"
    (folder / "sub").mkdir(parents=True)
    for name, text in {
        "__init__.py": "",
        "a.py": f"import os\nfrom {PACKAGE}.b import x\n",
        "b.py": f"def late():\n    from {PACKAGE}.sub import c\n",
        "sub/__init__.py": "",
        "sub/c.py": f"import {PACKAGE}\n",
        "d.py": "",
    }.items():
        (folder / name).write_text(text)
    monkeypatch.setattr(host_code, "host_code_dir", lambda: folder)
    return folder


def names(source: Path) -> list[str]:
    return [name.removeprefix(PACKAGE) for name in needed_by(source)]


def test_imports_are_followed_and_come_first(package: Path) -> None:
    assert names(package / "a.py") == ["", ".sub", ".sub.c", ".b"]


def test_a_file_that_imports_nothing_of_the_package_needs_nothing(package: Path) -> None:
    assert names(package / "d.py") == []


def test_a_module_may_be_imported_by_its_full_name(package: Path, tmp_path: Path) -> None:
    source = tmp_path / "other.py"
    source.write_text(f"import {PACKAGE}.sub.c as c\nimport {PACKAGE}_other\n")
    assert names(source) == ["", ".sub", ".sub.c"]


def test_ansible_sends_what_is_found_and_nothing_else_of_the_package() -> None:
    modules = sorted(LIBRARY.glob("*.py"))
    environment = {**os.environ, "ANSIBLE_MODULE_UTILS": str(host_code_dir().parent)}
    done = subprocess.run(
        [sys.executable, "-c", SENT, *modules], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    top = host_code_dir().parent
    ours = {
        name: {path for path in paths if path.startswith(PACKAGE.replace(".", "/"))}
        for name, paths in json.loads(done.stdout).items()
    }
    assert ours == {
        path.stem: {f"ansible/module_utils/{file.relative_to(top)}" for file in needed_by(path).values()}
        for path in modules
    }
    assert any(path.endswith("/host/record.py") for path in ours["component"])


def test_several_threads_may_ask_at_once() -> None:
    """What Python collects while it parses may let another thread run, which parses as well."""
    gc.callbacks.append(lambda *_: time.sleep(0.0005))
    try:
        needed_by.cache_clear()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(needed_by, [LIBRARY / "component.py"] * 8))
    finally:
        gc.callbacks.pop()
    assert all(each == found[0] for each in found)


def test_every_module_of_the_package_is_needed_by_something() -> None:
    scripts = Path(host_code.__file__).parent / "hosts" / "scripts"
    needed = {
        path
        for program in (*LIBRARY.glob("*.py"), *scripts.glob("*.py"))
        for path in needed_by(program).values()
    }
    others = {
        "etcd_rules.py",  # the controller's alone, see the action etcd_verdict
        "etcd_bucket.py",  # a program itself
    }
    assert {path.name for path in set(host_code_dir().rglob("*.py")) - needed} == others
