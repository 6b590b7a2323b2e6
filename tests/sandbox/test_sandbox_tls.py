"""https and client certificates."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from plain_client import SVC, Client

from airflow_provider_servicenow_dq.sandbox.certificates import make_certificates
from airflow_provider_servicenow_dq.sandbox.control import SandboxControl
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.sandbox.tls import Tls


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def tls(folder):
    return make_certificates(folder, ["svc_airflow", "stranger"])


@pytest.fixture
def sandbox(tls):
    with Sandbox(tls=tls) as instance:
        yield instance


def read(sandbox, folder, user=None, auth=None):
    own = str(folder / f"{user}.pem") if user else None
    return Client(sandbox.url, auth).table("GET", "incident", verify=str(folder / "ca.pem"), cert=own)


def test_it_serves_https_to_who_believes_its_authority(sandbox, folder):
    assert sandbox.url.startswith("https://127.0.0.1:")
    assert read(sandbox, folder, auth=SVC).status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        Client(sandbox.url).table("GET", "incident")
    assert SandboxControl(sandbox.url, folder / "ca.pem").requests[0].user == "svc_airflow"


def test_a_client_certificate_signs_in_the_user_of_its_common_name(sandbox, folder):
    assert read(sandbox, folder, "svc_airflow").status_code == 200
    assert sandbox.requests[-1].user == "svc_airflow"
    assert read(sandbox, folder, "stranger").status_code == 401
    assert read(sandbox, folder).status_code == 401


def test_credentials_count_more_than_a_certificate(sandbox, folder):
    assert read(sandbox, folder, "svc_airflow", ("admin", "admin")).status_code == 200
    assert sandbox.requests[-1].user == "admin"
    assert read(sandbox, folder, "svc_airflow", ("admin", "wrong")).status_code == 401


def test_a_certificate_may_be_a_must(tls, folder):
    with Sandbox(tls=replace(tls, wants_client=True)) as sandbox:
        assert read(sandbox, folder, "stranger", SVC).status_code == 200
        with pytest.raises(requests.exceptions.ConnectionError):
            read(sandbox, folder, None, SVC)


def test_certificates_of_another_authority_are_not_taken(sandbox, folder, tmp_path):
    make_certificates(tmp_path)
    with pytest.raises(requests.exceptions.ConnectionError):
        Client(sandbox.url).table(
            "GET", "incident", verify=str(folder / "ca.pem"), cert=str(tmp_path / "svc_airflow.pem")
        )


def test_who_speaks_no_tls_holds_up_nobody(sandbox, folder):
    port = int(sandbox.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        assert read(sandbox, folder, auth=SVC).status_code == 200
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/", timeout=5)


def test_a_lost_answer_is_lost_over_https_too(sandbox, folder, capfd):
    sandbox.fail_next("drop_after", method="POST")
    with pytest.raises(requests.exceptions.ConnectionError):
        Client(sandbox.url).table("POST", "incident", json={}, verify=str(folder / "ca.pem"))
    assert len(sandbox.records("incident")) == 1


def test_stopping_cuts_open_connections_without_a_word(sandbox, folder, capfd):
    with requests.Session() as session:
        session.trust_env = False  # REQUESTS_CA_BUNDLE would go before what is set on the session
        session.verify = str(folder / "ca.pem")
        session.auth = SVC
        assert session.get(f"{sandbox.url}/api/now/table/incident", timeout=5).status_code == 200
        sandbox.stop()
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(f"{sandbox.url}/api/now/table/incident", timeout=5)
        sandbox.start()
        assert session.get(f"{sandbox.url}/api/now/table/incident", timeout=5).status_code == 200
    assert capfd.readouterr().err == ""


def test_a_certificate_that_is_none_is_refused_at_the_start(tmp_path):
    (tmp_path / "x.pem").write_text("nothing")
    with pytest.raises(OSError, match="PEM"):
        Sandbox(tls=Tls(tmp_path / "x.pem"))


def test_to_want_client_certificates_takes_an_authority():
    with pytest.raises(ValueError, match="authority"):
        Tls("x.pem", wants_client=True)


def test_the_command_makes_certificates_and_serves_https(tmp_path):
    program = str(Path(sys.executable).with_name("servicenow-dq"))
    command = [program, "sandbox", "--port", "0", "--make-certificates", str(tmp_path / "made")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"https://\S+", process.stdout.readline())[0]
            made = tmp_path / "made"
            answer = Client(url, None).table(
                "GET", "incident", verify=str(made / "ca.pem"), cert=str(made / "svc_airflow.pem")
            )
            assert answer.status_code == 200
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert (tmp_path / "made" / "server.pem").stat().st_mode & 0o077 == 0
