"""Advanced SubStation Alpha, for players and editors that style subtitles. Its times have hundredths of a second."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from avskrift.formats.cues import Cue, Fragment
from avskrift.formats.format import CUE_OPTIONS, Format
from avskrift.formats.highlight import Span, spoken_spans
from avskrift.formats.overrides import without_overrides
from avskrift.formats.rendition import Rendition

_WIDTH_PX, _HEIGHT_PX = 1920, 1080
_FONT_SIZE_PX = 64
_SPOKEN, _UNSPOKEN = r"\c&H00FFFF&", r"\c&HFFFFFF&"


@dataclass
class _Event:
    """A cue in hundredths of a second."""

    start_cs: int
    end_cs: int
    speakers: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def render(rendition: Rendition) -> str:
    """One event for a cue; with ``highlight_words`` colour follows the voice within it."""
    from pysubs2 import Alignment, Color, SSAEvent, SSAFile, SSAStyle

    subtitles = SSAFile()
    subtitles.info.update(_script_info(rendition))
    subtitles.styles["Default"] = SSAStyle(
        fontname="Arial",
        fontsize=_FONT_SIZE_PX,
        backcolor=Color(0, 0, 0, 128),
        outline=3.0,
        shadow=1.0,
        alignment=Alignment.BOTTOM_CENTER,
        marginl=_WIDTH_PX // 20,
        marginr=_WIDTH_PX // 20,
        marginv=_HEIGHT_PX // 20,
    )
    for event in _events(rendition.cues, rendition):
        subtitles.events.append(
            SSAEvent(
                start=10 * event.start_cs,
                end=10 * event.end_cs,
                name=" ".join(dict.fromkeys(event.speakers)),
                text=r"\N".join(event.lines),
            )
        )
    return _written(subtitles)


def _written(subtitles: object) -> str:
    """As pysubs2 writes it, but for times of ten hours and more, which it cuts off."""
    from io import StringIO

    from pysubs2.formats.substation import SubstationFormat

    class Unbounded(SubstationFormat):
        @staticmethod
        def ms_to_timestamp(requested_ms: int) -> str:
            return _clock(requested_ms // 10)

    content = StringIO()
    Unbounded.to_file(subtitles, content, "ass", header_notice="Made by avskrift")  # type: ignore[arg-type]
    return content.getvalue()


def _clock(cs: int) -> str:
    """``H:MM:SS.cc``; hours grow beyond 9."""
    seconds, cs = divmod(cs, 100)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}.{cs:02d}"


def _script_info(rendition: Rendition) -> dict[str, str]:
    return {
        "Title": rendition.title,
        "PlayResX": str(_WIDTH_PX),
        "PlayResY": str(_HEIGHT_PX),
        "WrapStyle": "0",
        "ScaledBorderAndShadow": "yes",
        "YCbCr Matrix": "None",
    }


def _events(cues: Iterable[Cue], rendition: Rendition) -> list[_Event]:
    """Times rounded down, so that none is later than it was. A cue of which nothing is left joins the one before: no
    event is empty, and none overlaps another."""
    events: list[_Event] = []
    for cue in cues:
        start_cs = cue.start_ms // 10
        end_cs = max(cue.end_ms // 10, start_cs + 1)
        if events and start_cs < events[-1].end_cs:
            start_cs = events[-1].end_cs
        if not events or start_cs < end_cs:
            events.append(_Event(start_cs, end_cs))
        _add(cue, events[-1], rendition)
    return events


def _add(cue: Cue, event: _Event, rendition: Rendition) -> None:
    spans = spoken_spans(cue) if rendition.options.highlight_words else {}
    for row, line in enumerate(cue.lines):
        name = rendition.speaker_names.get(line.speaker)
        if name:
            event.speakers.append(name.replace(",", " "))
        words = (
            _coloured(fragment, spans.get((row, column)), 10 * event.start_cs)
            for column, fragment in enumerate(line.fragments)
        )
        event.lines.append("".join(words) if spans else without_overrides(line.text))


def _coloured(fragment: Fragment, span: Span | None, event_ms: int) -> str:
    """A word in another colour while it is spoken, in milliseconds from its event's start."""
    if span is None:
        return without_overrides(fragment.text)
    start_ms, end_ms = (max(0, at_ms - event_ms) for at_ms in span)
    begins = rf"\t({start_ms},{start_ms + 1},{_SPOKEN})" if start_ms else _SPOKEN
    ends = rf"\t({end_ms},{end_ms + 1},{_UNSPOKEN})"
    return f"{{{begins}{ends}}}{without_overrides(fragment.text)}{{\\r}}"


FORMAT = Format(
    name="ass",
    extension="ass",
    content_type="text/x-ssa; charset=utf-8",
    needs_word_times=True,
    render=render,
    heeds=CUE_OPTIONS,
)
