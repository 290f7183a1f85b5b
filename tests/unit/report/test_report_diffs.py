from typing import Any

import pytest

from k8sbootstrap.report.diffs import LINES, read_diffs

PREPARED = (
    "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n same\n--- was a comment\n+++ is a comment\n same\n"
    "@@ -9 +9,2 @@ func\n-old\n+new\n+newer\n\\ No newline at end of file\n"
)


def test_the_hunks_say_what_a_line_is() -> None:
    (diff,) = read_diffs([{"prepared": PREPARED}])
    assert (diff.title, diff.added, diff.removed) == ("/etc/x", 3, 2)
    assert "".join(line.kind[0] for line in diff.lines) == "hhhsrashraah"
    assert diff.lines[4].text == "--- was a comment"


def test_two_files_in_one_text() -> None:
    (diff,) = read_diffs({"prepared": PREPARED + "--- /etc/y\n+++ /etc/y\n@@ -0,0 +1 @@\n+z\n"})
    assert [line.kind for line in diff.lines[-4:]] == ["head", "head", "hunk", "added"]


@pytest.mark.parametrize(
    ("item", "title"),
    [
        ({"prepared": "--- /dev/null\n+++ /etc/new\n@@ -0,0 +1 @@\n+x\n"}, "/etc/new"),
        ({"prepared": "--- /etc/gone\t2026\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"}, "/etc/gone"),
        ({"before": "a\n", "after": "b\n", "after_header": "/etc/b"}, "/etc/b"),
        ({"before": {"mode": "0600"}, "after": {"mode": "0644"}, "path": "/etc/m"}, "/etc/m"),
        ({"before": None, "after": "b"}, "contents"),
    ],
)
def test_titles(item: dict[str, Any], title: str) -> None:
    (diff,) = read_diffs(item)
    assert diff.title == title
    assert diff.added + diff.removed > 0


def test_before_and_after_are_compared() -> None:
    (diff,) = read_diffs([{"before": "a\nb\n", "after": "a\nc\n"}])
    assert [line.text for line in diff.lines][2:] == ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]


def test_a_secret_is_its_title_alone() -> None:
    (diff,) = read_diffs([{"prepared": "/etc/x.key: changed (contents not shown)\n"}])
    assert (diff.title, diff.lines) == ("/etc/x.key: changed (contents not shown)", ())


@pytest.mark.parametrize(
    "nothing", [None, [], [{}], [{"prepared": ""}], [{"before": "a", "after": "a"}], "text", 5]
)
def test_nothing_to_show(nothing: Any) -> None:
    assert read_diffs(nothing) == []


def test_a_long_diff_is_cut() -> None:
    lines = LINES + 100
    (diff,) = read_diffs([{"prepared": f"--- a\n+++ a\n@@ -0,0 +1,{lines} @@\n" + "+x\n" * lines}])
    assert (len(diff.lines), diff.left_out, diff.added) == (LINES, 103, lines)
