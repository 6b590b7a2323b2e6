"""Encoded queries as text: ``active=true^priority=1^ORpriority=2^NQnumber=INC1^ORDERBYnumber``.

Read after the vendor's page "Operators available for filters and queries"; the escape ``^^`` is that of
``GlideStringUtil.escapeQueryTermSeparator``.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

#: Operators by length, so that the longest that fits is taken.
OPERATORS = sorted(
    (
        "=", "!=", "<", ">", "<=", ">=", "*", "!*", "%",
        "ISEMPTY", "ISNOTEMPTY", "ANYTHING", "EMPTYSTRING", "SAMEAS", "NSAMEAS",
        "STARTSWITH", "ENDSWITH", "LIKE", "CONTAINS", "NOT LIKE", "NOTLIKE",
        "IN", "NOT IN", "BETWEEN", "ON", "NOTON", "INSTANCEOF", "DATEPART", "DYNAMIC", "IN_HIERARCHY",
        "RELATIVEGT", "RELATIVEGE", "RELATIVELT", "RELATIVELE", "RELATIVEEE", "MORETHAN", "LESSTHAN",
        "GT_FIELD", "LT_FIELD", "GT_OR_EQUALS_FIELD", "LT_OR_EQUALS_FIELD",
    ),
    key=len,
    reverse=True,
)  # fmt: skip

_TERM = re.compile(r"((?:[^^]|\^\^)*)(?:\^|\Z)")
_FIELD = re.compile(r"(?P<name>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)(?P<rest>.*)", re.DOTALL)
_RELATED = re.compile(
    r"(?P<table>[a-z0-9_]+)\.(?P<column>[a-z0-9_]+),(?P<operator><=|>=|<|>|=)(?P<count>\d+)"
)
_JOIN = re.compile(
    r"(?:[a-z0-9_]+\.)?(?P<left>[a-z0-9_]+)=(?P<table>[a-z0-9_]+)\.(?P<right>[a-z0-9_]+)(?:!(?P<query>.*))?",
    re.DOTALL,
)

#: Names of conditions that are about no column of their own.
TEXT_SEARCH = "123TEXTQUERY321"
RELATED_LIST = "RLQUERY"
JOIN = "JOIN"


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: a (dot-walked) column, an operator and the literal after it."""

    path: str
    operator: str
    value: str


@dataclass
class EncodedQuery:
    """A query that was taken apart.

    ``groups`` are joined by OR (``^NQ``), the chains of a group by AND, the conditions of a chain by OR.
    """

    groups: list[list[list[Condition]]] = field(default_factory=lambda: [[]])
    order: list[tuple[str, bool]] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)


def split_terms(text: str) -> list[str]:
    """Cut an encoded query at its separators; ``^^`` is a literal ``^``."""
    return [term.replace("^^", "^") for term in _TERM.findall(text) if term]


def parse_query(text: str) -> EncodedQuery:
    """Take an encoded query apart; what cannot be read lands in ``invalid``."""
    query = EncodedQuery()
    terms = iter(split_terms(text))
    for term in terms:
        if term.startswith(RELATED_LIST):
            inner = itertools.takewhile(lambda each: each != "ENDRLQUERY", terms)
            condition = "^".join(each.replace("^", "^^") for each in inner)
            query.groups[-1].append([Condition(RELATED_LIST, condition, term.removeprefix(RELATED_LIST))])
        else:
            _add_term(query, term)
    return query


def _add_term(query: EncodedQuery, term: str) -> None:
    if term.startswith("ORDERBYDESC"):
        query.order.append((term.removeprefix("ORDERBYDESC"), True))
    elif term.startswith(("ORDERBY", "GROUPBY")):
        query.order.append((term.removeprefix("ORDERBY").removeprefix("GROUPBY"), False))
    elif term == "EQ":
        return
    elif term.startswith("NQ"):
        query.groups.append([])
        _add_condition(query, term.removeprefix("NQ"), alternative=False)
    elif term.startswith("OR"):
        _add_condition(query, term.removeprefix("OR"), alternative=True)
    else:
        _add_condition(query, term, alternative=False)


def _add_condition(query: EncodedQuery, term: str, *, alternative: bool) -> None:
    group = query.groups[-1]
    if not alternative or not group:
        group.append([])
    condition = parse_condition(term)
    if condition is None:
        query.invalid.append(term)
    else:
        group[-1].append(condition)


def parse_condition(term: str) -> Condition | None:
    """Read one comparison, or return None where it is none."""
    if term.startswith(JOIN):
        return Condition(JOIN, "", term.removeprefix(JOIN))
    if term.startswith(f"{TEXT_SEARCH}="):
        return Condition(TEXT_SEARCH, "", term.partition("=")[2])
    match = _FIELD.fullmatch(term)
    if match is None:
        return None
    for operator in OPERATORS:
        if match["rest"].startswith(operator):
            return Condition(match["name"], operator, match["rest"].removeprefix(operator))
    return None


def parse_related(value: str) -> tuple[str, str, str, int] | None:
    """Read ``incident.problem_id,>=1`` as table, reference column, operator and count."""
    match = _RELATED.fullmatch(value)
    return (match["table"], match["column"], match["operator"], int(match["count"])) if match else None


def parse_join(value: str) -> tuple[str, str, str, str] | None:
    """Read ``task.opened_by=sys_user.sys_id!active=true`` as left column, table, right column and query."""
    match = _JOIN.fullmatch(value)
    return (match["left"], match["table"], match["right"], match["query"] or "") if match else None
