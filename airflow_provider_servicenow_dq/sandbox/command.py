"""``servicenow-dq sandbox``: a ServiceNow to try on this machine."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any, TextIO

import click

from airflow_provider_servicenow_dq.sandbox import certificates
from airflow_provider_servicenow_dq.sandbox.data import API_KEYS, OAUTH_CLIENTS, USERS, SeedUser
from airflow_provider_servicenow_dq.sandbox.locales import locale
from airflow_provider_servicenow_dq.sandbox.server import Sandbox
from airflow_provider_servicenow_dq.sandbox.switches import Switches
from airflow_provider_servicenow_dq.sandbox.tls import Tls

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LOOPBACK = ("127.0.0.1", "localhost")


def _read_users(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[SeedUser, ...]:
    """Read ``NAME:PASSWORD:ROLES[:ZONE[:DATE_FORMAT]]``, the roles joined by commas."""
    users = []
    for text in texts:
        match text.split(":"):
            case [name, password, roles, *seen] if name and password and len(seen) <= 2:  # noqa: PLR2004  # zone, format
                held = tuple(role for role in roles.split(",") if role)
                zone, date_format = [*seen, "", ""][:2]
                try:
                    locale(zone or "UTC", date_format or "yyyy-MM-dd", "HH:mm:ss")
                except ValueError as error:
                    raise click.BadParameter(str(error)) from error
                users.append(SeedUser(name, name, password, held, time_zone=zone, date_format=date_format))
            case _:
                raise click.BadParameter(f"{text!r} is not NAME:PASSWORD:ROLES[:ZONE[:DATE_FORMAT]]")
    return tuple(users)


def _switch(option: Field[Any]) -> click.Option:
    """Return the option of one switch; its default is left to :class:`Switches`."""
    flag = f"--{option.name.replace('_', '-')}"
    text = option.metadata["help"]
    if isinstance(option.default, bool):
        return click.Option([f"{flag}/--no{flag[1:]}"], default=option.default, show_default=True, help=text)
    if isinstance(option.default, tuple):
        names = option.metadata.get("some_of")
        values: dict[str, Any] = (
            {"type": click.Choice(names)} if names else {"metavar": option.metadata.get("metavar", "RULE")}
        )
        return click.Option([flag], multiple=True, help=f"{text} Repeatable.", **values)
    kind: Any = type(option.default)
    if "one_of" in option.metadata:
        kind = click.Choice(option.metadata["one_of"])
    return click.Option([flag], default=option.default, type=kind, show_default=True, help=text)


def _sign_ins(users: tuple[SeedUser, ...]) -> str:
    """Return who can sign in, a line each."""
    lines = [
        f"  {user.user_name} / {user.password}  ({', '.join(user.roles) or 'no role'})"
        for user in users
        if user.password and user.active
    ]
    lines += [
        f"  OAuth client {client} / {secret}  (acts as {user})" for client, secret, user in OAUTH_CLIENTS
    ]
    lines += [f"  API key {key}  (acts as {user})" for key, user in API_KEYS]
    return "\n".join(lines)


@click.command(epilog="\b\nUsers:\n" + _sign_ins(USERS))
@click.option("--port", default=8099, show_default=True, help="0 takes a free one.")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Anybody who reaches it can use its controls."
)
@click.option(
    "--user",
    "users",
    multiple=True,
    metavar="NAME:PASSWORD:ROLES[:ZONE[:DATE_FORMAT]]",
    callback=_read_users,
    help="One more user, roles joined by commas; dates are shown in the zone and format. Repeatable.",
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SQLite file that keeps the records, also if the sandbox is killed; it is made if need be.",
)
@click.option(
    "--jwt-key",
    type=click.File(),
    help="Public key or certificate (PEM) of an OAuth client that sends JWT assertions, instead of the pair "
    "whose private half is at /sandbox/jwt_private_key.",
)
@click.option("--certificate", type=_FILE, help="Certificate (PEM) to serve https with.")
@click.option("--private-key", type=_FILE, help="The key to it, unless it is in the same file.")
@click.option(
    "--client-ca",
    type=_FILE,
    help="Authority (PEM) of client certificates; their common name is the user who signs in with one.",
)
@click.option("--client-certificate-required", is_flag=True, help="Refuse connections without one.")
@click.option(
    "--make-certificates",
    type=click.Path(file_okay=False, path_type=Path),
    help="Serve https with throw-away certificates made in this directory: ca.pem to believe in, and one "
    "with its key for each user, such as svc_airflow.pem.",
)
def sandbox(
    port: int,
    host: str,
    users: tuple[SeedUser, ...],
    file: Path | None,
    jwt_key: TextIO | None,
    certificate: Path | None,
    private_key: Path | None,
    client_ca: Path | None,
    client_certificate_required: bool,  # noqa: FBT001  # click passes it by name
    make_certificates: Path | None,
    **switches: Any,
) -> None:
    """Run a ServiceNow to try until Ctrl-C."""
    try:
        key = jwt_key.read() if jwt_key else None
        tls = Tls(certificate, private_key, client_ca) if certificate else None
        if make_certificates:
            tls = certificates.make_certificates(
                make_certificates, [user.user_name for user in (*USERS, *users)]
            )
        if tls is not None:
            tls = replace(tls, wants_client=client_certificate_required)
        instance = Sandbox(port, host=host, users=users, jwt_key=key, tls=tls, file=file, **switches)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if host not in _LOOPBACK:
        click.echo("Warning: whoever reaches this address can read and change everything in it.", err=True)
    # A shell that starts us in the background of a script has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with instance, contextlib.suppress(KeyboardInterrupt):
        click.echo(f"ServiceNow sandbox at {instance.url}\n{_sign_ins((*USERS, *users))}\nCtrl-C ends it.")
        instance.wait()


sandbox.params += [_switch(option) for option in fields(Switches)]
