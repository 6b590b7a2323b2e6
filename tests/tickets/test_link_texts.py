"""The texts of a link are known again whatever happens to them, and none of them is too long or cut short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.anomalies.model import Anomaly
from airflow_provider_servicenow_dq.tickets.links import has_details, is_told, link_line, pages, with_details
from airflow_provider_servicenow_dq.tickets.notes import details

NOW = datetime(2026, 1, 23, 19, 51, 23, tzinfo=UTC)


def anomaly(**fields):
    return Anomaly(
        **{
            "source": "qualytics",
            "external_id": "824",
            "dataset": "orders",
            "check_name": "max_value",
            "severity": "high",
            **fields,
        }
    )


def test_the_line_of_a_link_names_anomaly_check_and_dataset():
    line = link_line(anomaly(), namespace="", now=NOW)

    head, _, mark = line.partition(" (dq:")
    assert head == "[2026-01-23 19:51:23 UTC] Qualytics Anomaly Linked: 824, max_value on orders"
    assert mark.startswith("qualytics:")


def test_a_line_is_told_of_its_own_anomaly_and_namespace_alone():
    texts = [f"something\n{link_line(anomaly(), namespace='', now=NOW)}\nmore"]

    assert is_told(anomaly(check_name="renamed"), texts, namespace="")
    assert not is_told(anomaly(external_id="82"), texts, namespace="")
    assert not is_told(anomaly(), texts, namespace="prod")
    assert not is_told(anomaly(), ["dq:qualytics"], namespace="")


def test_details_are_known_again_whenever_they_were_written_and_however_they_are_kept():
    text = details(anomaly(), now=NOW - timedelta(days=400))

    assert has_details(anomaly(), f"Before.\n\n{text}\n\nAfter.")
    assert has_details(anomaly(), text.replace("\n", "\r\n"))
    assert has_details(anomaly(), text.replace("\n\n", "\n"))
    for other in ("82", "8245", "24"):
        assert not has_details(anomaly(external_id=other), text)
    assert not has_details(anomaly(source="soda"), text)


def test_details_fit_to_the_last_character():
    text = details(anomaly(), now=NOW)

    assert with_details("", text) == text
    assert with_details("a\n\n", text) == f"a\n\n{text}"
    assert with_details("x" * (4000 - 2 - len(text)), text) is not None
    assert with_details("x" * (4000 - 1 - len(text)), text) is None


def test_an_address_that_is_cut_from_a_text_is_only_ever_cut_between_lines():
    assert pages("a\n" + "b" * 3999) == ["a", "b" * 3999]
    assert pages("c" * 4001) == ["c" * 4000, "c"]
    assert pages("") == []


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab \n", max_size=30).map(lambda text: text * 700))
def test_no_character_of_a_text_is_lost_on_its_pages(text):
    found = pages(text)

    assert all(0 < len(page) <= 4000 for page in found)
    assert "".join("".join(found).split()) == "".join(text.split())


#: What a name may hold: an anomaly refuses the rest.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=120)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES)
def test_whatever_an_anomaly_is_called_its_own_texts_are_known_again(name, check):
    each = anomaly(external_id=f"1{name}", check_name=f"c{check}")

    line = link_line(each, namespace="", now=NOW)
    assert len(line) < 4000
    assert is_told(each, [line], namespace="")
    assert has_details(each, details(each, now=NOW))
