"""TTML that is EBU-TT-D (EBU Tech 3380, version 1.0.1) and IMSC 1.1 Text Profile at once.

What those rule is held by ``tests/formats/ebu_tt_d.py``. Beyond the letter: times stand on ``tt:p`` alone, so that no
reader has to add a span's to them, and text in spans alone, whose background is as wide as the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from avskrift.formats.cues import clock
from avskrift.formats.format import CUE_OPTIONS, Format
from avskrift.formats.highlight import Shown, ShownLine, shown
from avskrift.formats.plain_text import reads_from_right
from avskrift.formats.rendition import Rendition

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

#: A new picture takes a renderer 1/12 s for its background and some more for its text (IMSC 1.1 §9, the hypothetical
#: render model), so that marks must not move faster.
MIN_MOMENT_MS = 250
#: A line is 80 % of a cell high, with 125 % line height: one of the 15 rows. The region is no larger than needed: the
#: render model counts it again for each background.
_LINE_HEIGHT_PERCENT = 7
_BOTTOM_PERCENT = 90

_TT = "http://www.w3.org/ns/ttml"
_TTM = "http://www.w3.org/ns/ttml#metadata"
_TTS = "http://www.w3.org/ns/ttml#styling"
_XML = "http://www.w3.org/XML/1998/namespace"
#: Where the paragraphs go: no text has a control character.
_PARAGRAPHS = "\0"
_PREFIXES = {
    "tt": _TT,
    "ttm": _TTM,
    "ttp": "http://www.w3.org/ns/ttml#parameter",
    "tts": _TTS,
    "ebuttm": "urn:ebu:tt:metadata",
    "ebutts": "urn:ebu:tt:style",
}
_TEMPLATE = """
<tt:tt xmlns:tt="http://www.w3.org/ns/ttml" xmlns:ttm="http://www.w3.org/ns/ttml#metadata"
    xmlns:ttp="http://www.w3.org/ns/ttml#parameter" xmlns:tts="http://www.w3.org/ns/ttml#styling"
    xmlns:ebuttm="urn:ebu:tt:metadata" xmlns:ebutts="urn:ebu:tt:style"
    xml:lang="und" ttp:timeBase="media" ttp:cellResolution="32 15">
  <tt:head>
    <tt:metadata>
      <ebuttm:documentMetadata>
        <ebuttm:conformsToStandard>urn:ebu:tt:distribution:2018-04</ebuttm:conformsToStandard>
        <ebuttm:conformsToStandard>http://www.w3.org/ns/ttml/profile/imsc1.1/text</ebuttm:conformsToStandard>
        <ebuttm:documentOriginatingSystem>avskrift</ebuttm:documentOriginatingSystem>
      </ebuttm:documentMetadata>
    </tt:metadata>
    <tt:styling>
      <tt:style xml:id="base" tts:fontFamily="proportionalSansSerif" tts:fontSize="80%" tts:lineHeight="125%"/>
      <tt:style xml:id="cue" tts:textAlign="center" ebutts:linePadding="0.5c"/>
      <tt:style xml:id="dialogue" ebutts:multiRowAlign="start"/>
      <tt:style xml:id="rightToLeft" tts:direction="rtl"/>
      <tt:style xml:id="text" tts:color="#ffffff" tts:backgroundColor="#000000c2"/>
      <tt:style xml:id="spoken" tts:color="#ffff00" tts:backgroundColor="#000000c2"/>
    </tt:styling>
    <tt:layout>
      <tt:region xml:id="bottom" style="base" tts:origin="10% 76%" tts:extent="80% 14%" tts:displayAlign="after"
        tts:overflow="visible"/>
    </tt:layout>
  </tt:head>
</tt:tt>
"""


def render(rendition: Rendition) -> bytes:
    """The document in UTF-8; without a body for silence, as the schema has it: a ``tt:div`` is never empty."""
    from xml.etree import ElementTree

    document = ElementTree.fromstring(_TEMPLATE.strip())  # noqa: S314 - ours
    document.set(f"{{{_XML}}}lang", rendition.language or "und")
    _fit_region(document, rendition.options.rules.max_lines)
    agents = _add_agents(document, rendition)
    cues = list(shown(rendition.cues, rendition.options.highlight_words, MIN_MOMENT_MS))
    styles = [" ".join(_styles(cue)) for cue in cues]
    if cues:
        _add_body(document)
    _drop_unused_styles(document, {*" ".join(set(styles)).split(), *_styles_of_runs(cues)})
    ElementTree.indent(document[0], level=1)
    for prefix, uri in _PREFIXES.items():
        ElementTree.register_namespace(prefix, uri)
    before, _, after = ElementTree.tostring(document, encoding="unicode").partition(_PARAGRAPHS)
    paragraphs = "\n      ".join(_paragraphs(cues, styles, agents, rendition))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{before}{paragraphs}{after}\n'.encode()


def _fit_region(document: Element, max_lines: int) -> None:
    """As high as the lines of a cue, and within the picture."""
    region = document.find(f".//{{{_TT}}}region")
    if region is not None:
        height = min(_LINE_HEIGHT_PERCENT * max(2, max_lines), _BOTTOM_PERCENT)
        region.set(f"{{{_TTS}}}origin", f"10% {_BOTTOM_PERCENT - height}%")
        region.set(f"{{{_TTS}}}extent", f"80% {height}%")


def _add_agents(document: Element, rendition: Rendition) -> dict[str | None, str]:
    """Who speaks, as agents of the metadata; their ids by the speakers'."""
    agents: dict[str | None, str] = {}
    metadata = document.find(f"{{{_TT}}}head/{{{_TT}}}metadata")
    for speaker, name in rendition.speaker_names.items():
        if metadata is not None and name and speaker:
            agents[speaker] = f"speaker{len(agents) + 1}"
            agent = _add(metadata, f"{{{_TTM}}}agent", {f"{{{_XML}}}id": agents[speaker], "type": "person"})
            _add(agent, f"{{{_TTM}}}name", {"type": "full"}).text = name
    return agents


def _add_body(document: Element) -> None:
    document[0].tail = "\n  "
    body = _add(document, f"{{{_TT}}}body")
    body.text, body.tail = "\n    ", "\n"
    division = _add(body, f"{{{_TT}}}div")
    division.text, division.tail = f"\n      {_PARAGRAPHS}\n    ", "\n  "


def _paragraphs(
    cues: list[Shown], styles: list[str], agents: dict[str | None, str], rendition: Rendition
) -> Iterator[str]:
    """As text: with marked words they are hundreds of thousands of elements, which as a tree take seconds."""
    spoken_by = {speaker: f' ttm:agent="{agent}"' for speaker, agent in agents.items()}
    for number, (cue, style) in enumerate(zip(cues, styles, strict=True), 1):
        language = rendition.language_at(cue.start_ms)
        other = f' xml:lang="{language}"' if language and language != rendition.language else ""
        times = f'begin="{clock(cue.start_ms, ".")}" end="{clock(cue.end_ms, ".")}"'
        lines = "<tt:br />".join(_line(line, spoken_by.get(line.speaker, "")) for line in cue.lines)
        yield f'<tt:p xml:id="cue{number}" region="bottom" style="{style}" {times}{other}>{lines}</tt:p>'


def _line(line: ShownLine, agent: str) -> str:
    return "".join(
        f'<tt:span style="{"spoken" if run.marked else "text"}"{agent}>{_escaped(run.text)}</tt:span>'
        for run in line.runs
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _add(parent: Element, tag: str, attributes: dict[str, str] | None = None) -> Element:
    child = parent.makeelement(tag, attributes or {})
    parent.append(child)
    return child


def _styles(cue: Shown) -> list[str]:
    """Lines of two speakers begin below one another; a text that begins from the right does."""
    text = "".join(run.text for line in cue.lines for run in line.runs)
    dialogue = len({line.speaker for line in cue.lines}) > 1
    return ["cue", *(["dialogue"] if dialogue else []), *(["rightToLeft"] if reads_from_right(text) else [])]


def _styles_of_runs(cues: list[Shown]) -> set[str]:
    marks = {run.marked for cue in cues for line in cue.lines for run in line.runs}
    return {"spoken" if marked else "text" for marked in marks}


def _drop_unused_styles(document: Element, of_body: set[str]) -> None:
    used = of_body | {name for element in document.iter() for name in element.get("style", "").split()}
    for styling in document[0].findall(f"{{{_TT}}}styling"):
        for style in list(styling):
            if style.get(f"{{{_XML}}}id") not in used:
                styling.remove(style)


FORMAT = Format(
    name="ttml",
    extension="ttml",
    content_type="application/ttml+xml; charset=utf-8",
    needs_word_times=True,
    render=render,
    heeds=CUE_OPTIONS,
)
