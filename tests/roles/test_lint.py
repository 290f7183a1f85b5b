"""ansible-lint, yamllint and the syntax of every playbook, with what this repository says about them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def run(tmp_path: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of this virtual environment in the repository, with the repository's settings only."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PY"))}
    environment = own | {
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_yamllint(tmp_path: Path) -> None:
    done = run(tmp_path, BIN / "yamllint", "--strict", "--format", "parsable", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ansible_lint(tmp_path: Path) -> None:
    done = run(tmp_path, BIN / "ansible-lint", "-q", "--offline", "playbooks", "roles", "inventory/sample")
    assert done.returncode == 0, done.stdout + done.stderr


def test_syntax_of_playbooks(tmp_path: Path) -> None:
    playbooks = sorted((ROOT / "playbooks").glob("*.yml"))
    assert len(playbooks) >= 9
    done = run(
        tmp_path, BIN / "ansible-playbook", "--syntax-check", "-i", "inventory/sample/hosts.yml", *playbooks
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("playbook: ") == len(playbooks)
