import os
import subprocess
from pathlib import Path

import pytest

from k8sbootstrap.run import text_log
from k8sbootstrap.run.text_log import text_log as logging_to


def test_what_a_terminal_would_obey_is_replaced_and_lines_stay(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("before\n")
    with logging_to(log) as output:
        os.write(output, b"clear \x1b[2J\x9b\x07\n")
        os.write(output, "caf\u00e9\ttab\nturned \u202e https://robot:pw@example.com/a\n".encode())
        os.write(output, b"no end")
    assert log.read_text() == (
        "before\nclear \ufffd[2J\ufffd\ufffd\ncaf\u00e9\ttab\nturned \ufffd https://***@example.com/a\nno end"
    )


def test_what_was_printed_is_there_when_the_block_ends(tmp_path: Path) -> None:
    with logging_to(tmp_path / "a.log") as output:
        subprocess.run(["seq", "100000"], stdout=output, check=True)
    assert (tmp_path / "a.log").read_text().splitlines() == [str(number) for number in range(1, 100001)]


def test_a_process_that_holds_the_output_open_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_log, "_JOIN_SECONDS", 0.5)
    with logging_to(tmp_path / "a.log") as output:
        left = subprocess.Popen(["sh", "-c", "echo started; exec sleep 60"], stdout=output)
        os.write(output, b"whole line\n")
    try:
        assert left.poll() is None
        assert "whole line\n" in (tmp_path / "a.log").read_text()
    finally:
        left.kill()
        left.wait()


def test_a_line_without_an_end_is_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_log, "LONGEST_LINE", 10)
    with logging_to(tmp_path / "a.log") as output:
        os.write(output, b"x" * 95)
    assert (tmp_path / "a.log").read_text() == "x" * 95
