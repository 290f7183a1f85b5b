"""What is known of a mirror comes from the entry of its host."""

from pathlib import Path

from k8sbootstrap.config.models.runtime import Registry
from k8sbootstrap.plan.registries import MirrorPlan, plan_registries


def test_a_mirror_has_what_its_own_entry_says(tmp_path: Path) -> None:
    entries = [
        {"host": "docker.io", "mirrors": ["https://m.example.com:5000/v2/hub/", "http://m.example.com"]},
        {"host": "m.example.com:5000", "ca": "ca.crt", "username": "a", "password": {"env": "A"}},
    ]
    hub, mirror = plan_registries([Registry.model_validate(entry) for entry in entries], tmp_path)
    assert hub.server == "https://registry-1.docker.io"
    assert hub.mirrors == (
        MirrorPlan("https://m.example.com:5000/v2/hub", "m.example.com:5000", ca=True, login=True),
        MirrorPlan("http://m.example.com", "m.example.com", ca=False, login=False),
    )
    assert (mirror.server, mirror.ca) == ("https://m.example.com:5000", tmp_path / "ca.crt")
