"""A cluster's status as JSON."""

import json
from dataclasses import asdict
from datetime import datetime

from k8sbootstrap.survey.status.models import ClusterStatus


def as_json(status: ClusterStatus) -> str:
    """The status as one JSON object with the fields of ``ClusterStatus``; times are ISO 8601 in UTC."""

    def plain(value: object) -> str:
        if isinstance(value, datetime):
            return value.isoformat()
        raise TypeError(f"{type(value).__name__} is not a JSON value")

    return json.dumps(asdict(status), indent=2, default=plain)
