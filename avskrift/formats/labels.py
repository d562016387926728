"""The words around a transcript in documents: in Swedish where Swedish is spoken, else in English."""

from __future__ import annotations

from dataclasses import dataclass

from avskrift.formats.plain_text import plain
from avskrift.formats.rendition import Rendition
from avskrift.formats.tidy import clock_s, finite
from avskrift.languages import LANGUAGE_NAMES, primary_language
from avskrift.transcript import UNKNOWN_MODEL, Transcript


@dataclass(frozen=True)
class Labels:
    """What documents say besides the transcript. ``code`` is the language they are in."""

    code: str
    transcript: str
    length: str
    language: str
    speakers: str
    words: str
    model: str
    times: str
    estimated: str
    notes: str
    machine_made: str
    no_speech: str
    page: str
    of: str
    search: str
    previous: str
    next: str
    no_matches: str
    play_from: str
    follow: str
    theme: str
    recording: str
    unplayable: str


ENGLISH = Labels(
    code="en",
    transcript="Transcript",
    length="Length",
    language="Language",
    speakers="Speakers",
    words="Words",
    model="Model",
    times="Times",
    estimated="estimated, within half a minute",
    notes="Notes",
    machine_made="Machine transcript, not checked against the recording",
    no_speech="No speech was found in the recording.",
    page="Page",
    of="of",
    search="Search the transcript",
    previous="Previous match",
    next="Next match",
    no_matches="no matches",
    play_from="Play from",
    follow="Follow along",
    theme="Light or dark",
    recording="Recording",
    unplayable="The recording could not be loaded; the text can still be read and searched.",
)
SWEDISH = Labels(
    code="sv",
    transcript="Avskrift",
    length="Längd",
    language="Språk",
    speakers="Talare",
    words="Ord",
    model="Modell",
    times="Tider",
    estimated="uppskattade, inom en halv minut",
    notes="Anmärkningar",
    machine_made="Maskinell avskrift, inte kontrollerad mot inspelningen",
    no_speech="Inget tal hittades i inspelningen.",
    page="Sida",
    of="av",
    search="Sök i avskriften",
    previous="Föregående träff",
    next="Nästa träff",
    no_matches="inga träffar",
    play_from="Spela från",
    follow="Följ med",
    theme="Ljust eller mörkt",
    recording="Inspelning",
    unplayable="Inspelningen kunde inte läsas in; texten går ändå att läsa och söka i.",
)

#: Those that Swedish recordings are most often in; others go by their English names.
_IN_SWEDISH = {
    code: name
    for code, _, name in (
        entry.strip().partition(" ")
        for entry in """
        ar arabiska, bs bosniska, da danska, de tyska, en engelska, es spanska, et estniska, fa persiska, fi finska,
        fo färöiska, fr franska, hi hindi, hr kroatiska, is isländska, it italienska, ku kurdiska, la latin,
        nl nederländska, nn nynorska, no norska, pl polska, ps pashto, ru ryska, so somaliska, sr serbiska, sv svenska,
        ti tigrinja, tr turkiska, uk ukrainska, ur urdu, yi jiddisch, zh kinesiska
        """.split(",")
    )
}


def labels_for(rendition: Rendition) -> Labels:
    """By the language of the text."""
    return SWEDISH if primary_language(rendition.language) == "sv" else ENGLISH


def facts_of(rendition: Rendition, labels: Labels) -> list[tuple[str, str]]:
    """What a reader wants to know of the recording, each with its label."""
    transcript = rendition.transcript
    speakers = dict.fromkeys(name for name in rendition.speaker_names.values() if name)
    estimated = transcript.engine.get("times") == "estimated"
    facts = [
        (labels.length, clock_s(max(0.0, finite(transcript.duration_s) or 0.0))),
        (labels.language, _language_name(transcript.language, labels)),
        (labels.speakers, ", ".join(speakers)),
        (labels.words, f"{transcript.word_count:,}".replace(",", "\u00a0" if labels is SWEDISH else ",")),
        (labels.model, "" if transcript.model == UNKNOWN_MODEL else plain(transcript.model)),
        (labels.times, labels.estimated if estimated else ""),
    ]
    return [(label, value) for label, value in facts if value]


def notes_of(rendition: Rendition) -> list[str]:
    """What the engine warns of."""
    return [note for note in map(plain, rendition.transcript.warnings) if note]


def is_machine_made(transcript: Transcript) -> bool:
    """Made by an engine, ours or another's: not read from subtitles that somebody may have edited."""
    return bool(transcript.engine.get("name"))


def _language_name(code: str | None, labels: Labels) -> str:
    if not code:
        return ""
    primary = primary_language(code)
    in_swedish = _IN_SWEDISH.get(primary) if labels is SWEDISH else None
    return (in_swedish or LANGUAGE_NAMES.get(primary, plain(code))).capitalize()
