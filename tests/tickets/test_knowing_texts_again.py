"""A text is known again after what instances do to it, and never taken for another one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_servicenow_dq.sandbox.journal_rewrites import REWRITES, rewritten
from airflow_provider_servicenow_dq.tickets.text import as_kept, stump, text_hash

#: What loses a part of the text: nothing can know that again.
LOSSY = {"cut_at_emoji"}
_rewrites = st.sets(st.sampled_from(sorted(REWRITES.keys() - LOSSY)))
_markup = st.sampled_from(["&", "&amp;", "&lt", ";", "&lt;", "<", "&#34;", '"', "'", "amp;"])
_blanks = st.sampled_from(["\x07", "\x0b", "\x1c", "\x85", "\t", " ", "\r\n", "\n", "\r", "\u00a0", "\u2028"])
_marks = st.sampled_from(["?", "??", "\U0001f600", "\u200d", "ä", "7", "word"])
_texts = st.lists(_markup | _blanks | _marks | st.text(max_size=4), max_size=14).map("".join)


@settings(deadline=None)
@given(_texts, _rewrites)
def test_a_text_is_known_again_after_every_rewrite(text, names):
    assert text_hash(rewritten(text, names)) == text_hash(text)


@settings(deadline=None)
@given(_texts, _rewrites, _rewrites)
def test_a_text_is_known_again_when_it_is_rewritten_twice(text, names, others):
    assert text_hash(rewritten(rewritten(text, names), others)) == text_hash(text)


@settings(deadline=None)
@given(_texts)
def test_what_is_kept_of_what_is_kept_is_the_same(text):
    assert as_kept(as_kept(text)) == as_kept(text)


_words = st.lists(st.text(st.characters(categories=["L", "N"], max_codepoint=0xFFFF), min_size=1), max_size=8)


@settings(deadline=None)
@given(_words, _words)
def test_texts_of_other_words_or_figures_are_others(one, other):
    assert (text_hash(" ".join(one)) == text_hash(" ".join(other))) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4 times by now", "8 times by now"),
        ("rows < 10", "rows > 10"),
        ("a&b", "ab"),
        ("why?", "why"),
        ("12 3", "1 23"),
        ("Zeile", "zeile"),
    ],
)
def test_a_difference_that_no_instance_makes_counts(one, other):
    assert text_hash(one) != text_hash(other)


@pytest.mark.parametrize(
    "kept",
    [
        "x < y & \U0001f600 z",
        "x &lt; y &amp; ???? z\r\n",
        "x &amp;lt; y &amp;amp; ? z",
        " x\t<\ny & \ufffd\x00 z",
    ],
)
def test_what_instances_make_of_a_text_is_the_same_text(kept):
    assert text_hash(kept) == text_hash("x < y & \U0001f600 z")


@pytest.mark.parametrize("nested", ["&" + "amp;" * 20_000, "&amp;" * 20_000, "&lt" * 20_000])
def test_a_text_that_is_escaped_over_and_over_takes_no_time(nested):
    assert re.fullmatch(r"[0-9a-f]{32}", text_hash(nested))


@settings(deadline=None)
@given(_texts, _rewrites)
def test_of_a_text_that_loses_its_end_the_stump_is_known_again(text, names):
    assert text_hash(rewritten(text, names | LOSSY)) == text_hash(stump(text))
