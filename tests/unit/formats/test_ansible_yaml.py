"""YAML that Ansible reads."""

import yaml

from k8sbootstrap.formats.ansible_yaml import Template, dump_line, load


def test_text_is_marked_and_templates_are_not() -> None:
    assert dump_line("{{ x }}") == '!unsafe "{{ x }}"'
    assert dump_line(["{% x %}", "{# x #}"]) == '[!unsafe "{% x %}", !unsafe "{# x #}"]'
    assert dump_line(Template("{{ x }}")) == '"{{ x }}"'
    assert load(dump_line({"{{ a }}": "{{ x }}"})) == {"{{ a }}": "{{ x }}"}


def test_a_value_is_one_line_and_reads_back_as_it_was() -> None:
    value = {
        "text": ["two\nlines", "no", "010", "1e3", "~", "", " a: b # c", "\t☃"],
        "number": 1.5,
        "none": None,
    }
    assert "\n" not in dump_line(value)
    assert yaml.safe_load(dump_line(value)) == value
    assert yaml.safe_load(dump_line("x")) == "x"
