"""How documents for Word look: real styles, so that a clerk's template can replace them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docx.document import Document

SPEAKER, SPEECH, FACT, TIME = "Speaker", "Speech", "Fact", "Timestamp"
#: A time takes this much at the left; the text hangs beside it.
TIME_COLUMN_CM = 2.0

#: A4 without its margins of 2.5 cm.
_TEXT_WIDTH_CM = 16.0

_FONT = "Calibri"
_INK, _QUIET = "1F2933", "5B6673"

#: Word checks spelling by region, transcripts know the language alone.
_REGIONS = (
    "sv-SE en-GB nb-NO nn-NO da-DK fi-FI is-IS de-DE fr-FR es-ES it-IT nl-NL pl-PL pt-PT ru-RU uk-UA ar-SA fa-IR ur-PK "
    "he-IL hi-IN tr-TR zh-CN ja-JP ko-KR"
)
#: Of which Word keeps the language apart from that of Latin letters.
_RIGHT_TO_LEFT, _EAST_ASIAN = frozenset("ar fa he ps sd ur yi".split()), frozenset("zh yue ja ko".split())
_LOCALES = {"no": "nb-NO", **{locale[:2]: locale for locale in _REGIONS.split()}}


def locale_of(language: str) -> str:
    """As Word names a language: ``sv-SE`` for ``sv``; one that it needs no region for stays as it is."""
    return _LOCALES.get(language, language)


def set_up(document: Document, language: str | None) -> None:
    """A4, quiet headings, and the styles of speakers, speech and times."""
    from docx.shared import Pt

    _set_page(document)
    styles: Any = document.styles
    _set_language(styles, language)
    _set_font(styles["Normal"], 11, _INK)
    styles["Normal"].paragraph_format.space_after = Pt(6)
    styles["Normal"].paragraph_format.line_spacing = 1.15
    _set_heading(styles["Title"], 24, space_before_pt=0)
    _set_heading(styles["Heading 1"], 14, space_before_pt=18)
    _set_font(styles["Subtitle"], 11, _QUIET)
    styles["Subtitle"].font.italic = False

    _add_styles(styles)
    _set_footer(styles["Footer"])


def _add_styles(styles: Any) -> None:
    from docx.enum.style import WD_STYLE_TYPE
    from docx.shared import Cm, Pt

    speaker, speech, fact = (styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH) for name in (SPEAKER, SPEECH, FACT))
    for style in (speaker, speech, fact):
        style.base_style, style.quick_style = styles["Normal"], True
    fact.paragraph_format.space_after = Pt(0)
    speaker.next_paragraph_style = speech
    speaker.font.bold = True
    speaker.paragraph_format.keep_with_next = True
    speaker.paragraph_format.space_before, speaker.paragraph_format.space_after = Pt(12), Pt(2)
    speech.paragraph_format.left_indent = Cm(TIME_COLUMN_CM)
    speech.paragraph_format.first_line_indent = Cm(-TIME_COLUMN_CM)
    speech.paragraph_format.tab_stops.add_tab_stop(Cm(TIME_COLUMN_CM))
    speech.paragraph_format.widow_control = True
    _set_font(styles.add_style(TIME, WD_STYLE_TYPE.CHARACTER), 9, _QUIET)


def _set_footer(style: Any) -> None:
    """Page numbers at the right margin; the template's stops are those of another paper."""
    from docx.enum.text import WD_TAB_ALIGNMENT
    from docx.shared import Cm

    _set_font(style, 9, _QUIET)
    style.paragraph_format.tab_stops.clear_all()
    style.paragraph_format.tab_stops.add_tab_stop(Cm(_TEXT_WIDTH_CM), WD_TAB_ALIGNMENT.RIGHT)


def _set_page(document: Document) -> None:
    from docx.shared import Cm, Mm

    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Cm(2.5)


def _set_heading(style: Any, size_pt: int, *, space_before_pt: int) -> None:
    from docx.oxml.ns import qn
    from docx.shared import Pt

    _set_font(style, size_pt, _INK)
    style.font.bold = True
    style.paragraph_format.space_before, style.paragraph_format.space_after = Pt(space_before_pt), Pt(4)
    for border in style.element.pPr.findall(qn("w:pBdr")):
        style.element.pPr.remove(border)


def _set_font(style: Any, size_pt: int, color: str) -> None:
    """By its name: the default template's themes would go before it."""
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    style.font.size, style.font.color.rgb = Pt(size_pt), RGBColor.from_string(color)
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    fonts.attrib.clear()
    for script in ("ascii", "hAnsi", "cs"):
        fonts.set(qn(f"w:{script}"), _FONT)
    for spacing in style.element.rPr.findall(qn("w:spacing")):
        style.element.rPr.remove(spacing)


def _set_language(styles: Any, language: str | None) -> None:
    """Of the whole document, so that spelling is checked in it."""
    from docx.oxml.ns import qn

    language = language or "en"
    script = "bidi" if language in _RIGHT_TO_LEFT else "eastAsia" if language in _EAST_ASIAN else "val"
    for lang in styles.element.iter(qn("w:lang")):
        lang.set(qn(f"w:{script}"), locale_of(language))
