"""Transcripts for the tests of documents and data: an interview, and hostile ones."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import strategies as st

from avskrift.transcript import Segment, Speaker, Transcript, Word


def spoken(text: str, start_s: float, speaker: str | None = None, per_word_s: float = 0.3) -> Segment:
    """A segment that says ``text``, a word after the other."""
    words = tuple(
        Word(start_s + n * per_word_s, start_s + (n + 1) * per_word_s, word, 0.9) for n, word in enumerate(text.split())
    )
    return Segment(start_s, words[-1].end_s, text, words, speaker, None, 0.9)


INTERVIEW = Transcript(
    language="sv",
    duration_s=3725.0,
    speech_s=15.0,
    model="kb-whisper-small",
    segments=(
        spoken("Välkommen hit.", 0.4996, "s1"),
        spoken("Vad har du & de andra <gjort>?", 1.5, "s1"),
        spoken("Vi har räknat.", 4.0, "s2"),
        spoken("Länge.", 9.0, "s2"),
        replace(spoken("Thank you.", 3600.0, "s1"), language="en"),
    ),
    language_probability=0.98,
    speakers=(Speaker("s1", "Anna Lind"), Speaker("s2", "Bo Ek")),
    engine={"name": "avskrift", "task": "transcribe", "times": "aligned"},
    warnings=("The file is cut short.",),
    audit={
        "chunks": [
            {"start_s": 0.25, "end_s": 10.0, "speech_s": 8.0, "faults": [], "attempts": [], "chosen": "first"},
            {
                "start_s": 3599.5,
                "end_s": 3602.0,
                "speech_s": 2.0,
                "faults": [],
                "attempts": [
                    {"how": "first", "log_probability": -2.0, "no_speech_probability": 0.5},
                    {"how": "beam", "log_probability": -0.31, "no_speech_probability": 0.02},
                ],
                "chosen": "beam",
            },
        ]
    },
)
SILENCE = Transcript(None, 5.0, 0.0, "base")

HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!-- ]]> <![CDATA[",
    "&amp; &lt;b&gt; {{ 7 * 7 }} {% raw %}",
    '=HYPERLINK("http://x.test","y")',
    "@SUM(1)\t=1+1",
    "hej;=1+1,-2",
    "\ud800 ensam \udfff",
    "\ufffe\uffff\x00\x01\x1b\x7f\x9f",
    "\ufeffbom\u2028rad\u2029stycke\x85\r\n",
    "👩‍👩‍👧‍👦 é é",
    "\u202eمرحبا (שלום) abc",
    "ord " * 400,
    " ",
]
texts = st.text(max_size=30) | st.sampled_from(HOSTILE)
times_s = st.floats(0, 40_000) | st.sampled_from([0.0, 59.9996, -1.0, math.nan, math.inf, -math.inf, 1e308])
probabilities = st.none() | st.floats(0, 1) | st.just(math.nan)
speaker_ids = st.sampled_from([None, None, "s1", "s2", "<okänd>", "\ud800", "="])
words = st.builds(Word, times_s, times_s, texts, probabilities)
segments = st.builds(
    Segment,
    times_s,
    times_s,
    texts,
    st.lists(words, max_size=5).map(tuple),
    speaker_ids,
    st.sampled_from([None, None, "en", "ar", '"><x']),
    probabilities,
)
#: As a file may hold it: fields of any kind in the places where the engine's own stand.
numbers = times_s | st.sampled_from([None, True, "x", -(10**400), 10**400, [0.5], {}])
attempts = st.fixed_dictionaries(
    {"how": st.sampled_from(["first", "beam", None, []])},
    optional={"log_probability": numbers, "no_speech_probability": numbers},
)
chunks = st.fixed_dictionaries(
    {},
    optional={
        "start_s": numbers,
        "attempts": st.lists(attempts | numbers, max_size=3) | numbers,
        "chosen": st.sampled_from(["first", "beam", None, []]),
    },
)
audits = st.just({}) | st.fixed_dictionaries({"chunks": st.lists(chunks | numbers, max_size=4) | numbers})
transcripts = st.builds(
    Transcript,
    language=st.sampled_from([None, "sv", "ar", 'x" onload="alert(1)', ""]),
    duration_s=times_s,
    speech_s=times_s,
    model=texts,
    segments=st.lists(segments, max_size=5).map(tuple),
    language_probability=probabilities,
    speakers=st.just((Speaker("s1", "=Anna <&>\n"), Speaker("s2", "\x00"), Speaker("s3", "tyst"))),
    engine=st.sampled_from([{}, {"name": "avskrift", "times": "estimated", "task": "translate", "beam": math.nan}]),
    warnings=st.lists(texts, max_size=2).map(tuple),
)
audited = st.builds(lambda transcript, audit: replace(transcript, audit=audit), transcripts, audits)
