"""Pages and captions in Chromium: what a reader can do with them, and what a transcript can't."""

from __future__ import annotations

import base64
import re
import threading
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from avskrift import formats
from avskrift.formats import RenderOptions
from avskrift.formats.rendition import Rendition
from avskrift.formats.tidy import tidy_segments
from avskrift.transcript import Segment, Speaker, Transcript
from tests.formats.browser import chromium, running_chromium
from tests.formats.documents import HOSTILE, spoken

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("chromium"),
    pytest.mark.skipif(chromium() is None, reason="no Chromium: scripts/install-browser"),
]

TALK = Transcript(
    "sv",
    30.0,
    20.0,
    "base",
    (
        spoken("Välkommen till studion.", 0.0, "s1"),
        spoken("Det är kallt ute, och det snöar.", 1.0, "s1"),
        spoken("Ja, det är sant!", 5.0, "s2", per_word_s=1.0),
        spoken("Tack.", 20.0, "s1"),
    ),
    speakers=(Speaker("s1", "Anna"), Speaker("s2", "Bo")),
)
#: Everything hostile, said one after the other by somebody hostile.
HOSTILE_TALK = Transcript(
    '"><script>alert(1)</script>',
    60.0,
    50.0,
    HOSTILE[1],
    tuple(Segment(2.0 * n, 2.0 * n + 1.5, text, (), "s1") for n, text in enumerate(HOSTILE)),
    speakers=(Speaker("s1", HOSTILE[0]),),
    warnings=tuple(HOSTILE),
)


#: Whether the word being said is this one.
MARKED = """word => [...CSS.highlights.get('now') ?? []].some(
  range => range.startContainer.data.slice(range.startOffset, range.endOffset) === word)"""


@dataclass
class Visit:
    """A page as it was opened, and what happened on it that should not."""

    page: Page
    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("dialog", lambda dialog: (self.troubles.append(dialog.message), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def highlighted(self, name: str) -> list[str]:
        script = "name => [...CSS.highlights.get(name) ?? []].map(range => {"
        script += " const live = document.createRange();"
        script += " live.setStart(range.startContainer, range.startOffset);"
        script += " live.setEnd(range.endContainer, range.endOffset); return live.toString(); })"
        found: list[str] = self.page.evaluate(script, name)
        return found

    def search(self, query: str, said: str | re.Pattern[str]) -> None:
        from playwright.sync_api import expect

        self.page.get_by_role("searchbox").fill(query)
        expect(self.page.locator("#count")).to_have_text(said)

    def plays_at(self) -> float:
        at_s: float = self.page.evaluate("document.getElementById('audio').currentTime")
        return at_s


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@dataclass
class Opener:
    """Writes files beside a recording of 30 quiet seconds, and opens them."""

    browser: Browser
    folder: Path
    visits: list[Visit] = field(default_factory=list)

    def write(self, transcript: Transcript, extension: str, **options: Any) -> Path:
        path = self.folder / f"talk.{extension}"
        path.write_bytes(formats.write(transcript, extension, RenderOptions(**options)))
        return path

    def open(self, address: str, before: str = "", **context: Any) -> Visit:
        visit = Visit(self.browser.new_page(**context))
        self.visits.append(visit)
        visit.page.add_init_script(before)
        visit.page.goto(address)
        return visit

    def show(self, transcript: Transcript, media_url: str | None = None, **context: Any) -> Visit:
        path = self.write(transcript, "html", media_url=media_url, name="Intervju <b>12</b>")
        return self.open(path.as_uri(), **context)


@pytest.fixture
def opener(browser: Browser, tmp_path: Path) -> Iterator[Opener]:
    with wave.open(str(tmp_path / "talk.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 8000 * 30)
    opener = Opener(browser, tmp_path)
    yield opener
    for visit in opener.visits:
        visit.page.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site(opener: Opener) -> Iterator[str]:
    """The folder over HTTP: captions of a page on disk count as another origin's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(opener.folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_nothing_said_becomes_markup_or_script(opener: Opener) -> None:
    visit = opener.show(HOSTILE_TALK)
    assert visit.page.evaluate("document.scripts.length") == 1
    assert visit.page.locator("img, iframe, b, i, form[action]").count() == 0
    shown = visit.page.locator(".said").all_text_contents()
    assert " ".join(shown) == " ".join(segment.text for segment in tidy_segments(HOSTILE_TALK))
    assert visit.troubles == []


def test_a_page_from_disk_fetches_nothing(opener: Opener) -> None:
    visit = opener.show(TALK)
    assert len(visit.requests) == 1
    assert visit.troubles == []


def test_the_policy_stops_what_would_slip_through(opener: Opener) -> None:
    """Planted: script, handler, foreign style and picture, as if escaping had failed."""
    path = opener.write(TALK, "html")
    planted = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
    path.write_text(path.read_text().replace("<main", f"{planted}<style>h1 {{ display: none }}</style><main"))
    visit = opener.open(path.as_uri())
    assert visit.page.title() == "transcript"
    assert visit.page.locator("h1").is_visible()
    assert len(visit.troubles) >= 4
    assert all("Content Security Policy" in trouble for trouble in visit.troubles)


def test_search_counts_and_marks_every_match(opener: Opener) -> None:
    visit = opener.show(TALK)
    visit.search("DET", "1 av 3")
    assert visit.highlighted("found") == ["Det", "det", "det"]
    assert visit.highlighted("chosen") == ["Det"]
    assert visit.troubles == []


def test_search_goes_on_and_back_and_around(opener: Opener) -> None:
    from playwright.sync_api import expect

    visit = opener.show(TALK)
    visit.search("det", "1 av 3")
    for key, said in (("Enter", "2 av 3"), ("Enter", "3 av 3"), ("Enter", "1 av 3"), ("Shift+Enter", "3 av 3")):
        visit.page.keyboard.press(key)
        expect(visit.page.locator("#count")).to_have_text(said)
    visit.page.get_by_role("button", name="Föregående träff").click()
    expect(visit.page.locator("#count")).to_have_text("2 av 3")
    visit.page.keyboard.press("/")
    expect(visit.page.get_by_role("searchbox")).to_be_focused()
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#count")).to_have_text("")
    assert visit.highlighted("found") == []


def test_a_phrase_is_found_across_segments(opener: Opener) -> None:
    visit = opener.show(TALK)
    visit.search(" studion.   Det ", "1 av 1")
    assert visit.highlighted("found") == ["studion. Det"]


@pytest.mark.parametrize("query", ["<b>", "\\", "(", "&amp;", "']", "saknas"])
def test_what_is_not_said_is_not_found(opener: Opener, query: str) -> None:
    visit = opener.show(TALK)
    visit.search(query, "inga träffar")
    assert visit.highlighted("found") == []
    assert visit.troubles == []


def test_letters_that_grow_in_lower_case_shift_no_match(opener: Opener) -> None:
    visit = opener.show(replace(TALK, segments=(spoken("İİ 👩‍👩‍👧‍👦 STRASSE straße", 0.0),)))
    visit.search("strasse", "1 av 1")
    assert visit.highlighted("found") == ["STRASSE"]


def test_a_click_on_a_word_plays_from_it(opener: Opener) -> None:
    visit = opener.show(TALK, "talk.wav")
    place = visit.page.evaluate(
        """() => {
          const text = [...document.querySelectorAll('[data-t]')][2].firstChild;
          const range = document.createRange();
          range.setStart(text, text.data.indexOf('sant'));
          range.setEnd(text, text.data.indexOf('sant') + 4);
          const box = range.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2];
        }"""
    )
    visit.page.mouse.click(*place)
    assert 8.0 <= visit.plays_at() < 9.0
    assert visit.highlighted("aim") == ["sant!"]
    assert visit.troubles == []


def test_the_word_being_said_is_marked(opener: Opener) -> None:
    visit = opener.show(TALK, "talk.wav")
    for at_s, word in ((5.2, "Ja,"), (6.5, "det"), (1.4, "är")):
        visit.page.evaluate("at => { document.getElementById('audio').currentTime = at }", at_s)
        visit.page.wait_for_function(MARKED, arg=word)
    assert visit.page.locator("p.current .time").text_content() == "00:00:00"
    visit.page.evaluate("document.getElementById('audio').currentTime = 15")
    visit.page.wait_for_function("CSS.highlights.get('now').size === 0")


def test_who_began_earlier_is_marked_when_the_other_has_ended(opener: Opener) -> None:
    at_once = (Segment(1.0, 9.0, "Jag talar länge.", (), "s1"), Segment(2.0, 3.0, "Mm.", (), "s2"))
    visit = opener.show(replace(TALK, segments=at_once), "talk.wav")
    for at_s, said in ((2.5, "Mm."), (5.0, "Jag talar länge.")):
        visit.page.evaluate("at => { document.getElementById('audio').currentTime = at }", at_s)
        visit.page.wait_for_function(MARKED, arg=said)


def test_browsers_that_cannot_paint_words_mark_paragraphs(opener: Opener) -> None:
    from playwright.sync_api import expect

    visit = opener.show(TALK, "talk.wav", before="delete window.Highlight")
    visit.search("sant", "1 av 1")
    assert visit.page.locator("p.found.chosen .said").text_content() == "Ja, det är sant!"
    visit.page.evaluate("document.getElementById('audio').currentTime = 6")
    expect(visit.page.locator(".now")).to_have_text("Ja, det är sant!")
    assert visit.troubles == []


def test_times_can_be_played_from_with_the_keyboard(opener: Opener) -> None:
    visit = opener.show(TALK, "talk.wav")
    visit.page.get_by_role("link", name="Spela från 00:00:05").press("Enter")
    assert 5.0 <= visit.plays_at() < 6.0
    assert visit.page.url.endswith("#t5000")


def test_marks_move_while_it_plays(opener: Opener) -> None:
    visit = opener.show(TALK, "talk.wav")
    visit.page.locator(".time").first.click()
    visit.page.wait_for_function(MARKED, arg="till")
    visit.page.wait_for_function(MARKED, arg="studion.")


def test_a_recording_that_is_gone_is_told_and_the_text_stays(opener: Opener) -> None:
    from playwright.sync_api import expect

    visit = opener.show(TALK, "gone.wav")
    expect(visit.page.get_by_role("alert")).to_contain_text("kunde inte läsas in")
    visit.search("snöar", "1 av 1")


def test_it_can_be_read_without_script(opener: Opener) -> None:
    visit = opener.show(TALK, java_script_enabled=False)
    assert visit.page.locator(".said").count() == 3
    assert not visit.page.get_by_role("searchbox").is_visible()


def test_it_is_dark_where_the_reader_wants_it_dark(opener: Opener) -> None:
    visit = opener.show(TALK, color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = sum(map(int, re.findall(r"\d+", visit.page.evaluate(background))))
    visit.page.get_by_role("button", name="Ljust eller mörkt").click()
    light = sum(map(int, re.findall(r"\d+", visit.page.evaluate(background))))
    assert dark < 150
    assert light > 600


def test_on_paper_there_is_only_the_text(opener: Opener) -> None:
    visit = opener.show(TALK, "talk.wav", color_scheme="dark")
    visit.page.emulate_media(media="print")
    assert not visit.page.locator("#bar").is_visible()
    assert visit.page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_stands_out_from_its_paper(opener: Opener, scheme: str) -> None:
    """At least 4.5 to 1 (WCAG 2.2, 1.4.3)."""
    visit = opener.show(replace(TALK, warnings=("Avklippt.",)), color_scheme=scheme)
    colors = visit.page.evaluate(
        "() => { const style = getComputedStyle(document.documentElement);"
        " return Object.fromEntries(['paper', 'ink', 'quiet', 'found', 'chosen', 'now', 'warn', 'accent', 'raised']"
        ".map(name => [name, style.getPropertyValue(`--${name}`).trim()])) }"
    )
    pairs = [("ink", paper) for paper in ("paper", "raised", "found", "chosen", "now", "warn")]
    pairs += [("quiet", "paper"), ("quiet", "raised"), ("accent", "paper")]
    assert {pair: _contrast(colors[pair[0]], colors[pair[1]]) >= 4.5 for pair in pairs} == dict.fromkeys(pairs, True)


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def player(opener: Opener, transcript: Transcript) -> str:
    """A page with the recording in it, where it can be sought in, and its captions beside."""
    opener.write(transcript, "vtt")
    sound = base64.b64encode((opener.folder / "talk.wav").read_bytes()).decode()
    (opener.folder / "player.html").write_text(
        f"<!doctype html><meta charset=utf-8><audio id=player src=data:audio/wav;base64,{sound}>"
        "<track id=captions kind=captions srclang=sv src=talk.vtt default></audio>"
    )
    return "player.html"


#: Each cue as the browser has parsed it: times, and its text without markup.
CUES = """() => new Promise((found, failed) => {
  const element = document.getElementById('captions');
  element.track.mode = 'hidden';
  const tell = () => found([...element.track.cues].map(cue =>
    [Math.round(cue.startTime * 1000), Math.round(cue.endTime * 1000), cue.getCueAsHTML().textContent]));
  element.readyState === 2 ? tell() : (element.onload = tell, element.onerror = failed);
})"""


SHOWN = """text => [...document.getElementById('captions').track.activeCues].map(
  cue => cue.getCueAsHTML().textContent).join() === text"""


@pytest.mark.parametrize("transcript", [TALK, HOSTILE_TALK], ids=["talk", "hostile"])
def test_captions_load_as_the_cues_they_were_written_from(opener: Opener, site: str, transcript: Transcript) -> None:
    visit = opener.open(f"{site}/{player(opener, transcript)}")
    expected = [[cue.start_ms, cue.end_ms, cue.text] for cue in Rendition(transcript).cues]
    assert visit.page.evaluate(CUES) == expected


def test_captions_show_each_cue_at_its_second(opener: Opener, site: str) -> None:
    visit = opener.open(f"{site}/{player(opener, TALK)}")
    visit.page.evaluate(CUES)
    for cue in Rendition(TALK).cues:
        visit.page.evaluate("at => { document.getElementById('player').currentTime = at }", (cue.start_ms + 100) / 1000)
        visit.page.wait_for_function(SHOWN, arg=cue.text)
