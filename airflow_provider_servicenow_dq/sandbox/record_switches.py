"""What an administrator can set about records: access, policies, values, and what else tables have.

Where the vendor's pages say nothing or contradict one another, there is a switch, so that a client can be
tested against both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields

from airflow_provider_servicenow_dq.sandbox.customising import ChoiceList, customised, priorities
from airflow_provider_servicenow_dq.sandbox.journal_rewrites import REWRITES
from airflow_provider_servicenow_dq.sandbox.locales import locale

_RULE = re.compile(r"(?P<table>[a-z0-9_]+)(?:\.(?P<column>[a-z0-9_]+))?(?: when (?P<query>.+))?", re.DOTALL)
#: Switches whose texts name a column and have no condition.
_COLUMNS = ("unreadable", "unwritable", "unique", "dynamic_creation", "query_range")
_RULES = ("mandatory", "abort", "hidden")


@dataclass(frozen=True, slots=True)
class Rule:
    """One administrator's rule, written ``table[.column][ when encoded query]``."""

    table: str
    column: str
    query: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read a rule.

        :raises ValueError: The text is not of that form.
        """
        match = _RULE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not of the form TABLE[.COLUMN][ when QUERY]")
        return cls(match["table"], match["column"] or "", match["query"] or "")


@dataclass(frozen=True, slots=True)
class RecordSwitches:
    """The switches about records; the defaults are those of an instance that nobody has hardened."""

    case_sensitive_equality: bool = field(
        default=False, metadata={"help": "Compare strings with case, as on Oracle; MySQL does not."}
    )
    invalid_query_returns_no_rows: bool = field(
        default=False,
        metadata={"help": "An invalid part of a query matches nothing instead of being ignored."},
    )
    query_dates: str = field(
        default="utc",
        metadata={
            "help": "The zone of dates in queries that are no scripts: UTC, or that of the user.",
            "one_of": ("utc", "user"),
        },
    )
    query_range: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "A query range ACL, TABLE.COLUMN: of others than admin, conditions on the column other "
            "than equality match nothing.",
            "metavar": "COLUMN",
        },
    )
    no_count_last_link: bool = field(
        default=False, metadata={"help": "The Link header has a last page also with sysparm_no_count."}
    )
    journal_acl: bool = field(
        default=False, metadata={"help": "sys_journal_field answers 200 with no rows to everyone but admin."}
    )
    journal_rewrites: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "What becomes of the text of work notes and comments: control characters removed, cut at "
            "the first character of four bytes, or ???? in its place, HTML escaped, blanks tidied, "
            "line ends as CRLF.",
            "some_of": tuple(REWRITES),
        },
    )
    allow_non_existing_choice: bool = field(
        default=False, metadata={"help": "Store unknown choice values instead of discarding them."}
    )
    choice_labels: bool = field(
        default=False,
        metadata={"help": "Labels count as choice values also without sysparm_input_display_value."},
    )
    long_strings: str = field(
        default="cut",
        metadata={
            "help": "What is longer than a varchar column: cut without a word, or the record refused.",
            "one_of": ("cut", "refuse"),
        },
    )
    admin_only_sys_fields: bool = field(
        default=False, metadata={"help": "Ignore sys_id and sys_created_* sent by others than admin."}
    )
    duplicate_status: str = field(
        default="403",
        metadata={
            "help": "The status of an insert or update that a unique key refuses.",
            "one_of": ("400", "403", "409", "500"),
        },
    )
    unique: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A unique index, TABLE.COLUMN; empty values do not count.", "metavar": "COLUMN"},
    )
    close_code_set: str = field(
        default="new",
        metadata={
            "help": "Resolution codes: before San Diego, since, or both.",
            "one_of": ("old", "new", "both"),
        },
    )
    resolution_mandatory: bool = field(
        default=True, metadata={"help": "A data policy wants close_code and close_notes to resolve or close."}
    )
    problem_transitions: str = field(
        default="strict",
        metadata={
            "help": "Problems go through their states in order and with what each state wants, or anyhow.",
            "one_of": ("strict", "free"),
        },
    )
    priority_lookup: str = field(
        default="always",
        metadata={
            "help": "When priority is looked up: on every write, or on those that change impact or urgency.",
            "one_of": ("always", "on_change"),
        },
    )
    matrix: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "A row of the priority look-up, IMPACT,URGENCY=PRIORITY; without a priority it goes.",
            "metavar": "ROW",
        },
    )
    choice: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "The choices of a column in place of its own: "
            "TABLE.COLUMN[ when DEPENDENT]=VALUE[:LABEL]|VALUE[:LABEL]….",
            "metavar": "LIST",
        },
    )
    table: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "One more table, u_NAME[ extends TABLE][ for ROLE,ROLE]: who may write, else itil.",
            "metavar": "TABLE",
        },
    )
    column: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "One more column, TABLE.u_NAME[:KIND[:LENGTH or TABLE]], of kind string, choice, "
            "integer, boolean, datetime, journal, reference or list; or another length of a column, "
            "TABLE.COLUMN:string:LENGTH.",
            "metavar": "COLUMN",
        },
    )
    mandatory: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A data policy, TABLE.COLUMN[ when QUERY]: the column must not be empty."},
    )
    abort: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A business rule, TABLE[ when QUERY]: records that match are not saved."},
    )
    hidden: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A read ACL, TABLE[ when QUERY]: only admin sees such rows; all are counted."},
    )
    unreadable: tuple[str, ...] = field(
        default=(),
        metadata={"help": "A field ACL, TABLE.COLUMN: left out of every answer to others than admin."},
    )
    unwritable: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "A field ACL, TABLE.COLUMN: what others than admin write to it is ignored.",
            "metavar": "COLUMN",
        },
    )
    api_acl: bool = field(
        default=True,
        metadata={"help": "The access rule of the REST API itself is active: 403 to users without a role."},
    )
    reference_names: str = field(
        default="raw",
        metadata={
            "help": "A name written to a reference without sysparm_input_display_value: "
            "stored raw, resolved or discarded.",
            "one_of": ("raw", "resolve", "discard"),
        },
    )
    dynamic_creation: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "A reference, TABLE.COLUMN: a display value that finds no record makes one.",
            "metavar": "COLUMN",
        },
    )
    time_zone: str = field(
        default="UTC",
        metadata={"help": "Time zone of users without one of their own: display values and gs.* dates."},
    )
    date_format: str = field(
        default="yyyy-MM-dd", metadata={"help": "Date format of users without one of their own."}
    )
    time_format: str = field(
        default="HH:mm:ss", metadata={"help": "Time format of users without one of their own."}
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            allowed = option.metadata.get("one_of")
            if allowed and getattr(self, option.name) not in allowed:
                raise ValueError(f"{option.name} must be one of {', '.join(allowed)}")
            known = option.metadata.get("some_of")
            if known and not set(getattr(self, option.name)) <= set(known):
                raise ValueError(f"{option.name} must be some of {', '.join(known)}")
        for name in (*_RULES, *_COLUMNS):
            rules = [Rule.parse(text) for text in getattr(self, name)]
            if name == "mandatory" and not all(rule.column for rule in rules):
                raise ValueError("a mandatory rule names a column: TABLE.COLUMN[ when QUERY]")
            if name not in _RULES and not all(rule.column and not rule.query for rule in rules):
                raise ValueError(f"{name} names a column and has no condition: TABLE.COLUMN")
        schema = customised(self.table, self.column)
        for listed in map(ChoiceList.parse, self.choice):
            column = schema[listed.table].columns.get(listed.column) if listed.table in schema else None
            if column is None or not column.choice:
                raise ValueError(f"{listed.table}.{listed.column} is no choice column")
        priorities(self.matrix)
        locale(self.time_zone, self.date_format, self.time_format)
