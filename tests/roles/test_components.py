"""The table of components says what the roles do."""

import pytest
from scenarios import HOSTS, Rendered

from k8sbootstrap.config.rules.registry import TAKEN
from k8sbootstrap.plan.components import COMPONENTS, components_of
from k8sbootstrap.plan.phases import PHASES
from k8sbootstrap.survey.cluster.requests import health_endpoints


@pytest.mark.parametrize("host", HOSTS)
def test_units_and_health_of_roles_are_those_of_the_table(rendered: Rendered, host: str) -> None:
    there = next(each for each in rendered.plan.hosts if each.name == host)
    installed = {unit["name"]: unit for request in rendered.requests(host) for unit in request["units"]}
    components = list(components_of(rendered.plan, there))
    assert {component.unit for component in components} <= set(installed)
    roles = {role for phase in PHASES for role in phase.roles}
    assert {component.role for component in COMPONENTS} <= roles
    of_table = {each.unit for each in COMPONENTS}
    assert set(installed) & of_table == {component.unit for component in components}
    for name, get in health_endpoints(rendered.plan, there).items():
        health = installed[f"{name}.service"]["health"]
        assert health["url"] == get.url
        assert (health.get("ca"), health.get("cert"), health.get("key")) == (get.ca, get.cert, get.key)


def test_a_registry_of_the_clusters_own_takes_no_port_of_another_component() -> None:
    numbers = {port.number for component in COMPONENTS for port in component.ports}
    assert {number for number in numbers if isinstance(number, int)} == TAKEN
