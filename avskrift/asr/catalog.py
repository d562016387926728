"""The models known by name: where their weights come from, and what they can do.

Commits were read from projects that pin them, several for each of OpenAI's and KBLab's default weights. The commits of
KB-Whisper's styles are not known here: their branches are taken by name, and the commit that one led to is recorded
with the transcript. Pure data: no numpy, av or ctranslate2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

#: KB-Whisper's name for the branch of a style. Source: the model cards, "Update 2025-05-13".
_KB_STYLES = {"subtitle": "subtitle", "verbatim": "strict"}


@dataclass(frozen=True)
class ModelSource:
    """Where a named model comes from: a hub repository at one commit, so that a name always means the same weights."""

    repository: str
    revision: str
    """A commit; ``main`` for a repository that was named without one."""
    size_mb: int = 0
    note: str = ""
    family: str = ""
    languages: str = "many"
    """many, English or Swedish."""
    can_translate: bool | None = None
    """To English; None where nobody says so."""
    styles: Mapping[str, str] = field(default_factory=dict)
    """Branches of the same repository by style, beside the standard one."""

    @property
    def is_english_only(self) -> bool:
        return self.languages == "English"

    def revision_of(self, style: str) -> str:
        """Raises ``KeyError`` for a style that this model does not have."""
        return self.revision if style == "standard" else self.styles[style]


def _openai(size: str, commit: str, size_mb: int, note: str) -> ModelSource:
    return ModelSource(
        f"Systran/faster-whisper-{size}", commit, size_mb, note, "whisper", languages="many", can_translate=True
    )


def _english(size: str, commit: str, size_mb: int) -> ModelSource:
    return ModelSource(
        f"Systran/faster-whisper-{size}",
        commit,
        size_mb,
        f"{size.removesuffix('.en')} for English alone, a little better at it",
        "whisper",
        languages="English",
        can_translate=False,
    )


def _distil(repository: str, commit: str, size_mb: int, note: str) -> ModelSource:
    return ModelSource(repository, commit, size_mb, note, "distil", languages="English", can_translate=False)


def _kb(size: str, commit: str, size_mb: int, note: str) -> ModelSource:
    return ModelSource(
        f"KBLab/kb-whisper-{size}", commit, size_mb, note, "kb-whisper", languages="Swedish", styles=_KB_STYLES
    )


#: Word error rates are those of KBLab's model cards, on the Swedish part of FLEURS. Distil-Whisper's cards speak of
#: English only; OpenAI's of turbo's say that it was not trained to translate.
MODELS: dict[str, ModelSource] = {
    "tiny": _openai("tiny", "d90ca5fe260221311c53c58e660288d3deb8d356", 76, "OpenAI's, Swedish WER 59"),
    "base": _openai(
        "base",
        "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        145,
        "OpenAI's, embedded: small and fast; about every second Swedish word is wrong",
    ),
    "small": _openai("small", "536b0662742c02347bc0e980a01041f333bce120", 484, "OpenAI's, Swedish WER 21"),
    "medium": _openai("medium", "08e178d48790749d25932bbc082711ddcfdfbc4f", 1528, "OpenAI's, Swedish WER 12"),
    "large-v1": _openai("large-v1", "b07c8d4be0be90092aa01a29c975077acb8d15c9", 3087, "OpenAI's first large"),
    "large-v2": _openai("large-v2", "f0fe81560cb8b68660e564f55dd99207059c092e", 3087, "OpenAI's second large"),
    "large-v3": _openai(
        "large-v3", "edaa852ec7e145841d8ffdb056a99866b5f0a478", 3087, "OpenAI's best (also: large), Swedish WER 8"
    ),
    "large-v3-turbo": ModelSource(
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        "0a363e9161cbc7ed1431c9597a8ceaf0c4f78fcf",
        1618,
        "large-v3 with 4 decoder layers of 32 (also: turbo): fast, not trained to translate",
        "turbo",
        can_translate=False,
    ),
    "tiny.en": _english("tiny.en", "0d3d19a32d3338f10357c0889762bd8d64bbdeba", 76),
    "base.en": _english("base.en", "3d3d5dee26484f91867d81cb899cfcf72b96be6c", 145),
    "small.en": _english("small.en", "d1d751a5f8271d482d14ca55d9e2deeebbae577f", 484),
    "medium.en": _english("medium.en", "a29b04bd15381511a9af671baec01072039215e3", 1528),
    "distil-small.en": _distil(
        "Systran/faster-distil-whisper-small.en", "ef77d90526ccd62cde3808ee70626a01e5cf83e4", 332, "of small.en"
    ),
    "distil-medium.en": _distil(
        "Systran/faster-distil-whisper-medium.en", "80ddfce281f77766d8943d63109199fc8145dfa5", 789, "of medium.en"
    ),
    "distil-large-v2": _distil(
        "Systran/faster-distil-whisper-large-v2", "fe9b404fc56de3f7c38606ef9ba6fd83526d05e4", 1510, "of large-v2"
    ),
    "distil-large-v3": _distil(
        "Systran/faster-distil-whisper-large-v3", "c3058b475261292e64a0412df1d2681c06260fab", 1510, "of large-v3"
    ),
    "distil-large-v3.5": _distil(
        "distil-whisper/distil-large-v3.5-ct2",
        "9793ccc07920e0f830e1dba0343efcdf0ef8c903",
        1510,
        "of large-v3, trained on more",
    ),
    "kb-whisper-tiny": _kb("tiny", "76d796af43a50fa34321efa562c9b9887a187463", 77, "Swedish WER 13"),
    "kb-whisper-base": _kb("base", "1499d2d2f0c7ed545bd6f2eec85287cf8d8c8b38", 148, "Swedish WER 9"),
    "kb-whisper-small": _kb("small", "3564d61a42fc210ceaa55a22a96dd64478959c78", 487, "Swedish WER 7: the default"),
    "kb-whisper-medium": _kb("medium", "0abe10b9d7f75d0902656e5c06c5c4d549604dc5", 1530, "Swedish WER 7"),
    "kb-whisper-large": _kb(
        "large", "d5d5984b4d8f7c4847a8ea203f1976285fb28300", 3090, "Swedish WER 5: best, for a GPU"
    ),
}

ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}


def source_of(name: str) -> ModelSource | None:
    """What is known of a model by its name, alias or hub repository (``owner/name@revision``); None for any other."""
    known = MODELS.get(ALIASES.get(name, name))
    if known:
        return known
    repository, _, revision = name.partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        return None
    same = next((model for model in MODELS.values() if model.repository == repository), ModelSource(repository, ""))
    return replace(same, revision=revision or "main", size_mb=0, note="", styles={} if revision else same.styles)


def with_style(style: str) -> Iterator[str]:
    """Names of the models that have it."""
    return (name for name, model in MODELS.items() if style in model.styles)
