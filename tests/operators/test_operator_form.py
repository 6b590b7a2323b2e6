"""Rules for operators that reviewers forget and machines do not."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from airflow_provider_servicenow_dq.operators import servicenow

PUBLIC = [getattr(servicenow, name) for name in servicenow.__all__]
OPERATORS = [value for value in PUBLIC if inspect.isclass(value)]
FOLDER = Path(servicenow.__file__).parent


def body_of_init(operator):
    file = Path(inspect.getfile(operator)).read_text(encoding="utf-8")
    (tree,) = [
        node
        for node in ast.parse(file).body
        if isinstance(node, ast.ClassDef) and node.name == operator.__name__
    ]
    (init,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    return init.body


def parameters(operator):
    found = inspect.signature(operator.__init__).parameters.values()
    return {each.name: each for each in found if each.name not in {"self", "kwargs"}}


def test_the_operators_of_the_design_are_here():
    assert {operator.__name__ for operator in OPERATORS} >= {
        "ServiceNowCreateIncidentOperator",
        "ServiceNowGetRecordsOperator",
    }


def test_every_operator_that_is_written_can_be_imported_from_the_public_place():
    written = {
        node.name
        for file in FOLDER.glob("*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Operator")
    }

    assert written == {operator.__name__ for operator in OPERATORS}


@pytest.mark.parametrize("operator", OPERATORS)
def test_init_only_assigns(operator):
    """Templates are rendered after ``__init__``: logic there would see raw Jinja."""
    first, *rest = body_of_init(operator)

    assert ast.unparse(first) == "super().__init__(**kwargs)"
    assigned = [ast.unparse(statement) for statement in rest]
    assert assigned == [f"self.{name} = {name}" for name in parameters(operator)]


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_template_field_is_a_parameter(operator):
    assert isinstance(operator.template_fields, tuple)
    assert set(operator.template_fields) <= parameters(operator).keys()
    assert len(set(operator.template_fields)) == len(operator.template_fields)


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_parameter_is_given_by_name_and_the_connection_has_its_usual_one(operator):
    assert {each.kind for each in parameters(operator).values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert parameters(operator)["servicenow_conn_id"].default == "servicenow_default"


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_documentation_names_every_parameter_and_what_is_templated(operator):
    told = dict.fromkeys(parameters(operator), "")
    for part in (operator.__doc__ or "").split(":param ")[1:]:
        name, _, words = part.partition(":")
        told[name] = words

    assert told.keys() == parameters(operator).keys()
    assert {name for name, words in told.items() if "(templated)" in words} == set(operator.template_fields)
