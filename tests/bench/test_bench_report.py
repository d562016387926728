"""The arithmetic of the benches and the tables they print."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from bench.asset import Asset
from bench.machine import describe, limited_to_cores, load_average
from bench.report import Report, Row, Section, ratios, show
from bench.speech import Recording, Round, Run, recording, section
from bench.uploads import stage_rows
from bench.words import percent_apart, word_edits

FIRST = {
    "uploaded": 100.0,
    "queued": 101.0,
    "requested": 101.5,
    "booted": 103.0,
    "claimed": 104.0,
    "transcribed": 107.0,
    "stored": 107.2,
    "received": 107.5,
}


def rows_by_name(rows: tuple[Row, ...]) -> dict[str, Row]:
    return {row.name.strip(): row for row in rows}


def test_stages_are_the_seconds_between_moments() -> None:
    later = {name: at + 50 for name, at in FIRST.items()} | {"queued": 154.0}
    rows = rows_by_name(stage_rows([FIRST, later]))
    assert rows["upload → job registered"].values == pytest.approx((1.0, 4.0))
    assert rows["job registered → instance requested"].values[0] == pytest.approx(0.5)
    assert rows["instance requested → agent start"].values[0] == pytest.approx(1.5)
    assert rows["agent start → first audio second decoded"].values[0] == pytest.approx(4.0)
    assert rows["results stored → webhook received"].values[0] == pytest.approx(0.3)


def test_median_is_of_all_runs() -> None:
    assert Row("import", "s", (9.0, 1.0, 2.0)).median == 2.0


def test_ratios_compare_within_a_round() -> None:
    assert ratios("ours / theirs", [1.0, 20.0], [2.0, 40.0]).values == (0.5, 0.5)


def test_ratios_need_a_partner_for_every_run() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios("ours / theirs", [1.0, 2.0], [2.0])


def test_speech_section_holds_both_engines_against_each_other() -> None:
    ours, theirs = Run(5.0, 1.0, 4.0, "Hej på dig."), Run(10.0, 2.0, 8.0, "Hej på dej")
    with_words = Run(20.0, 2.0, 16.0, "Hej på dej")
    rounds = [Round(ours, theirs, with_words), Round(ours, theirs)]
    rows = rows_by_name(section(Recording(Path("a.flac"), 100.0, "hej på dig"), rounds).rows)
    assert rows["real-time factor, whole process: avskrift, with word times"].median == 0.05
    assert rows["avskrift / faster-whisper batched, whole process"].values == (0.5, 0.5)
    assert rows["avskrift / the same with word times, model loaded"].values == (0.25,)
    assert rows["words that differ between the two texts"].median == pytest.approx(100 / 3)
    assert rows["word error rate: avskrift"].median == 0.0


def test_capitals_and_punctuation_are_no_differences() -> None:
    assert percent_apart("Hej, på dig!", "hej på dig") == 0.0


@pytest.mark.parametrize(
    ("heard", "edits"), [("a b c", 0), ("a x c", 1), ("a c", 1), ("a b b c", 1), ("", 3), ("x y z å", 4)]
)
def test_word_edits_count_the_fewest_changes(heard: str, edits: int) -> None:
    assert word_edits("a b c".split(), heard.split()) == edits


def test_nothing_said_and_nothing_heard_are_equal() -> None:
    assert percent_apart("", "") == 0.0


def test_machine_code_in_the_asset_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "asset.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lambdas/register.py", "import json\n")
        archive.writestr("fast/_speedups.cpython-311-x86_64-linux-gnu.so", b"anything")
        archive.writestr("fast/tool", b"\x7fELF\x02")
    rows = rows_by_name(Asset(path).rows())
    assert rows["files in the asset"].median == 3
    assert rows["files of them with machine code (pure Python: 0)"].median == 2


def test_without_a_corpus_the_sample_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVSKRIFT_CORPUS", str(tmp_path / "absent"))
    recorded = recording(tmp_path, quick=True)
    assert recorded.path.parent == tmp_path
    assert recorded.duration_s >= 60
    assert recorded.spoken.count("Stockholm") == recorded.duration_s // 17


def test_cores_are_given_back() -> None:
    before = describe(load_average())["cores"]
    with limited_to_cores(1) as cores:
        assert cores == describe(load_average())["cores"] == 1
    assert describe(load_average())["cores"] == before


def test_table_and_json_carry_the_same_numbers() -> None:
    rows = (Row("webhook", "s", (0.25, 0.5, 4.0)), Row("asset", "MB", (1.5,)))
    report = Report("pipeline", True, {"cores": 2}, {"av": "18.1"}, (Section("Chain", rows),))
    output = io.StringIO()
    show(Console(file=output), report)
    text = output.getvalue()
    for shown in ("Chain", "webhook", "0.50 s", "0.25", "4.00", "1.50 MB", "cores 2", "av 18.1", "--quick"):
        assert shown in text
    values = json.loads(json.dumps(report.to_dict()))
    assert values["sections"][0]["rows"][0] == {
        "name": "webhook",
        "unit": "s",
        "median": 0.5,
        "values": [0.25, 0.5, 4.0],
    }
