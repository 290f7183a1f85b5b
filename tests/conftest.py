"""What all tests share: golden files, and signals as a foreground program has them."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

Golden = Callable[[Path, str], None]


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
