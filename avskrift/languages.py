"""The languages Whisper knows, by ISO 639 code: checked where options enter, long before a model is loaded.

Source: openai/whisper ``tokenizer.py`` (multilingual vocabulary, large-v3 included).
"""

from __future__ import annotations

import re

#: The English name of each, as OpenAI's API and openai/whisper write it.
LANGUAGE_NAMES: dict[str, str] = {
    code: name
    for code, _, name in (
        entry.strip().partition(" ")
        for entry in """
    af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian, bg bulgarian,
    bn bengali, bo tibetan, br breton, bs bosnian, ca catalan, cs czech, cy welsh, da danish, de german, el greek,
    en english, es spanish, et estonian, eu basque, fa persian, fi finnish, fo faroese, fr french, gl galician,
    gu gujarati, ha hausa, haw hawaiian, he hebrew, hi hindi, hr croatian, ht haitian creole, hu hungarian,
    hy armenian, id indonesian, is icelandic, it italian, ja japanese, jw javanese, ka georgian, kk kazakh,
    km khmer, kn kannada, ko korean, la latin, lb luxembourgish, ln lingala, lo lao, lt lithuanian, lv latvian,
    mg malagasy, mi maori, mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, mt maltese, my myanmar,
    ne nepali, nl dutch, nn nynorsk, no norwegian, oc occitan, pa punjabi, pl polish, ps pashto, pt portuguese,
    ro romanian, ru russian, sa sanskrit, sd sindhi, si sinhala, sk slovak, sl slovenian, sn shona, so somali,
    sq albanian, sr serbian, su sundanese, sv swedish, sw swahili, ta tamil, te telugu, tg tajik, th thai,
    tk turkmen, tl tagalog, tr turkish, tt tatar, uk ukrainian, ur urdu, uz uzbek, vi vietnamese, yi yiddish,
    yo yoruba, yue cantonese, zh chinese
    """.split(",")
    )
}

LANGUAGES: frozenset[str] = frozenset(LANGUAGE_NAMES)

#: The form of a language tag (RFC 5646), and what Whisper calls otherwise than ISO 639.
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_ISO_639 = {"jw": "jv"}


def language_tag(code: str | None) -> str | None:
    """As files name it; None for what no file can."""
    return _ISO_639.get(code, code) if code and _LANGUAGE_TAG.fullmatch(code) else None


def primary_language(tag: str | None) -> str:
    """The language of a tag by itself, as tables have it: ``sv`` of ``sv-SE`` and of ``SV``; empty for none."""
    return (tag or "").lower().partition("-")[0]


#: Three letters (ISO 639-2/T) for two, where a system wants those.
ISO_639_2: dict[str, str] = dict(
    pair.split(":")
    for pair in """
    af:afr am:amh ar:ara as:asm az:aze ba:bak be:bel bg:bul bn:ben bo:bod br:bre bs:bos ca:cat cs:ces cy:cym da:dan
    de:deu el:ell en:eng es:spa et:est eu:eus fa:fas fi:fin fo:fao fr:fra gl:glg gu:guj ha:hau he:heb hi:hin hr:hrv
    ht:hat hu:hun hy:hye id:ind is:isl it:ita ja:jpn jv:jav ka:kat kk:kaz km:khm kn:kan ko:kor la:lat lb:ltz ln:lin
    lo:lao lt:lit lv:lav mg:mlg mi:mri mk:mkd ml:mal mn:mon mr:mar ms:msa mt:mlt my:mya ne:nep nl:nld nn:nno no:nor
    oc:oci pa:pan pl:pol ps:pus pt:por ro:ron ru:rus sa:san sd:snd si:sin sk:slk sl:slv sn:sna so:som sq:sqi sr:srp
    su:sun sv:swe sw:swa ta:tam te:tel tg:tgk th:tha tk:tuk tl:tgl tr:tur tt:tat uk:ukr ur:urd uz:uzb vi:vie yi:yid
    yo:yor zh:zho
    """.split()
)
