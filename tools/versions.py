"""Runs the tests of what drives Ansible and SSH with the lowest and the newest versions of all libraries.

``python -m tools.versions`` makes two virtual environments in temporary directories: one with the lowest
versions that pyproject.toml allows, and one of the newest Python on this machine with the newest versions.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = (
    *("tests/unit/run", "tests/unit/hosts", "tests/unit/cli"),
    "tests/unit/playbooks/test_component_items.py",
    "tests/roles/test_templates.py",
)
_NEWER = ((3, 14), (3, 13), (3, 12))
"""Newest first; the oldest one is that of the newest ansible-core that pyproject.toml allows."""


def lowest(requirements: Sequence[str]) -> Iterator[str]:
    """``NAME==LOWEST`` of each requirement.

    Args:
        requirements: In the form ``NAME>=LOWEST``, and ``,<TOO_NEW`` where newer ones are known not to work.

    Raises:
        ValueError: A requirement has no lowest version.
    """
    for requirement in requirements:
        found = re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)(,<[0-9.]+)?", requirement)
        if found is None:
            raise ValueError(f"pyproject.toml: {requirement!r} has no lowest version")
        yield f"{found[1]}=={found[2]}"


def newest_python() -> str | None:
    """The newest Python on this machine that the newest ansible-core takes."""
    for version in _NEWER:
        name = ".".join(map(str, version))
        found = [str(path) for path in Path.home().glob(f".pyenv/versions/{name}.*/bin/python")]
        if in_path := shutil.which(f"python{name}"):
            found.insert(0, in_path)
        for python in found:
            # pyenv has a python3.x in PATH for versions that are not chosen, too: it only prints an error
            works = subprocess.run([python, "-c", "import venv"], capture_output=True, check=False)
            if works.returncode == 0:
                return python
    return None


def test(python: str, *pip_options: str) -> int:
    """Install the package for a Python, and run its tests.

    Returns:
        The exit code of pytest.
    """
    with tempfile.TemporaryDirectory(prefix="k8sbootstrap-versions-") as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        installed = f"{folder}/bin/python"
        pip = [installed, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, *pip_options, "--editable", f"{ROOT}[dev]"], check=True)
        subprocess.run([installed, "-m", "ansible", "playbook", "--version"], check=True)
        return subprocess.run([installed, "-m", "pytest", "-q", *TESTS], cwd=ROOT, check=False).returncode


def main() -> int:
    """Test both, and return 1 where a test failed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lowest(project["dependencies"])))
        file.flush()
        codes = [test(sys.executable, "--constraint", file.name)]
    newer = newest_python()
    if newer is None:
        sys.stdout.write("== no Python 3.12 or later here: not tested with the newest ansible-core\n")
    else:
        codes.append(test(newer))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
