"""The simulation can fail: every known mistake, switched on by itself, is caught."""

import re

import pytest

from devtools.places import ROOT
from tests.simulation.mutants import MOST_SEEDS, MUTANTS, Mutant, hunt


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_a_known_mistake_is_caught(mutant: Mutant):
    """By what it does, not because it does not fit the code any more."""
    caught = hunt(mutant)
    assert caught is not None, f"{mutant.name} survived {MOST_SEEDS} seeds"
    assert not re.search(r"raised (Type|Attribute|Name)Error", caught[1]), caught


def test_every_known_mistake_stands_in_the_report():
    """With the seed that showed it when the report was written."""
    report = (ROOT / "docs" / "reliability.md").read_text().partition("## Known mistakes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| \d+ \| [^|]+ \|$", report, re.MULTILINE)
    assert rows == [mutant.name for mutant in MUTANTS]


def test_a_mutant_is_gone_when_it_is_switched_off():
    for mutant in MUTANTS:
        before = [getattr(owner, name) for owner, name, _ in mutant.replacements]
        with mutant.active():
            assert [getattr(owner, name) for owner, name, _ in mutant.replacements] != before
        assert [getattr(owner, name) for owner, name, _ in mutant.replacements] == before
