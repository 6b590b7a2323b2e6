"""What an incident is."""

from __future__ import annotations

import pytest

from airflow_provider_servicenow_dq.anomalies.model import Severity
from airflow_provider_servicenow_dq.exceptions import ServiceNowConfigError
from airflow_provider_servicenow_dq.tickets import incident

# ServiceNow's "Define priority lookup rules": impact and urgency make the priority.
MATRIX = {
    ("1", "1"): "1",
    ("1", "2"): "2",
    ("1", "3"): "3",
    ("2", "1"): "2",
    ("2", "2"): "3",
    ("2", "3"): "4",
    ("3", "1"): "3",
    ("3", "2"): "4",
    ("3", "3"): "5",
}


def test_the_pair_that_is_sent_for_a_priority_is_one_that_the_matrix_turns_into_it():
    assert {wish: MATRIX[pair] for wish, pair in incident.PRIORITY_PAIRS.items()} == {n: n for n in "12345"}


def test_a_worse_severity_never_makes_a_lower_priority():
    made = [MATRIX[incident.SEVERITY_PAIRS[severity]] for severity in Severity]

    assert made == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("wish", ["3", 3, "P3", "p3", " 3 "])
def test_a_priority_may_be_wished_for_in_any_form(wish):
    assert incident.parse_priority(wish) == "3"


@pytest.mark.parametrize("wish", ["", 0, 6, "P6", "high", "PP3", "3.0", "{{ params.priority }}"])
def test_what_is_no_priority_is_refused_in_words(wish):
    with pytest.raises(ServiceNowConfigError, match="1 to 5 or P1 to P5"):
        incident.parse_priority(wish)


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("1", "New"),
        ("2", "In Progress"),
        ("3", "On Hold"),
        ("6", "Resolved"),
        ("7", "Closed"),
        ("8", "Canceled"),
    ],
)
def test_states_have_the_labels_of_the_seed(code, label):
    assert incident.state_label(code) == label


def test_a_customised_state_is_shown_as_its_code():
    assert incident.state_label("-5") == "-5"
