"""CVSS vectors and what they come to, against the examples of FIRST (first.org/cvss/v3-1/examples, v4-0/examples)."""

from __future__ import annotations

import pytest

from twokey.packages import rating
from twokey.packages.rating import Rating


@pytest.mark.parametrize(
    ("vector", "score", "word"),
    [
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1, "moderate", id="CVE-2013-1937"),
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4, "moderate", id="CVE-2013-0375"),
        pytest.param("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1, "low", id="CVE-2014-3566"),
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9, "critical", id="CVE-2012-1516"),
        pytest.param("CVSS:3.1/AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2, "moderate", id="CVE-2009-0783"),
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 8.8, "high", id="CVE-2012-0384"),
        pytest.param("CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 7.8, "high", id="CVE-2015-1098"),
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5, "high", id="CVE-2014-0160"),
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, "critical", id="CVE-2014-6271"),
        pytest.param("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:C/C:N/I:H/A:N", 6.8, "moderate", id="CVE-2008-1447"),
        pytest.param("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N", 4.6, "moderate", id="CVE-2014-2019"),
        pytest.param("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:N", 7.4, "high", id="CVE-2014-0224"),
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:H/I:H/A:H", 9.6, "critical", id="CVE-2012-5376"),
        pytest.param("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:L/I:N/A:N", 5.8, "moderate", id="CVE-2010-0467"),
        pytest.param(
            "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 7.3, "high", id="CVE-2022-41741"
        ),
        pytest.param(
            "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N", 8.3, "high", id="CVE-2023-3089"
        ),
        pytest.param(
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:A/VC:N/VI:N/VA:N/SC:L/SI:L/SA:N", 5.1, "moderate", id="CVE-2022-21830"
        ),
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0, "info", id="no impact"),
        # What passes with time is no part of the base score.
        pytest.param("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:U", 9.8, "critical", id="temporal"),
    ],
)
def test_a_vector_has_the_score_and_the_severity_that_the_specification_gives_it(
    vector: str, score: float, word: str
) -> None:
    assert rating.of_vector(vector) == Rating(score, word)


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "7.5",
        "CVSS:3.1/",
        "CVSS:3.1/AV:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/",
        "CVSS:3.1/AV:N/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.1/AV:Q/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:3.2/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:4.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "CVSS:4.1/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "AV:N/AC:L/Au:N/C:P/I:P/A:P",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" + "/E:X" * 100,
    ],
)
def test_what_is_no_vector_of_a_known_version_has_no_rating(vector: str) -> None:
    assert rating.of_vector(vector) is None
