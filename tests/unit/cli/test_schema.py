"""k8sbootstrap schema."""

import json

from k8sbootstrap.config.schema import json_schema


def test_it_prints_the_schema(run) -> None:
    ended = run("schema")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == json_schema()
    assert json.loads(ended.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
