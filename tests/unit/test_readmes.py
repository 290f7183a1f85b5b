"""README.md and README.zh-CN.md are in step: code, headings, links."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_the_code_blocks_are_the_same() -> None:
    assert FENCE.findall(CHINESE) == FENCE.findall(ENGLISH)


def test_there_are_as_many_headings() -> None:
    english, chinese = (
        re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE) for text in (ENGLISH, CHINESE)
    )
    assert chinese == english


def test_links_have_the_same_targets() -> None:
    english, chinese = (set(re.findall(r"\]\(([^)\s]+)\)", text)) for text in (ENGLISH, CHINESE))
    assert chinese - {"README.md"} == english - {"README.zh-CN.md"}
