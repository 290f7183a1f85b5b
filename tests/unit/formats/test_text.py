"""What is shown of text of others."""

import pytest

from k8sbootstrap.formats.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("proxy http://robot:hunter2@proxy:3128 is down", "proxy http://***@proxy:3128 is down"),
        ("'https://a:b@c@host/x', https://host/a@b", "'https://***@host/x', https://host/a@b"),
        ("user@host, docker://image@sha256:0", "user@host, docker://***@sha256:0"),
    ],
)
def test_logins_in_urls_are_not_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
