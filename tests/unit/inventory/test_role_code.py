"""What a role is made from: its own files and what its tasks use, and nothing that others alone use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from k8sbootstrap import host_code
from k8sbootstrap.host_code import PACKAGE
from k8sbootstrap.inventory import digests, role_code
from k8sbootstrap.inventory.digests import code_digest, roles
from k8sbootstrap.inventory.role_code import files_of
from k8sbootstrap.resources import data_dir

PLAYBOOKS = data_dir() / "playbooks"
UTILS = PLAYBOOKS / "module_utils" / "k8sbootstrap"
TREE = {
    "roles/web/tasks/main.yml": "- {name: A, block: [{name: B, place: {other: x}}], rescue: [{put: {}}]}\n",
    "roles/web/templates/a.j2": "{{ flags | shout }}",
    "roles/web/README.md": "",
    "roles/web/vars/empty.yml": "",
    "roles/bare/tasks/main.yml": "- {name: C, ansible.builtin.command: x, vars: {a: '{{ shout }}'}}\n",
    "playbooks/action_plugins/place.py": "action_loader.get('base')\n_PATH = 'rules.py'\n",
    "playbooks/action_plugins/base.py": "",
    "playbooks/action_plugins/other.py": "",
    "playbooks/library/place.py": f"from {PACKAGE}.files import x\n",
    "playbooks/library/put.py": "",
    "playbooks/library/other.py": f"from {PACKAGE}.alone import x\n",
    "playbooks/filter_plugins/ours.py": "def shout(text): return text\n",
    "playbooks/module_utils/k8sbootstrap/files.py": f"from {PACKAGE}.deep import y\n",
    "playbooks/module_utils/k8sbootstrap/deep.py": "",
    "playbooks/module_utils/k8sbootstrap/alone.py": "",
    "playbooks/module_utils/k8sbootstrap/sub/rules.py": "",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program of two roles; ``web`` uses most of it."""
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for module in (digests, role_code):
        monkeypatch.setattr(module, "data_dir", lambda: tmp_path)
    for module in (host_code, role_code):
        monkeypatch.setattr(module, "host_code_dir", lambda: tmp_path / "playbooks/module_utils/k8sbootstrap")
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    for cached in (files_of, code_digest, host_code.needed_by):
        cached.cache_clear()


def names(tree: Path, role: str) -> set[str]:
    return {str(path.relative_to(tree)) for path in files_of(role)}


def users_of(path: Path) -> set[str]:
    assert path.is_file()
    return {role for role in roles() if path in files_of(role)}


def test_all_that_tasks_and_templates_use_belongs_to_the_role(tree: Path) -> None:
    elsewhere = {name for name in TREE if "other" in name or "alone" in name or "bare" in name}
    assert names(tree, "web") == set(TREE) - elsewhere - {"roles/web/README.md"}


def test_a_role_that_uses_nothing_of_ours_is_its_own_files(tree: Path) -> None:
    assert names(tree, "bare") == {"roles/bare/tasks/main.yml"}


def test_a_role_that_is_not_there_is_an_error(tree: Path) -> None:
    with pytest.raises(FileNotFoundError, match="roles/nobody"):
        files_of("nobody")


@pytest.mark.parametrize(
    "changed", ["playbooks/module_utils/k8sbootstrap/deep.py", "playbooks/action_plugins/base.py"]
)
def test_a_digest_changes_with_what_the_role_uses(tree: Path, changed: str) -> None:
    before = code_digest("web"), code_digest("bare")
    (tree / changed).write_text("# another line\n")
    forget()
    assert code_digest("web") != before[0]
    assert code_digest("bare") == before[1]


def test_a_digest_stays_where_something_else_changes(tree: Path) -> None:
    before = code_digest("web")
    (tree / "playbooks/library/other.py").write_text("# another line\n")
    forget()
    assert code_digest("web") == before


def test_real_roles_have_what_they_use() -> None:
    assert users_of(UTILS / "kube" / "rollout.py") == {"addons"}
    assert users_of(UTILS / "kube" / "etcd_rules.py") == {"etcd"}
    assert users_of(UTILS / "kube" / "drain.py") == {"node_drain", "node_uncordon"}
    assert users_of(UTILS / "host" / "reset.py") == set()
    assert users_of(PLAYBOOKS / "action_plugins" / "own_module.py") == set(roles())
    assert "kube_apiserver" in users_of(PLAYBOOKS / "filter_plugins" / "k8sbootstrap.py")
    assert "addons" not in users_of(PLAYBOOKS / "filter_plugins" / "k8sbootstrap.py")


def test_a_program_that_a_role_sends_is_part_of_it() -> None:
    assert "etcd_snapshot.py" in {path.name for path in files_of("etcd")}
    assert "etcd_snapshot.py" not in {path.name for path in files_of("kubelet")}


def test_every_plugin_and_module_belongs_to_a_role_but_what_resets_hosts() -> None:
    all_files = {*PLAYBOOKS.glob("action_plugins/*.py"), *PLAYBOOKS.glob("library/*.py")}
    used = {path for role in roles() for path in files_of(role)}
    assert {path.stem for path in all_files - used} == {"host_reset"}


def test_no_role_takes_in_another_one() -> None:
    """Its files would count for neither."""
    tasks = [path.read_text() for path in (data_dir() / "roles").glob("*/tasks/*.yml")]
    assert not [text for text in tasks if "include_role" in text or "import_role" in text]
    metas = (path.read_text() for path in (data_dir() / "roles").glob("*/meta/main.yml"))
    assert all("dependencies: []" in text for text in metas)
