"""The JSON Schema of cluster.yaml, made from the models and their docstrings."""

from typing import Any

from k8sbootstrap.config.models.cluster import Cluster


def json_schema() -> dict[str, Any]:
    """The schema, draft 2020-12, with keys as they are spelled in the file."""
    schema = Cluster.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_one_line(schema)}


def _one_line(schema: Any) -> Any:
    """The same with every description on one line: docstrings are broken where the source's lines end."""
    if isinstance(schema, list):
        return [_one_line(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else _one_line(value)
        for key, value in schema.items()
    }
