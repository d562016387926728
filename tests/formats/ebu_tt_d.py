"""What EBU-TT-D and IMSC 1.1 Text ask of a document, rule by rule.

Sources: EBU Tech 3380 version 1.0.1 (https://tech.ebu.ch/publications/tech3380) and the content model of its schema
(https://github.com/ebu/ebu-tt-d-xsd); TTML Profiles for Internet Media Subtitles and Captions 1.1
(https://www.w3.org/TR/ttml-imsc1.1/), §5.4 and §6 to §8; BCP 47 for language tags. Where the two differ, the stricter
one holds: what conforms to EBU-TT-D is IMSC Text but for encodings, regions and complexity (IMSC annex on EBU-TT-D).
Complexity, the render model, is not judged here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

NAMESPACES = {
    "http://www.w3.org/ns/ttml": "tt",
    "http://www.w3.org/ns/ttml#metadata": "ttm",
    "http://www.w3.org/ns/ttml#parameter": "ttp",
    "http://www.w3.org/ns/ttml#styling": "tts",
    "http://www.w3.org/ns/ttml/profile/imsc1#parameter": "ittp",
    "http://www.w3.org/ns/ttml/profile/imsc1#styling": "itts",
    "urn:ebu:tt:metadata": "ebuttm",
    "urn:ebu:tt:style": "ebutts",
    "http://www.w3.org/XML/1998/namespace": "xml",
}
CONFORMS = ("urn:ebu:tt:distribution:2018-04", "http://www.w3.org/ns/ttml/profile/imsc1.1/text")

#: Children in their order; what repeats has a star, what must be there an exclamation mark or (once or more) a plus.
CHILDREN: dict[str, tuple[str, ...]] = {
    "tt:tt": ("tt:head!", "tt:body"),
    "tt:head": ("ttm:copyright", "tt:metadata", "tt:styling!", "tt:layout!"),
    "tt:styling": ("tt:metadata", "tt:style+"),
    "tt:style": (),
    "tt:layout": ("tt:metadata", "tt:region+"),
    "tt:region": ("tt:metadata",),
    "tt:body": ("tt:metadata", "tt:div+"),
    "tt:div": ("tt:metadata", "tt:p+"),
    "tt:p": ("tt:metadata", "tt:span|tt:br*"),
    "tt:span": ("tt:metadata", "tt:br*"),
    "tt:br": ("tt:metadata",),
}
MIXED = {"tt:p", "tt:span"}

NCNAME = r"[A-Za-z_][\w.\-]*"
PERCENT = r"\+?\d+(\.\d+)?%"
COLOUR = r"#[0-9A-Fa-f]{6}([0-9A-Fa-f]{2})?"
LANGUAGE = r"([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?"
TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)(\.\d+)?"
COMMON = {"style": rf"{NCNAME}( {NCNAME})*", "ttm:agent": rf"{NCNAME}( {NCNAME})*", "ttm:role": r"[\w\-]+( [\w\-]+)*"}
SPACE = {"xml:space": "default|preserve"}
#: Attributes and their values; what must be there has an exclamation mark.
ATTRIBUTES: dict[str, dict[str, str]] = {
    "tt:tt": {
        "xml:lang!": LANGUAGE,
        "ttp:timeBase!": "media",
        "ttp:cellResolution": r"0*[1-9]\d* 0*[1-9]\d*",
        "ittp:activeArea": rf"({PERCENT} ){{3}}{PERCENT}",
        **SPACE,
    },
    "tt:head": {},
    "tt:styling": {},
    "tt:layout": {},
    "tt:style": {
        "xml:id!": NCNAME,
        "tts:direction": "ltr|rtl",
        "tts:fontFamily": r"[^,]+(,[^,]+)*",
        "tts:fontSize": PERCENT,
        "tts:lineHeight": f"normal|{PERCENT}",
        "tts:textAlign": "left|center|right|start|end",
        "tts:color": COLOUR,
        "tts:backgroundColor": COLOUR,
        "tts:fontStyle": "normal|italic",
        "tts:fontWeight": "normal|bold",
        "tts:textDecoration": "none|underline",
        "tts:unicodeBidi": "normal|embed|bidiOverride",
        "tts:wrapOption": "wrap|noWrap",
        "ebutts:multiRowAlign": "start|center|end|auto",
        "ebutts:linePadding": r"\d+(\.\d+)?c",
        "itts:fillLineGap": "true|false",
    },
    "tt:region": {
        "xml:id!": NCNAME,
        "tts:origin!": f"{PERCENT} {PERCENT}",
        "tts:extent!": f"{PERCENT} {PERCENT}",
        "style": COMMON["style"],
        "tts:displayAlign": "before|center|after",
        "tts:padding": rf"{PERCENT}( {PERCENT}){{0,3}}",
        "tts:writingMode": "lrtb|rltb|tbrl|tblr|lr|rl|tb",
        "tts:showBackground": "always|whenActive",
        "tts:overflow": "visible|hidden",
    },
    "tt:body": COMMON,
    "tt:div": {**COMMON, "xml:id": NCNAME, "region": NCNAME, "xml:lang": LANGUAGE},
    "tt:p": {
        **COMMON,
        **SPACE,
        "xml:id!": NCNAME,
        "xml:lang": LANGUAGE,
        "region": NCNAME,
        "begin": TIME,
        "end": TIME,
    },
    "tt:span": {**COMMON, **SPACE, "xml:id": NCNAME, "xml:lang": LANGUAGE, "begin": TIME, "end": TIME},
    "tt:br": {"ttm:role": COMMON["ttm:role"]},
    "ttm:agent": {"xml:id!": NCNAME, "type!": "person|character|group|organization|other"},
    "ttm:name": {"type!": "full|family|given|alias|other"},
}


def violations(document: bytes) -> list[str]:
    """Each as ``rule: what and where``; empty for a document that conforms."""
    found = list(_of_bytes(document))
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        return [*found, f"well-formed: {error}"]
    parts = (_of_structure, _of_attributes, _of_ids, _of_references, _of_times, _of_regions, _of_signalling, _of_units)
    return found + [violation for part in parts for violation in part(root)]


def name(qualified: str) -> str:
    uri, _, local = qualified.removeprefix("{").rpartition("}")
    return f"{NAMESPACES.get(uri, uri)}:{local}" if uri else local


def _of_bytes(document: bytes) -> Iterator[str]:
    """IMSC §6.1: UTF-8, and no entity declarations (TTML2 §3.1 has no document type)."""
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        yield f"encoding: {error}"
        return
    declared = re.match(r"<\?xml[^>]*encoding=[\"']([^\"']+)", text)
    if declared and declared[1].upper() != "UTF-8":
        yield f"encoding: declared as {declared[1]}"
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        yield "doctype: a document type or an entity is declared"


def _of_structure(root: Element) -> Iterator[str]:
    if name(root.tag) != "tt:tt":
        yield f"root: {name(root.tag)}"
        return
    for element in root.iter():
        tag = name(element.tag)
        if tag in CHILDREN:
            yield from _of_children(element, tag)
        elif tag.startswith("tt:") and tag != "tt:metadata":
            yield f"element: {tag} does not exist"


def _of_children(element: Element, tag: str) -> Iterator[str]:
    model = "".join(_expression(child) for child in CHILDREN[tag])
    children = "".join(f"<{name(child.tag)}>" for child in element)
    if not re.fullmatch(model, children):
        yield f"children: {tag} has {children or 'none'}"
    texts = [element.text, *(child.tail for child in element)]
    if tag not in MIXED and any(text and text.strip() for text in texts):
        yield f"text: {tag} holds text"


def _expression(child: str) -> str:
    names = "|".join(f"<{one}>" for one in child.rstrip("!+*").split("|"))
    quantifier = {"!": "", "+": "+", "*": "*"}.get(child[-1], "?")
    return f"(?:{names}){quantifier}"


def _of_attributes(root: Element) -> Iterator[str]:
    """Style attributes stand on ``tt:style`` and ``tt:region`` alone; profiles are signalled in metadata alone."""
    for element in root.iter():
        tag = name(element.tag)
        if tag not in ATTRIBUTES:
            continue
        rules = {key.rstrip("!"): (value, key.endswith("!")) for key, value in ATTRIBUTES[tag].items()}
        present = {name(key): value for key, value in element.attrib.items()}
        for key, (value, required) in rules.items():
            if required and key not in present:
                yield f"required: {tag} has no {key}"
            if key in present and not re.fullmatch(value, present[key]):
                yield f"value: {tag} {key}={present[key]!r}"
        for key in present.keys() - rules.keys():
            yield f"attribute: {tag} has {key}"


def _of_ids(root: Element) -> Iterator[str]:
    ids = Counter(value for element in root.iter() for key, value in element.attrib.items() if name(key) == "xml:id")
    for value, count in ids.items():
        if count > 1:
            yield f"unique: {value} is the id of {count} elements"


def _of_references(root: Element) -> Iterator[str]:
    """EBU-TT-D: styles and regions by reference; IMSC: agents too."""
    ids: dict[str, set[str]] = {"tt:style": set(), "tt:region": set(), "ttm:agent": set()}
    for element in root.iter():
        for key, value in element.attrib.items():
            if name(key) == "xml:id" and name(element.tag) in ids:
                ids[name(element.tag)].add(value)
    for element in root.iter():
        for key, target in (("style", "tt:style"), ("region", "tt:region"), ("ttm:agent", "ttm:agent")):
            for reference in next((v for k, v in element.attrib.items() if name(k) == key), "").split():
                if reference not in ids[target]:
                    yield f"reference: {name(element.tag)} {key}={reference!r} is no {target}"


def _of_times(root: Element) -> Iterator[str]:
    """Begin and end together, in this order, on ``tt:p`` or on all its spans, never on both."""
    for paragraph in _elements(root, "tt:p"):
        where = next((value for key, value in paragraph.attrib.items() if name(key) == "xml:id"), "tt:p")
        spans = list(_elements(paragraph, "tt:span"))
        timed = [span for span in spans if "begin" in span.attrib or "end" in span.attrib]
        own = "begin" in paragraph.attrib or "end" in paragraph.attrib
        if own and timed:
            yield f"times: {where} and its spans have times"
        if not own and (not spans or len(timed) < len(spans)):
            yield f"times: {where} has text without times"
        for element in [paragraph] * own + timed:
            begin, end = (_seconds(element.get(key, "")) for key in ("begin", "end"))
            if begin is None or end is None:
                yield f"times: {where} lacks begin or end"
            elif begin >= end:
                yield f"times: {where} ends before it begins"


def _of_regions(root: Element) -> Iterator[str]:
    """Text has a region; regions lie within the picture, four at most at a time (IMSC)."""
    for division in _elements(root, "tt:div"):
        for paragraph in _elements(division, "tt:p"):
            if not (division.get("region") or paragraph.get("region")):
                yield "region: text without a region"
    for region in _elements(root, "tt:region"):
        values = {name(key): re.findall(r"[\d.]+", value) for key, value in region.attrib.items()}
        for start, length in zip(values.get("tts:origin", []), values.get("tts:extent", []), strict=False):
            if float(start) + float(length) > 100:
                yield f"region: {start}% and {length}% reach beyond the picture"
    if len(list(_elements(root, "tt:region"))) > 4:
        yield "region: more than four"


def _of_signalling(root: Element) -> Iterator[str]:
    """IMSC §5.4: no ``ttp:contentProfiles`` (nor ``ttp:profile``, which EBU-TT-D has not), but the designators."""
    said = [
        (element.text or "").strip()
        for metadata in _elements(root, "tt:metadata")
        for element in metadata.iter()
        if name(element.tag) == "ebuttm:conformsToStandard"
    ]
    for designator in CONFORMS:
        if said.count(designator) != 1:
            yield f"signalling: {designator} is said {said.count(designator)} times"
    for element in root.iter():
        if name(element.tag).startswith("ttp:"):
            yield f"signalling: {name(element.tag)}"


def _of_units(root: Element) -> Iterator[str]:
    """What is measured in cells needs to know how many there are."""
    cells = any(re.search(r"\dc\b", value) for style in _elements(root, "tt:style") for value in style.attrib.values())
    if cells and not any(name(key) == "ttp:cellResolution" for key in root.attrib):
        yield "cells: no ttp:cellResolution"


def _elements(root: Element, tag: str) -> Iterator[Element]:
    return (element for element in root.iter() if name(element.tag) == tag)


def _seconds(expression: str) -> float | None:
    found = re.fullmatch(TIME, expression)
    if not found:
        return None
    hours, minutes, seconds, fraction = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(fraction or 0)
