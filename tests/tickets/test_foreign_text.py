"""Foreign text on its way onto a ticket."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.tickets.text import CUT_MARK, cut, harmless, one_line, paged

_code = st.sampled_from(["[code]", "[/code]", "[CODE]", "[/Code]", "[", "]", "/", "code", " ", "x"])
_with_code = st.lists(_code | st.text(max_size=5), max_size=20).map("".join)
_limits = st.integers(min_value=len(CUT_MARK), max_value=60)


@settings(deadline=None)
@given(st.text(max_size=80), _limits)
def test_a_cut_text_never_exceeds_its_limit_and_shows_that_it_was_cut(text, limit):
    result = cut(text, limit)

    assert len(result) <= limit
    if len(text) <= limit:
        assert result == text
    else:
        assert result.endswith(CUT_MARK)
        assert text.startswith(result.removesuffix(CUT_MARK))
        assert len(result) == limit


@settings(deadline=None)
@given(_with_code)
def test_no_code_markup_survives(text):
    result = harmless(text)

    assert not re.search(r"\[/?code\]", result, re.IGNORECASE)
    assert result.replace("[ ", "[").lower() == text.replace("[ ", "[").lower()


@settings(deadline=None)
@given(_with_code)
def test_making_a_text_harmless_twice_changes_nothing_more(text):
    assert harmless(harmless(text)) == harmless(text)


@settings(deadline=None)
@given(_with_code, _limits)
def test_cutting_a_harmless_text_leaves_it_harmless(text, limit):
    assert cut(harmless(text), limit) == harmless(cut(harmless(text), limit))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[code]<b>x</b>[/code]", "[ code]<b>x</b>[ /code]"),
        ("[CODE]x[/Code]", "[ code]x[ /code]"),
        ("arr[code] and [core]", "arr[ code] and [core]"),
        ("nothing", "nothing"),
    ],
)
def test_markup_stays_readable(text, expected):
    assert harmless(text).lower() == expected.lower()


_lines = st.lists(st.text(st.characters(exclude_characters="\n\r"), min_size=1, max_size=40), max_size=30)


@settings(deadline=None)
@given(st.text("ab #", min_size=1, max_size=10), _lines, st.integers(min_value=40, max_value=120))
def test_every_line_is_on_exactly_one_page_under_the_heading(heading, lines, limit):
    pages = paged(heading, lines, limit)

    assert all(len(page) <= limit for page in pages)
    assert all(page.startswith(f"{heading}\n") for page in pages)
    body = [line for page in pages for line in page.removeprefix(f"{heading}\n").split("\n")]
    assert body == [cut(line, limit - len(heading) - 1) for line in lines]


def test_no_lines_are_no_pages():
    assert paged("heading", [], 100) == []


def test_pages_are_filled_before_a_new_one_begins():
    assert paged("h", ["aaaa", "bb", "cccc"], 9) == ["h\naaaa\nbb", "h\ncccc"]


@pytest.mark.parametrize("text", ["a\tb  c\r\nd", " a b\nc d ", "a b c d"])
def test_white_space_of_any_kind_is_one_blank(text):
    assert one_line(text) == "a b c d"
