"""Which options the formats heed: the registry says it, and the command line asks for nothing else."""

from __future__ import annotations

from avskrift.cli.output_options import HEARD_BY
from avskrift.formats import FORMATS
from avskrift.formats.format import CUE_OPTIONS


def test_what_a_format_heeds_can_be_asked_for_and_every_option_is_heeded() -> None:
    assert frozenset().union(*(each.heeds for each in FORMATS.values())) == HEARD_BY.keys()
    assert all(HEARD_BY.values())


def test_all_subtitles_heed_the_rules_of_cues() -> None:
    heeding = {name for name, each in FORMATS.items() if each.heeds & CUE_OPTIONS}
    assert heeding == {"srt", "vtt", "ttml", "ass"}
    assert all(FORMATS[name].heeds >= CUE_OPTIONS for name in heeding)
