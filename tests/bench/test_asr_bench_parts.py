"""What ``scripts/bench asr`` concludes about quality and ideas from what was heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avskrift.asr import embedded, models
from bench.asr import ideas_run
from bench.asr.contest import FALLING_BACK, INSTALLED, OURS, Bench
from bench.asr.ideas import AS_IT_IS, IDEAS, Idea, Trials, Tried
from bench.asr.ideas import part_of as ideas_part
from bench.asr.measured import Usage
from bench.asr.peers import PEERS, Peer, contestants
from bench.asr.quality import Clip, parts_of, silence_of, units_of
from bench.asr.report import Part
from bench.asr.sounds import SOUNDS
from bench.asr.texts import tokens_of
from bench.report import Narrator
from bench.speech import Recording

SAID = ("vi ses i morgon bitti", "ta med dig lax")


def clip(name: str = "a.flac", parts: tuple[str, ...] = SAID) -> Clip:
    return Clip(Recording(Path(name), 600.0, " ".join(parts)), "sv", parts)


def heard(ours: str, batched: str, sequential: str) -> dict[str, str]:
    return {OURS.name: ours, INSTALLED.name: batched, FALLING_BACK.name: sequential}


def goals(part: Part) -> dict[str, tuple[str, ...]]:
    return {row[0]: row for row in part.grid.rows}


@pytest.mark.skipif(not embedded.is_installed(), reason="the base-model extra is not installed")
def test_the_paragraphs_of_a_file_are_no_tokens() -> None:
    directory = models.resolve("base").directory
    assert tokens_of("Vi ses.\n\nTa med lax.\n", directory) == tokens_of("Vi ses. Ta med lax.", directory)


def test_a_unit_is_a_sentence() -> None:
    texts = {clip(): heard("vi ses bitti ta med dig lax", " ".join(SAID), "")}
    units = units_of(texts, INSTALLED)
    assert [(unit.words, unit.our_errors, unit.their_errors) for unit in units] == [(5, 2, 0), (4, 0, 0)]


def test_the_better_of_their_modes_is_what_counts() -> None:
    exact = " ".join(SAID)
    pooled, by_recording = parts_of({clip(): heard(exact, "nej", exact)})
    assert any(FALLING_BACK.name in name for name in goals(pooled))
    assert by_recording.grid.rows[0][1:5] == ("9", "0", "9", "0")
    assert all(row[-1] == "yes" for row in pooled.grid.rows)


def test_what_is_worse_is_said_to_be() -> None:
    exact = " ".join(SAID)
    pooled, _ = parts_of({clip(): heard("ta ta ta ta ta ta", exact, exact)})
    rows = goals(pooled)
    assert rows["worst clip, words more"][2].startswith("+")
    assert rows["loops in all recordings"][2:] == ("1", "NO")
    assert {row[-1] for row in rows.values()} == {"NO"}


def test_a_recording_without_a_text_is_only_compared() -> None:
    unknown = clip("b.flac", ())
    _, by_recording = parts_of({clip(): heard(*[" ".join(SAID)] * 3), unknown: heard("a b", "a c", "a c")})
    row = by_recording.grid.rows[1]
    assert row[:5] == ("b.flac", "–", "–", "–", "–")
    assert row[5] == "50.0"


def test_words_heard_in_silence_are_counted() -> None:
    rows = silence_of({clip("music.wav", ()): {OURS.name: "Tack!", INSTALLED.name: ""}}).grid.rows
    assert rows == (("music, 10 min", "no words", "1", "0", "NO"),)


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_are_as_long_as_asked_for_and_always_the_same(name: str) -> None:
    once, again = SOUNDS[name](3.0), SOUNDS[name](3.0)
    assert len(once) == 3 * 16_000
    assert np.array_equal(once, again)
    assert float(np.max(np.abs(once))) <= 1


def test_ideas_are_held_against_the_unchanged_engine_of_the_same_round(tmp_path: Path) -> None:
    def tried(*walls: float) -> list[Tried]:
        return [Tried(Usage(wall, wall, 1000, 500.0), "") for wall in walls]

    (tmp_path / "tokenizer.json").write_text(
        '{"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}'
    )
    trials: Trials = {AS_IT_IS: tried(1, 10, 1), Idea("slower"): tried(2, 20, 2)}
    rows = ideas_part(trials, clip().recording, Bench(tmp_path, 2, tmp_path)).grid.rows
    assert [row[3] for row in rows] == ["1.00", "2.00"]
    assert rows[0][-1] == "100.0"


@pytest.mark.parametrize("idea", IDEAS, ids=lambda idea: idea.name)
def test_every_idea_finds_in_the_engine_what_it_changes(idea: Idea, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own it is changed for good; here it is given back."""
    monkeypatch.setattr(ideas_run, "setattr", monkeypatch.setattr, raising=False)
    ideas_run.apply(dict(idea.changes))


def test_an_engine_that_is_not_built_so_any_more_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(ideas_run.whisper, "_HOST_TYPES")
    with pytest.raises(AttributeError, match="_HOST_TYPES"):
        ideas_run.apply({"one_by_one": False})


@pytest.mark.slow  # it makes an environment
def test_a_peer_that_can_not_be_installed_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    absent = Peer("absent", "absent", ("avskrift-bench-absent-package==1",), "absent")
    found, skipped = contestants([absent], Bench(tmp_path, 2, tmp_path), Narrator())
    assert found == []
    (reason,) = skipped
    assert reason.startswith("absent is missing: ")
    assert "avskrift-bench-absent-package" in reason


def test_every_peer_has_a_pinned_version() -> None:
    assert all("==" in package for peer in PEERS for package in peer.packages)
