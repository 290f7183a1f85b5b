"""Every pattern of a value has words for what does not match it."""

import re

from k8sbootstrap.config import explain
from k8sbootstrap.config.models import base


def test_every_pattern_has_words():
    patterns = {value for name, value in vars(base).items() if name.isupper() and str(value).startswith("^")}
    assert base.DNS_SERVER in patterns
    assert all(re.compile(pattern) for pattern in patterns)
    assert patterns <= explain._PATTERNS.keys()
