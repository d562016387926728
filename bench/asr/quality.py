"""Whether speed was bought with words: errors over the corpus against both modes of faster-whisper, loops, silence."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from avskrift.audio import probe
from avskrift.local.settings import CHECKOUT
from bench.asr.contest import FALLING_BACK, INSTALLED, OURS, Bench, Contestant, Entry, run_loop, serve
from bench.asr.measured import Server
from bench.asr.recordings import Recordings, write_wav
from bench.asr.report import Grid, Part
from bench.asr.sounds import SOUNDS
from bench.asr.statistics import Difference, Unit, paired_difference, pooled_rate
from bench.asr.texts import edits_by_part, loops_in
from bench.report import Narrator
from bench.speech import Recording
from bench.words import percent_apart, words_of

THEIR_MODES = (INSTALLED, FALLING_BACK)
#: What was set: the upper end of the difference in points of word error rate, and the worst clip in words.
HIGHEST_POINTS, WORST_WORDS = 1.0, 2
SOUND_S = 600.0
_SYNTHETIC = "sv_espeak"

Texts = dict[str, str]
"""What each contestant heard, by its name."""


@dataclass(frozen=True)
class Clip:
    """A recording and what is said in it, a sentence a line; nothing where that is not known."""

    recording: Recording
    language: str
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.recording.path.name


def measure(recordings: Recordings, bench: Bench, narrator: Narrator) -> list[Part]:
    """Errors where the text is known, distance from faster-whisper's where it is not, and what is heard in nothing."""
    with ExitStack() as stack:
        servers = {one.name: stack.enter_context(serve(one, bench)) for one in (OURS, *THEIR_MODES)}
        heard = {clip: _hear(clip, servers, bench, narrator) for clip in clips()}
        quick = {name: servers[name] for name in (OURS.name, INSTALLED.name)}
        nothing = {clip: _hear(clip, quick, bench, narrator) for clip in _sounds(bench.folder)}
    return [*parts_of(heard), silence_of(nothing)]


def clips() -> list[Clip]:
    """The corpus and the project's own samples."""
    corpus = Path(os.environ.get("AVSKRIFT_CORPUS") or CHECKOUT.parent / "shared" / "audio")
    files = [*sorted((CHECKOUT / "samples").glob("*.ogg")), *sorted(corpus.glob("*.flac"))]
    return [_clip(path) for path in files]


def _clip(path: Path) -> Clip:
    text = path.with_suffix(".txt")
    spoken = text.read_text(encoding="utf-8") if text.exists() else ""
    language = "sv" if path.name.startswith("sv") else "en"
    return Clip(
        Recording(path, probe(path).duration_s or 0.0, spoken),
        language,
        tuple(line for line in spoken.splitlines() if line.strip()),
    )


def _sounds(folder: Path) -> Iterator[Clip]:
    for name, make in SOUNDS.items():
        path = folder / f"{name}.wav"
        write_wav(path, make(SOUND_S))
        yield Clip(Recording(path, SOUND_S, ""), "sv", ())


def _hear(clip: Clip, servers: Mapping[str, Server], bench: Bench, narrator: Narrator) -> Texts:
    texts = {}
    contestants = {one.name: one for one in (OURS, *THEIR_MODES)}
    for name, server in servers.items():
        entry = Entry(contestants[name], clip.recording, 1, loop=True)
        texts[name] = run_loop(entry, server, replace(bench, language=clip.language)).text
    narrator.say(f"{clip.name}: {', '.join(f'{len(words_of(text))} words' for text in texts.values())}")
    return texts


def parts_of(heard: Mapping[Clip, Texts]) -> list[Part]:
    """The pooled comparison, and a row for each recording."""
    known = {clip: texts for clip, texts in heard.items() if clip.parts}
    better = min(THEIR_MODES, key=lambda mode: pooled_rate(units_of(known, mode), ours=False))
    return [_pooled(known, better, _loops(heard)), _by_recording(heard, better)]


def _loops(heard: Mapping[Clip, Texts]) -> tuple[str, ...]:
    loops = sum(len(loops_in(texts[OURS.name])) for texts in heard.values())
    return _goal("loops in all recordings", "0", str(loops), loops == 0)


def units_of(heard: Mapping[Clip, Texts], theirs: Contestant) -> list[Unit]:
    """A unit for each sentence."""
    units = []
    for clip, texts in heard.items():
        parts = [words_of(part) for part in clip.parts]
        ours, their = (edits_by_part(parts, words_of(texts[name])) for name in (OURS.name, theirs.name))
        names = [f"{clip.name}, sentence {number}" for number in range(1, len(parts) + 1)]
        units += [Unit(n, len(part), a, b) for n, part, a, b in zip(names, parts, ours, their, strict=True)]
    return units


def _pooled(known: Mapping[Clip, Texts], better: Contestant, *others: tuple[str, ...]) -> Part:
    units = units_of(known, better)
    difference = paired_difference(units)
    worst = max(units, key=lambda unit: unit.our_errors - unit.their_errors)
    more = worst.our_errors - worst.their_errors
    clear = [unit for unit in units if not unit.name.startswith(_SYNTHETIC)]
    apart = paired_difference(clear)
    rows = [
        _goal(
            f"points of word error rate more than {better.name} (the better of its modes)",
            f"upper end ≤ +{HIGHEST_POINTS}",
            _told(difference),
            difference.high <= HIGHEST_POINTS,
        ),
        _goal("worst clip, words more", f"≤ {WORST_WORDS}", f"{more:+d} ({worst.name})", more <= WORST_WORDS),
        _goal(
            "the same without the synthetic speech",
            f"upper end ≤ +{HIGHEST_POINTS}",
            f"{_told(apart)} ({sum(unit.words for unit in clear)} words)",
            apart.high <= HIGHEST_POINTS,
        ),
        *others,
    ]
    rates = {"avskrift": pooled_rate(units, ours=True)}
    rates |= {mode.name: pooled_rate(units_of(known, mode), ours=False) for mode in THEIR_MODES}
    shown = ", ".join(f"{name} {rate:.1f}%" for name, rate in rates.items())
    notes = (
        f"{len(known)} recordings, {len(units)} clips (their sentences), "
        f"{sum(unit.words for unit in units)} words; greedy, language given. Pooled: {shown}. Most of it is "
        "espeak-ng's Swedish, which a base model can't follow: the rates are good for comparing and for nothing else.",
        "95%: paired bootstrap over the clips, 10,000 draws.",
    )
    return Part("Quality: goals", Grid(("goal", "wanted", "seen", "reached"), tuple(rows)), notes, {"rates": rates})


def _told(difference: Difference) -> str:
    return f"{difference.points:+.2f}, 95% {difference.low:+.2f} to {difference.high:+.2f}"


def _goal(name: str, wanted: str, seen: str, is_reached: bool) -> tuple[str, ...]:
    return (name, wanted, seen, "yes" if is_reached else "NO")


def _by_recording(heard: Mapping[Clip, Texts], better: Contestant) -> Part:
    rows = tuple(_row(clip, texts, better) for clip, texts in heard.items())
    columns = [f"{name}: words off" for name in (OURS.name, *(mode.name for mode in THEIR_MODES))]
    heading = ("recording", "words said", *columns, f"% of words apart from {better.name}", "loops (ours / theirs)")
    note = "Words off: against what is said. Where that is not known, only the distance between the two texts is told."
    return Part("Quality: by recording", Grid(heading, rows), (note,))


def _row(clip: Clip, texts: Texts, better: Contestant) -> tuple[str, ...]:
    names = (OURS.name, *(mode.name for mode in THEIR_MODES))
    parts = [words_of(part) for part in clip.parts]
    off = [str(sum(edits_by_part(parts, words_of(texts[name])))) if parts else "–" for name in names]
    apart = percent_apart(texts[better.name], texts[OURS.name])
    loops = [len(loops_in(texts[name])) for name in (OURS.name, better.name)]
    said = str(sum(map(len, parts))) if parts else "–"
    return (clip.name, said, *off, f"{apart:.1f}", f"{loops[0]} / {loops[1]}")


def silence_of(heard: Mapping[Clip, Texts]) -> Part:
    """What was heard where nobody speaks; wanted: nothing."""
    names: Sequence[str] = (OURS.name, INSTALLED.name)
    rows = []
    for clip, texts in heard.items():
        counts = [len(words_of(texts[name])) for name in names]
        sound = f"{clip.recording.path.stem}, {clip.recording.duration_s / 60:.0f} min"
        rows.append((sound, "no words", *map(str, counts), "yes" if counts[0] == 0 else "NO"))
    heading = ("sound without speech", "wanted", *(f"{name}: words" for name in names), "reached")
    return Part("Quality: sounds without speech", Grid(heading, tuple(rows)))
