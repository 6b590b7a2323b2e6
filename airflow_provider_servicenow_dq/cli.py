"""Console script ``servicenow-dq``; what a command needs is imported when it is called."""

from __future__ import annotations

import importlib

import click

#: Command to its place and the line that ``--help`` prints for it.
_COMMANDS = {
    "outbox": (
        "airflow_provider_servicenow_dq.commands.outbox:outbox",
        "List and decide about what waits for ServiceNow.",
    ),
    "plan": (
        "airflow_provider_servicenow_dq.commands.plan:plan",
        "Say what would be sent for a payload.",
    ),
    "sandbox": (
        "airflow_provider_servicenow_dq.sandbox.command:sandbox",
        "Run a ServiceNow to try on this machine.",
    ),
    "store": (
        "airflow_provider_servicenow_dq.commands.store:group",
        "Look after the store.",
    ),
}


class _LazyGroup(click.Group):
    """Lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="airflow-provider-servicenow-dq", prog_name="servicenow-dq")
def main() -> None:
    """Data-quality anomalies become ServiceNow incidents, exactly once."""
