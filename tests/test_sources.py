"""Citations of the two papers: sections that exist, and the right one for what is cited most."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("advisor", "profiler", "trainer", "db", "cli", "benchmarks", "docs")
FILES = sorted(path for room in ROOMS for end in ("py", "md") for path in (ROOT / room).rglob(f"*.{end}"))


def text_of(path):
    return " ".join(path.read_text(encoding="utf-8").split())


def test_no_subsection_of_the_second_section_of_mothernets_is_cited_because_it_has_none():
    cited = re.compile(r"MotherNets\b[^.;)]{0,40}, sections? 2\.\d")
    assert not [path for path in FILES if cited.search(text_of(path))]


@pytest.mark.parametrize(
    ("file", "cited"),
    [
        ("advisor/accuracy/formula.py", "MotherNets, section 3.4 and appendix B"),
        ("trainer/ensembles/metrics.py", "MotherNets, section 3.4 and appendix B"),
        ("advisor/decision/threshold/switchover.py", '"More or Less" (ICLR 2021), section 4.'),
        # The threshold stands in section 4 and the time to single accuracy in section 5.
        ("advisor/decision/threshold/switchover_map.py", '"More or Less" (ICLR 2021), sections 4 and 5.'),
    ],
)
def test_the_variance_identity_and_the_threshold_are_cited_from_where_they_stand(file, cited):
    assert cited in text_of(ROOT / file)
