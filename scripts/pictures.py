"""Take the README's screenshots: the forms for a connection and a ticket, a run, an incident it opened."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import up
from playwright.sync_api import sync_playwright
from processes import Stack, StepFailedError, free_port
from surroundings import ROOT

from airflow_provider_servicenow_dq.sandbox.control import SandboxControl

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

PICTURES = ROOT / "docs" / "pictures"
DAG_ID = "flights_quality"
RUN_TIMEOUT_S = 300
SIZE: ViewportSize = {"width": 1280, "height": 900}


def main() -> int:
    """Start what ``make up`` starts, run the example, take the pictures."""
    up.HOME.mkdir(exist_ok=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    airflow_port, sandbox_port = free_port(8080), free_port(8099)
    with Stack(up.settings(airflow_port), up.HOME / "logs") as stack:
        up.start(stack, airflow_port, sandbox_port)
        airflow, servicenow = (f"http://127.0.0.1:{port}" for port in (airflow_port, sandbox_port))
        run_example(stack, airflow)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
            )
            page = browser.new_page(viewport=SIZE)
            page.set_default_timeout(30_000)
            take_connection_form(page, airflow)
            take_run(page, airflow)
            take_ticket_form(page, airflow)
            take_incident(page, servicenow)
            browser.close()
    return 0


def run_example(stack: Stack, airflow: str) -> None:
    """Trigger the example by Airflow's public API and wait for its end."""
    token = ask(f"{airflow}/auth/token", {"username": up.LOGIN, "password": up.LOGIN})["access_token"]
    give_up = time.monotonic() + RUN_TIMEOUT_S
    while DAG_ID not in {dag["dag_id"] for dag in ask(f"{airflow}/api/v2/dags", token=token)["dags"]}:
        time.sleep(1)
    runs = f"{airflow}/api/v2/dags/{DAG_ID}/dagRuns"
    run = ask(runs, {"logical_date": None}, token=token)
    while run["state"] != "success":
        if time.monotonic() > give_up or run["state"] == "failed":
            message = f"the run of {DAG_ID} is {run['state']}"
            raise StepFailedError(message, stack.log("scheduler"))
        time.sleep(1)
        run = ask(f"{runs}/{run['dag_run_id']}", token=token)


def ask(url: str, body: dict[str, Any] | None = None, token: str = "") -> dict[str, Any]:
    """Call Airflow's API."""
    request = urllib.request.Request(  # noqa: S310 (our own Airflow)
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (the same)
        content: dict[str, Any] = json.load(answer)
        return content


def take_connection_form(page: Page, airflow: str) -> None:
    """Log in, open the form for a new connection, choose our type, show what it asks for."""
    page.goto(f"{airflow}/connections")
    page.locator("input[name=username]").fill(up.LOGIN)
    page.locator("input[name=password]").fill(up.LOGIN)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Add Connection").click()
    page.get_by_role("combobox").last.click()
    page.keyboard.type("ServiceNow")
    page.keyboard.press("Enter")
    page.get_by_text("Instance URL").wait_for()
    page.screenshot(path=PICTURES / "connection-form.png")
    page.get_by_text("Extra Fields", exact=True).click()
    page.get_by_text("OAuth client ID").wait_for()
    # High enough for all of the form; the fold takes a moment.
    page.set_viewport_size({"width": 1280, "height": 2300})
    page.wait_for_timeout(1500)
    page.screenshot(path=PICTURES / "connection-form-extra.png")
    page.set_viewport_size(SIZE)


def take_run(page: Page, airflow: str) -> None:
    """Show the example's run."""
    page.goto(f"{airflow}/dags/{DAG_ID}")
    page.get_by_text("open_tickets").first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=PICTURES / "flights-quality.png")


def take_ticket_form(page: Page, airflow: str) -> None:
    """Show the form under *Trigger DAG*, with the choices of a drop-down."""
    page.goto(f"{airflow}/dags/create_ticket")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_text("Impact").first.wait_for()
    page.set_viewport_size({"width": 1280, "height": 1500})
    page.wait_for_timeout(1500)
    page.screenshot(path=PICTURES / "create-ticket.png")
    page.set_viewport_size(SIZE)


def take_incident(page: Page, servicenow: str) -> None:
    """Show the busiest incident as its link in Airflow shows it."""
    control = SandboxControl(servicenow)
    ours = [row for row in control.records("incident") if row["correlation_id"].startswith("dq:")]
    busiest = max(ours, key=lambda row: len(control.notes(row["sys_id"])))
    page.goto(f"{servicenow}/nav_to.do?uri=incident.do?sys_id={busiest['sys_id']}")
    page.screenshot(path=PICTURES / "incident.png", full_page=True)


if __name__ == "__main__":
    sys.exit(main())
