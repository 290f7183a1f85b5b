"""A module that fails says why in one line: also when it did not expect that."""

import subprocess
from pathlib import Path

import pytest
from ansible.module_utils.k8sbootstrap.module import cause_of

from k8sbootstrap.resources import data_dir

MODULES = sorted((data_dir() / "playbooks" / "library").glob("*.py"))


def raised(act) -> Exception:
    with pytest.raises(Exception) as caught:
        act()
    return caught.value


def test_causes() -> None:
    missing = cause_of(raised(lambda: Path("/no/such/file").read_bytes()))
    assert missing == "/no/such/file: No such file or directory"
    command = ["sh", "-c", "echo out; echo why >&2; exit 3"]
    failed = raised(lambda: subprocess.run(command, check=True, capture_output=True))
    assert cause_of(failed) == f"{' '.join(command)} ended with code 3: why"
    assert cause_of(raised(lambda: {}["kubelet"])).startswith("KeyError: 'kubelet' (test_causes.py, line ")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_module_ends_with_its_cause(module: Path) -> None:
    """tests/unit/runner/test_ansible.py runs one that fails."""
    text = module.read_text()
    assert "@one_line\ndef main() -> None:" in text
    assert "AnsibleModule" not in text
