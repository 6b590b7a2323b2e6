from __future__ import annotations

import logging
import sys
import textwrap

import pytest

from airflow_provider_servicenow_dq.anomalies import adapters, airflow_sql, entry_points
from airflow_provider_servicenow_dq.anomalies.model import anomaly_key
from airflow_provider_servicenow_dq.anomalies.reading import SOURCES, read_report
from airflow_provider_servicenow_dq.exceptions import AnomalyFormatError

#: What the README shows as an adapter.
ACME = """
    from airflow_provider_servicenow_dq.anomalies.foreign import Foreign
    from airflow_provider_servicenow_dq.anomalies.model import Report

    def recognises(payload):
        return isinstance(payload, dict) and "acme_alerts" in payload

    def read(payload, *, region=None):
        alerts = Foreign("acme", "", payload).at("acme_alerts").each()
        anomalies = [
            alert.anomaly(
                source="acme",
                dataset=alert.at("table"),
                check_name=alert.at("rule"),
                message=alert.at("text"),
                tags=[f"region:{region}"] if region else None,
            )
            for alert in alerts
        ]
        return Report(anomalies=anomalies)
"""
ALERTS = {"acme_alerts": [{"table": "sales.orders", "rule": "no_gaps", "text": "3 gaps"}]}
CUSTOM = {"dataset": "nyc.flights", "check_name": "dep_time not null"}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package as pip leaves it: a module beside a dist-info with the entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def forget():
        entry_points.offered.cache_clear()
        entry_points.loaded.cache_clear()

    def add(module, code, name, *, version="1.2", attribute=""):
        monkeypatch.delitem(sys.modules, module, raising=False)
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{entry_points.GROUP}]\n{name} = {module}{attribute}\n")
        forget()

    forget()
    yield add
    forget()


def broken(body, *, claims="isinstance(payload, dict) and 'acme_alerts' in payload"):
    return f"def recognises(payload):\n    return {claims}\n\ndef read(payload):\n    {body}\n"


def test_an_installed_package_brings_a_source_of_its_own(install):
    install("acme_dq", ACME, "acme")
    for source in ("auto", "acme"):
        (anomaly,) = read_report(ALERTS, source=source).anomalies
        assert (anomaly.source, anomaly.dataset, anomaly.message) == ("acme", "sales.orders", "3 gaps")
    (dumped,) = read_report([anomaly.model_dump(mode="json")]).anomalies
    assert anomaly_key(dumped) == anomaly_key(anomaly)
    assert adapters.sources() == [*SOURCES, "acme"]


def test_its_options_are_taken_beside_ours_and_no_others(install):
    install("acme_dq", ACME, "acme")
    (anomaly,) = read_report(ALERTS, options={"region": "eu", "dataset": "not its own"}).anomalies
    assert anomaly.tags == ["region:eu"]
    with pytest.raises(AnomalyFormatError, match=r"'regoin' is not known; known are .*region"):
        read_report(ALERTS, options={"regoin": "eu"})


def test_a_payload_of_its_own_may_name_it(install):
    install("acme_dq", ACME.replace('"acme_alerts" in payload', "False"), "acme")
    assert len(read_report({**ALERTS, "source": "acme"}).anomalies) == 1
    with pytest.raises(AnomalyFormatError, match=r"no known source; known are .*acme"):
        read_report(ALERTS)


def test_its_refusals_name_the_place_in_the_list(install):
    install("acme_dq", ACME, "acme")
    with pytest.raises(AnomalyFormatError) as refusal:
        read_report([CUSTOM, {"acme_alerts": [{"table": 7, "rule": ["x"]}]}])
    assert (refusal.value.source, refusal.value.path) == ("acme", "[1].acme_alerts[0].rule")


def test_a_list_may_be_one_payload_of_its_own(install):
    code = ACME.replace("isinstance(payload, dict) and", "isinstance(payload, list) and")
    install(
        "acme_dq", code.replace('"", payload).at("acme_alerts").each()', '"", payload).each()[1:]'), "acme"
    )
    for source in ("auto", "acme"):
        report = read_report(["acme_alerts", *ALERTS["acme_alerts"]], source=source)
        assert [anomaly.dataset for anomaly in report.anomalies] == ["sales.orders"]


def test_an_object_serves_as_well_as_a_module(install):
    code = f"""{textwrap.dedent(ACME)}
class Both:
    def recognises(self, payload):
        return recognises(payload)

    def read(self, payload, *, region=None):
        return read(payload, region=region)

adapter = Both()
"""
    install("acme_dq", code, "acme", attribute=":adapter")
    assert read_report(ALERTS, options={"region": "eu"}).anomalies[0].tags == ["region:eu"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (broken("raise KeyError('text')"), "KeyError: 'text'"),
        (broken("raise RuntimeError('two\\n  lines')"), "RuntimeError: two lines"),
        (broken("return payload['acme_alerts'][7]"), "IndexError"),
        (broken("return read(payload)"), "RecursionError"),
        (broken("return None"), "read must return a Report, not nothing"),
        (broken("return [{'dataset': 'x'}]"), "read must return a Report, not a list of 1"),
        (
            "from airflow_provider_servicenow_dq.anomalies.model import *\n"
            + broken("return Report(anomalies=[Anomaly(source='qualytics', dataset='a', check_name='b')])"),
            "must be an Anomaly with source='acme'",
        ),
        (
            "from airflow_provider_servicenow_dq.anomalies.model import *\n"
            + broken("return Report.model_construct(anomalies=['rubbish'])"),
            "must be an Anomaly with source='acme'",
        ),
        (broken("return None", claims="'yes'"), "recognises must return true or false, not str 'yes'"),
        (broken("return None", claims="payload.missing"), "AttributeError"),
    ],
)
def test_whatever_an_adapter_does_wrong_is_an_error_that_names_it(install, code, words):
    install("acme_dq", code, "acme")
    with pytest.raises(AnomalyFormatError) as refusal:
        read_report([CUSTOM, ALERTS])
    assert words in str(refusal.value)
    assert "the adapter acme_dq of the package acme_dq 1.2" in str(refusal.value)
    assert refusal.value.path == "[1]"
    assert len(str(refusal.value)) < 1000


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def recognises(payload): return False", "it has no function read"),
        ("def read(payload): ...\nrecognises = 'always'", "it has no function recognises"),
        ("recognises = read = type", "ValueError"),
    ],
)
def test_an_adapter_that_cannot_be_loaded_is_named_where_it_is_missed_and_harms_no_other(
    install, caplog, code, words
):
    install("acme_dq", code, "acme")
    assert len(read_report([CUSTOM, CUSTOM]).anomalies) == 2
    assert caplog.text.count("the adapter acme_dq of the package acme_dq 1.2 cannot be loaded") == 1
    for source in ("auto", "acme"):
        with pytest.raises(
            AnomalyFormatError, match=r"of the package acme_dq 1.2 cannot be loaded"
        ) as refusal:
            read_report(ALERTS, source=source)
        assert words in str(refusal.value)


def test_an_adapter_that_trips_over_others_payloads_harms_none_and_is_logged(install, caplog):
    install("acme_dq", broken("return None", claims="payload.missing"), "acme")
    assert len(read_report(CUSTOM).anomalies) == 1
    assert "the adapter acme_dq of the package acme_dq 1.2: AttributeError" in caplog.text


@pytest.mark.parametrize("name", [*SOURCES, "auto"])
def test_a_package_cannot_take_the_name_of_a_source_of_ours_unnoticed(install, caplog, name):
    install("acme_dq", broken("return None", claims="True"), name)
    for source in ("auto", "custom"):
        assert read_report(CUSTOM, source=source).anomalies[0].source == "custom"
    assert f"the name {name!r} is taken" in caplog.text
    assert "the adapter acme_dq of the package acme_dq 1.2 is ignored" in caplog.text
    assert caplog.text.count("is taken") == 1


def test_also_who_names_the_source_of_ours_hears_of_it(install, caplog):
    install("acme_dq", broken("return None"), "custom")
    assert read_report(CUSTOM, source="custom").anomalies[0].source == "custom"
    assert "the name 'custom' is taken" in caplog.text


def test_a_name_that_is_no_source_is_ignored_with_a_warning(install, caplog):
    install("acme_dq", ACME, "Acme-Tool")
    with pytest.raises(AnomalyFormatError, match="is not known"):
        read_report(ALERTS, source="Acme-Tool")
    assert "'Acme-Tool' is no source" in caplog.text


def test_of_two_packages_with_the_same_name_none_is_guessed(install):
    install("acme_dq", ACME, "acme")
    install("other_dq", ACME, "acme", version="3.0")
    for source in ("auto", "acme"):
        with pytest.raises(AnomalyFormatError, match="have the same name 'acme'") as refusal:
            read_report(ALERTS, source=source)
        assert "acme_dq 1.2" in str(refusal.value)
        assert "other_dq 3.0" in str(refusal.value)


def test_what_two_adapters_claim_is_not_guessed(install):
    install("acme_dq", ACME.replace('"acme_alerts" in payload', "True"), "acme")
    with pytest.raises(
        AnomalyFormatError, match="may be the payload of custom or acme: name the source"
    ) as both:
        read_report([ALERTS, {"check_name": "x", "acme_alerts": []}])
    assert both.value.path == "[1]"
    assert "'check_name', 'acme_alerts'" in both.value.reason
    with pytest.raises(AnomalyFormatError, match="dataset"):
        read_report({"check_name": "x"}, source="custom")


def test_who_names_a_source_of_ours_imports_nothing_else(install):
    install("acme_dq", "import os\nos.environ['ACME_LOADED'] = '1'\n" + textwrap.dedent(ACME), "acme")
    result = {"name": "a", "check_type": "x", "success": True}
    assert read_report([result], source=airflow_sql.SOURCE, options={"dataset": "t"}).passed == 1
    assert entry_points.loaded.cache_info().currsize == 0


def test_without_any_package_there_is_nothing_to_log(install, caplog):
    caplog.set_level(logging.DEBUG)
    read_report(CUSTOM)
    assert "airflow_provider_servicenow_dq" not in {
        record.name.partition(".")[0] for record in caplog.records
    }
