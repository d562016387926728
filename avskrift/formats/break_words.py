"""Short lists of words that say where a line may end, for each language that has one.

No part-of-speech tagger: the commonest few dozen words of each kind decide most breaks. What a list does not know is a
word like any other, and a language without lists is broken by punctuation, pauses, numbers and capitals alone.
"""

from __future__ import annotations

from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    found = (pair.strip().rpartition(" ") for pair in text.split(","))
    return frozenset((left, right) for left, _, right in found)


@dataclass(frozen=True)
class BreakWords:
    """What is known of a language's words, in lower case and without punctuation."""

    conjunctions: frozenset[str] = frozenset()
    """A clause begins with it: a good place for a break before it, a bad one after it."""
    prepositions: frozenset[str] = frozenset()
    """A phrase begins with it: break rather before than after it."""
    holds_next: frozenset[str] = frozenset()
    """Articles, possessives, numerals, infinitive markers: never parted from what follows."""
    leans_on_next: frozenset[str] = frozenset()
    """Subject pronouns, auxiliary verbs, adverbs of degree: rather not parted from what follows."""
    holds_previous: frozenset[str] = frozenset()
    """Postpositions and particles: never parted from what comes before."""
    leans_on_previous: frozenset[str] = frozenset()
    """Negations and the like: rather not parted from what comes before."""
    pairs: frozenset[tuple[str, str]] = frozenset()
    """Verbs with their particle, and other words that only mean something together."""
    units: frozenset[str] = frozenset()
    """What a number counts, besides the words that follow it anyway."""
    numbered: frozenset[str] = frozenset()
    """What a number names: "kl. 10", "page 4"."""
    abbreviations: frozenset[str] = frozenset()
    """With their full stop; it ends no sentence, and what follows belongs to them."""
    titles: frozenset[str] = frozenset()
    """Before a name, also without a full stop."""
    months: frozenset[str] = frozenset()
    """As they are written: "May" is a month, "may" is none."""
    openers: frozenset[str] = frozenset()
    """Besides the words above, what begins a sentence where it has a capital letter and no full stop comes before."""


SWEDISH = BreakWords(
    conjunctions=_words(
        "och men eller utan att som när medan eftersom om fast fastän därför innan sedan tills då där dit vilket "
        "vilken vilka vars ifall såvida huruvida medans samt varför hur varken antingen trots såsom än"
    ),
    prepositions=_words(
        "för så om i på av till från med vid hos mellan under över genom mot utan efter före innanför utanför bakom "
        "framför bredvid kring runt omkring enligt sedan inom utom per åt ur bland längs mitt hemma inifrån utifrån "
        "tack"
    ),
    holds_next=_words(
        "en ett den det de min mitt mina din ditt dina sin sitt sina hans hennes dess vår vårt våra er ert era deras "
        "denna detta dessa någon något några ingen inget inga varje varenda alla allt hela båda samma sådan sådant "
        "sådana vilken vilket vilka två tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton "
        "sjutton arton nitton tjugo trettio fyrtio femtio sextio sjuttio åttio nittio hundra tusen första andra "
        "tredje fjärde femte"
    ),
    leans_on_next=_words(
        "jag du han hon vi ni man dom är var har hade ska skulle kan kunde vill ville måste får fick bör borde blir "
        "blev kommer brukar brukade mycket väldigt ganska rätt lite så mer mest alltför inte aldrig ju nog bara även "
        "också redan ofta alltid fortfarande faktiskt verkligen nästan minst omkring cirka ungefär"
    ),
    leans_on_previous=_words(
        "jag du han hon vi ni inte sig mig dig oss honom henne dem ju väl in ut upp ner bort fram hem tillbaka igen"
    ),
    pairs=_pairs(
        "håller med, höll med, hålla med, räknar med, räknade med, tycker om, tyckte om, tyckt om, håller på, höll "
        "på, hålla på, ser ut, såg ut, se ut, handlar om, handlade om, handla om, kommer ihåg, kom ihåg, komma ihåg, "
        "tänker på, tänkte på, tänka på, väntar på, väntade på, vänta på, tittar på, tittade på, titta på, lyssnar "
        "på, lyssna på, pratar om, pratade om, prata om, talar om, talade om, tala om, beror på, berodde på, berättar "
        "om, berätta om, tar upp, tog upp, ta upp, går ut, tack för, bland annat, till exempel, på grund, i dag, i "
        "går, i morgon, i kväll, i natt, i år, så kallad, så kallade, så kallat, ett par, god morgon, god kväll, god "
        "natt, god dag, hej då, tack så, vad gäller, när det, för att, så att, även om, som om, trots att, utan att, "
        "efter att, genom att, därför att, kommer att, kommit att, var och, och så, så vidare, klockan ett, klockan "
        "två, klockan tre, klockan fyra, klockan fem, klockan sex, klockan sju, klockan åtta, klockan nio, klockan "
        "tio, klockan elva, klockan tolv, klockan halv, klockan kvart, halv ett, halv två, halv tre, halv fyra, halv "
        "fem, halv sex, halv sju, halv åtta, halv nio, halv tio, halv elva, halv tolv, kvart i, kvart över, just det, "
        "meter per, kronor per, kilometer per, gånger per, poäng per"
    ),
    units=_words(
        "kronor krona kr öre euro dollar procent grader meter centimeter millimeter kilometer mil kilo gram ton liter "
        "deciliter timmar timme minuter minut sekunder sekund dagar veckor månader år miljoner miljarder miljon "
        "miljard tusen personer km cm mm kg g l dl m s h % ‰ °c biljoner procentenhet procentenheter promille kvm m² "
        "m³ km² kvadratmeter kubikmeter kvadratkilometer hektar tum fot knop kn hk km/h m/s watt kilowatt megawatt w "
        "kw mw gw kwh mwh gwh twh volt v hz mhz ghz mb gb tb kb mbit gbit ml cl hg mg kalorier kcal sek euro pund "
        "barn människor elever vuxna gånger stycken st poäng röster platser mandat ledamöter patienter deltagare "
        "invånare anställda medlemmar mål dygn veckor decennier sidor procents timmars års §"
    ),
    numbered=_words(
        "klockan kl kl. nummer nr nr. sida sidan sid kapitel punkt artikel paragraf vecka kanal linje version § år "
        "minus plus $ € £ rum plan buss väg figur tabell bild årskurs avsnitt säsong"
    ),
    abbreviations=_words(
        "t.ex. bl.a. d.v.s. dvs. s.k. kl. ca. ca nr. st. dr. prof. fr.o.m. t.o.m. p.g.a. pga. resp. jfr. ev. f.d. "
        "m.fl. inkl. exkl. tel. sid. kap. art. hr. fil. tekn. jur. med. o.d."
    ),
    titles=_words("herr fru fröken doktor professor kung drottning prins prinsessan statsminister minister dr prof hr"),
    months=_words(
        "januari februari mars april maj juni juli augusti september oktober november december jan feb apr aug sept "
        "okt nov dec"
    ),
    openers=_words("ja nej nja okej jo jaså vad vem ah eh hej tack nu sen här alltså men absolut precis varför hur"),
)

ENGLISH = BreakWords(
    conjunctions=_words(
        "and but or nor so because although though while when whenever where wherever if unless until since that "
        "which who whom whose whether before after as than why how once"
    ),
    prepositions=_words(
        "in on at by for with about against between into through during above below from over under to across behind "
        "beyond near without within along around among toward towards upon except like per via"
    ),
    holds_next=_words(
        "few several many a an the my your his her its our their this that these those some any no every each either "
        "neither both all half such what whose to two three four five six seven eight nine ten eleven twelve thirteen "
        "fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
        "hundred thousand first second third fourth fifth of"
    ),
    leans_on_next=_words(
        "i you he she it we they i'm you're he's she's it's we're they're i've you've we've they've i'll you'll we'll "
        "they'll i'd you'd we'd they'd that's there's am is are was were be been being have has had do does did will "
        "would shall should can could may might must don't doesn't didn't won't can't couldn't wouldn't shouldn't "
        "isn't aren't wasn't weren't not never very really quite too so more most less just even also there let's "
        "already still often always only actually almost probably simply nearly"
    ),
    leans_on_previous=_words(
        "not myself yourself himself herself itself ourselves themselves too either of up down out off away back again"
    ),
    pairs=_pairs(
        "going to, used to, have to, has to, had to, want to, wants to, wanted to, able to, need to, needs to, agree "
        "with, approve of, look at, looking at, looked at, look for, looking for, talk about, talking about, talked "
        "about, think about, thinking about, thought about, listen to, depends on, according to, because of, out of, "
        "kind of, sort of, lot of, lots of, a lot, a few, a little, of course, such as, as well, more than, less "
        "than, rather than, even if, even though, so that, in order, thank you, each other, one another, at least, at "
        "all, right now, next week, last week, last year, next year, this is, there are, there is, good morning, good "
        "evening, pick up, find out, set up, figure out, point out, carry out, give up, grow up, wake up, come back, "
        "go back, going on, half past, quarter past, quarter to, past one, past two, past three, past four, past "
        "five, past six, past seven, past eight, past nine, past ten, past eleven, past twelve, miles per, miles an, "
        "meters per, dollars per, times per, times a, times an, kilometers per"
    ),
    units=_words(
        "dollars dollar pounds pound euros euro cents percent degrees meters metres miles mile feet foot inches inch "
        "kilometers kilometres kilos kilograms grams tons liters litres hours hour minutes minute seconds second days "
        "weeks months years people million billion trillion thousand hundred km cm mm kg g l m s h am pm a.m p.m % °c "
        "°f o'clock mph km/h knots gallons gallon pints acres hectares yards ounces lbs watts kilowatts megawatts kwh "
        "volts hz mhz ghz mb gb tb mbps calories votes points seats goals members students children patients "
        "employees times pages bucks decades"
    ),
    numbered=_words(
        "number no no. page chapter part section article channel version room flight route week year level minus plus "
        "$ € £ figure table season episode grade gate"
    ),
    abbreviations=_words(
        "mr. mrs. ms. dr. prof. st. e.g. i.e. vs. no. sr. gen. lt. col. sgt. capt. rev. hon. jan. feb. mar. apr. jun. "
        "jul. aug. sept. oct. nov. dec. fig. approx."
    ),
    titles=_words(
        "mr mrs ms dr doctor professor sir madam president king queen prince princess minister prof rev capt sgt"
    ),
    months=_words(
        "January February March April May June July August September October November December Jan Feb Mar Apr Jun "
        "Jul Aug Sept Oct Nov Dec"
    ),
    openers=_words("yes yeah no well okay ok hello hi thanks thank now then here let please what oh"),
)

HINDI = BreakWords(
    conjunctions=_words(
        "और या लेकिन मगर परंतु पर कि क्योंकि अगर यदि तो जब जहाँ जहां जो जिसे जिसने जिसका जिसकी जिसके जिन जैसे ताकि "
        "इसलिए बल्कि हालांकि हालाँकि तथा एवं जबकि फिर"
    ),
    holds_next=_words(
        "एक यह ये वह वे इस उस इन उन मेरा मेरी मेरे तेरा तेरी आपका आपकी आपके हमारा हमारी हमारे उसका उसकी उसके इसका "
        "इसकी इसके उनका उनकी उनके अपना अपनी अपने कोई कुछ हर सब सभी दो तीन चार पाँच पांच छह सात आठ नौ दस बीस सौ हज़ार "
        "हजार लाख करोड़"
    ),
    leans_on_next=_words("मैं तुम आप हम बहुत बड़ा बड़ी बड़े नहीं मत न"),
    holds_previous=_words(
        "का की के को से में ने तक पर द्वारा वाला वाली वाले है हैं हूँ हूं हो था थी थे थीं गा गी गे ही भी जी सा सी लिए "
        "साथ बाद पहले बारे रहा रही रहे गया गई गए चाहिए"
    ),
    leans_on_previous=_words("कर करके करता करती करते किया की दिया दी लिया ली सकता सकती सकते जाता जाती जाते"),
    units=_words("रुपये रुपए रुपया प्रतिशत किलोमीटर मीटर किलो ग्राम लीटर घंटे घंटा मिनट सेकंड दिन हफ़्ते महीने साल वर्ष लोग"),
    numbered=_words("नंबर पेज अध्याय भाग धारा"),
    titles=_words("श्री श्रीमती डॉ प्रो"),
    abbreviations=_words("डॉ. प्रो. ई.पू."),
)

OTHER = BreakWords()

NAME_PARTICLES = _words("von van der den de del della da di af zu zur ter bin ibn")
"""Within a name, where a capital letter follows: of names from anywhere, so in every language."""

_BY_LANGUAGE = {"sv": SWEDISH, "en": ENGLISH, "hi": HINDI}


def break_words(language: str) -> BreakWords:
    """The lists of a language by its two-letter code; empty ones for a language that has none."""
    return _BY_LANGUAGE.get(language, OTHER)
