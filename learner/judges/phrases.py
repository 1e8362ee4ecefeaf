"""The words by which people correct or praise a reply: data of the lexical judge.

A phrase counts only where a sentence begins, so that "my commute is too long" or "what is wrong
with this code?" is a topic and not a complaint. Patterns meet case-folded text with plain quotes.
Rules are tried in order: complaints before praise, so "thanks, but that's wrong" is a complaint.

The wishes are worded as the embedded model follows them: to five questions its greedy replies had 54
tokens of at most 64 with "That's too long. Shorter please." behind them, and 26 with the wish.
"""

# ruff: noqa: E501 - a pattern that is broken in two is read wrong

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases that mean the same, in several languages."""

    name: str  # used as evidence
    score: Literal[-1, 1]
    confidence: float
    patterns: tuple[str, ...]
    hint: bool = False  # the user's own sentence says what they want instead
    wish: str = ""  # what they want, where their words name only what they do not


# A clause ends; a sentence ends, perhaps politely.
END: Final = r"(?=\s*(?:[.,;:!?)…\n-]|$))"
LAST: Final = r"(?=(?:,? (?:please|bitte|por favor|s'il (?:te|vous) pla[iî]t))?\s*[.!?…]*\s*$)"
# Words that point at the reply, and what softens or introduces a wish.
REPLY: Final = r"(?:answer|reply|response|text|explanation|output)"
IT: Final = rf"(?:(?:that|this|it|(?:your|the|this|that) {REPLY})(?:'s| is| was| are|) )?"
MUCH: Final = r"(?:(?:still|way|far|much|a bit|a little|just|really|even) )*"
PLEASE: Final = (
    r"(?:(?:please|and|but|ok|okay|hey|sorry|hm+|well|can you|could you|would you|you should|"
    r"next time|from now on)[, ]+)*"
)
NO: Final = r"(?:no[,.!]+ |no |nope[,.!]* |nein[,.!]* |non[,.!]* |não[,.!]* |sorry[,.!]* |but )?"
NUMBER: Final = r"(?:one|a single|two|three|a few|fewer|\d+)"
LANGUAGE: Final = r"(?:english|german|french|spanish|italian|portuguese|chinese|japanese)"
WRONG: Final = r"(?:wrong|incorrect|false|mistaken|nonsense|not (?:right|correct|true|what i))"
SURELY: Final = r"(?:all |just |still |simply |completely |totally |plain |also )*"
YES: Final = r"(?:(?:yes|oh|wow|ok|okay|ja|oui|sí|now)[,!.]* )*"

COMPLAINTS: Final = (
    Phrases("names a length", -1, 0.8, (
        PLEASE + r"(?:make it |keep it to |just |only )?(?:answer |reply |say (?:it|that) )?(?:in )?"
        rf"(?:only |at most )?{NUMBER} (?:short )?(?:sentences?|words|lines?)(?: only| at most)?" + LAST,
        PLEASE + r"(?:answer|reply|say (?:it|that)|sum (?:it|that) up) (?:in|with) "
        rf"(?:only |at most )?{NUMBER} (?:short )?(?:sentences?|words|lines?)\b",
        r"(?:bitte )?(?:nur )?in (?:einem|zwei|drei) (?:kurzen )?(?:satz|sätzen)" + LAST,
        r"en une (?:seule )?phrase" + LAST,
        r"en (?:una|dos) (?:sola )?frases?" + LAST,
    ), hint=True),
    Phrases("too long", -1, 0.9, (
        IT + MUCH + r"too (?:long|wordy|verbose|lengthy|detailed|much (?:text|detail))\b",
        r"(?:das (?:ist|war) )?(?:viel |etwas |immer noch )*zu (?:lang|ausführlich|viel text)\b",
        r"(?:c'est |c'était )?(?:bien |beaucoup |encore )*trop (?:long|détaillé|verbeux)\b",
        r"(?:es |eso es |fue )?(?:muy|demasiado) (?:larg[oa]|extens[oa])\b",
        r"(?:è |era )?troppo (?:lung[oa]|prolisso)\b",
        r"(?:é |isso é |foi )?(?:muito long[oa]|long[oa] demais)\b",
        r"(?:太长|太長|太啰嗦)",
        r"長(?:すぎ|過ぎ)",
    ), wish="Answer in one short sentence only."),
    Phrases("asks for shorter", -1, 0.8, (
        PLEASE + r"(?:make (?:it|that|this) |be |keep (?:it|that|this) |answer |say (?:it|that) )"
        + MUCH + r"(?:more )?(?:short|shorter|brief|briefer|briefly|concise|concisely)\b",
        PLEASE + MUCH + r"(?:shorter|briefer|more (?:concise|brief|briefly))(?: answers?)?" + LAST,
        PLEASE + r"(?:get to the point|tl;?dr)" + LAST,
        r"(?:bitte )?(?:viel |etwas |noch )*(?:kürzer|knapper)\b",
        r"(?:bitte )?(?:fass dich|halt dich) (?:bitte )?kurz\b",
        r"(?:s'il (?:te|vous) pla[iî]t,? )?(?:fais |faites |sois |soyez )?plus (?:court|bref|concis)\b",
        r"(?:por favor,? )?(?:hazlo |sé )?más (?:corto|breve|conciso)\b",
        r"più (?:breve|corto|conciso)\b",
        r"mais (?:curto|breve|conciso)\b",
        r"(?:请|請)?(?:简短|短一点|短一點|简洁)",
        r"(?:もっと)?短く",
    ), wish="Answer in one short sentence only."),
    Phrases("too short", -1, 0.7, (
        IT + MUCH + r"too (?:short|brief|vague|shallow|terse|superficial)\b",
        PLEASE + r"(?:give me |add |i (?:need|want) )?" + MUCH + r"(?:more details?|a longer answer)" + LAST,
        PLEASE + r"(?:be more (?:detailed|specific)|(?:make it )?longer)" + LAST,
        r"(?:das ist )?(?:viel )?zu (?:kurz|knapp|vage)\b",
        r"(?:bitte )?(?:ausführlicher|mehr details)" + LAST,
        r"(?:c'est )?trop (?:court|vague)\b",
        r"demasiado (?:corto|breve)\b",
        r"太短",
        r"短(?:すぎ|過ぎ)",
    ), wish="Answer in more detail."),
    Phrases("too complicated", -1, 0.7, (
        IT + MUCH + r"too (?:complicated|complex|technical|difficult|formal|hard to \w+)\b",
        PLEASE + r"(?:make it |explain (?:it|that) |say (?:it|that) )?" + MUCH
        + r"(?:simpler|more simply|in (?:simple|simpler|plain) (?:words|terms|language))\b",
        r"i (?:do not|don't|didn't|did not) (?:understand|get it|follow)(?: (?:it|that|this))?" + LAST,
        r"(?:das ist )?(?:viel )?zu (?:kompliziert|technisch|schwierig)\b",
        r"(?:bitte )?einfacher" + LAST,
        r"(?:c'est )?trop (?:compliqué|technique)\b",
        r"plus simple(?:ment)?" + LAST,
        r"demasiado (?:complicado|técnico)\b",
        r"más (?:sencillo|simple)" + LAST,
        r"太(?:复杂|複雜|难|難)",
        r"(?:難し|複雑)すぎ",
    ), wish="Explain it in simple words."),
    Phrases("says it is wrong", -1, 0.9, (
        NO + rf"(?:that|this|it|your {REPLY}|the {REPLY})(?:'s| is| was|) {SURELY}{WRONG}\b(?! to\b)",
        NO + r"(?:that|this|it) ?(?:isn't|wasn't) (?:right|correct|true|what i)\b",
        NO + rf"{SURELY}(?:wrong|incorrect|false)" + END,
        NO + rf"you(?:'re| are| were) {SURELY}{WRONG}\b",
        NO + r"(?:that|this|it) (?:(?:does|did) not|doesn't|didn't|still doesn't) "
        r"(?:work|help|compile|answer|make sense|run)\b",
        NO + r"das (?:ist|war) (?:leider |doch |immer noch )*(?:falsch|nicht (?:richtig|korrekt|wahr))\b",
        NO + r"(?:das )?stimmt (?:so )?nicht\b",
        r"falsch" + LAST,
        NO + r"c'est (?:faux|incorrect|pas (?:vrai|correct|ça))\b",
        NO + r"(?:eso )?(?:está mal|es (?:incorrecto|falso)|no es (?:correcto|cierto))\b",
        NO + r"(?:è sbagliato|non è (?:vero|corretto|giusto))\b",
        NO + r"(?:isso )?(?:está errado|não está certo)\b",
        r"(?:不对|不對|错了|錯了|不正确)",
        r"(?:違い?ます|間違(?:い|って))",
    ), hint=True),
    Phrases("says what was meant", -1, 0.9, (
        NO + r"i (?:meant|mean|said|wanted|asked (?:you )?(?:for|to|about|how|what|why|when|where|who))\b",
        NO + r"(?:that is |that's )?not what i (?:asked|meant|wanted|said)\b",
        NO + r"i (?:didn't|did not) (?:ask|mean|want|say)\b",
        NO + r"you (?:did not|didn't) (?:answer|read|listen|understand|mention|use|include|follow)\b",
        NO + r"you (?:forgot|missed|ignored|misunderstood|skipped|left out)\b",
        NO + r"ich (?:meinte|wollte|habe (?:nach|gesagt))\b",
        r"du hast .{1,40}(?:vergessen|übersehen|falsch)\b",
        NO + r"je (?:voulais|parlais|demandais)\b",
        NO + r"(?:quise decir|me refería)\b",
        NO + r"(?:intendevo|volevo dire)\b",
        NO + r"(?:eu )?(?:quis|queria) dizer\b",
        r"我(?:的意思|是说|想问的)",
        r"(?:そう|そういう意味)(?:では|じゃ)(?:なく|ない)",
    ), hint=True),
    Phrases("wants another language", -1, 0.7, (
        PLEASE + rf"(?:answer |reply |speak |write |say (?:it|that) )?in {LANGUAGE}" + LAST,
        PLEASE + rf"speak {LANGUAGE}\b",
        r"(?:bitte )?auf (?:deutsch|englisch)" + LAST,
        r"en (?:français|anglais|español|inglés)" + LAST,
        r"(?:请)?用(?:中文|英文)",
        r"(?:日本語|英語)で",
    ), hint=True),
    Phrases("forbids a manner", -1, 0.8, (
        PLEASE + r"(?:do not|don't|stop|never|no more|avoid) (?:us(?:e|ing)|writ(?:e|ing)|giv(?:e|ing)|"
        r"repeat(?:ing)?|say(?:ing)?|add(?:ing)?|start(?:ing)?|apologi[sz](?:e|ing)|rambl(?:e|ing))\b",
        PLEASE + r"(?:without|no) (?:emojis?|lists?|bullet points?|markdown|headings?|disclaimers?)" + END,
        r"(?:bitte )?(?:keine?|ohne) (?:emojis?|listen?|aufzählung(?:en)?|erklärung(?:en)?)\b",
    ), hint=True),
    Phrases("asks to try again", -1, 0.5, (
        PLEASE + r"(?:try|do (?:it|that)|answer) (?:it |that )?again\b",
        r"(?:versuch(?:e|'s)? (?:es )?)?noch ?mal" + LAST,
        r"(?:réessaie|réessayez|inténtalo de nuevo|riprova|tente de novo)\b",
        r"(?:再试|重试|もう一度)",
    )),
    Phrases("doubts it", -1, 0.3, (
        r"(?:hm+,? |wait,? )*are you (?:really )?sure\b",
        r"(?:bist du (?:dir )?sicher|t'es sûr|vous êtes sûr|estás seguro|sei sicuro)\b",
        r"(?:that|this) (?:does not|doesn't) (?:sound|look|seem) right\b",
    )),
)  # fmt: skip

PRAISE: Final = (
    Phrases("praises it", 1, 0.8, (
        YES + r"(?:that's|that is|this is|it's) (?:exactly|just|precisely|absolutely|so|very|really|"
        r"much)? ?(?:perfect|great|right|correct|excellent|better|awesome|amazing|brilliant|helpful|"
        r"what i (?:wanted|needed|meant|asked))\b",
        YES + r"(?:perfect|excellent|awesome|brilliant|amazing|wonderful|fantastic|exactly|"
        r"much better|well done|(?:good|great|nice) (?:job|answer|work|one)|"
        r"(?:very |super |so )helpful|love it)" + END,
        r"(?:it |that |this )(?:works|worked|helps|helped)(?: (?:now|great|perfectly|a lot|well))?" + END,
        r"i (?:love|like) (?:it|this|that|your answer)\b",
        YES + r"(?:das ist |sehr )?(?:perfekt|prima|super|ausgezeichnet|genau (?:so|richtig)|"
        r"viel besser|gut gemacht|klasse)" + END,
        YES + r"(?:c'est )?(?:parfait|excellent|génial|super|bien mieux|exactement)" + END,
        YES + r"(?:está )?(?:perfecto|excelente|genial|mucho mejor)" + END,
        r"(?:è )?(?:perfetto|ottimo|eccellente)" + END,
        r"(?:está )?(?:perfeito|ótimo|excelente)" + END,
        r"(?:很好|太好了|完美|很棒|正是)",
        r"(?:完璧|素晴らしい|いいですね)",
    )),
    Phrases("thanks", 1, 0.4, (
        r"(?:ok(?:ay)?,? |great,? |cool,? |many )*(?:thanks|thank you|thx|ty|cheers)\b"
        r"(?! to\b| for nothing| in advance| anyway|,? but)",
        r"(?:vielen dank|danke(?:schön)?|merci(?: beaucoup)?|(?:muchas )?gracias)" + END,
        r"(?:grazie(?: mille)?|(?:muito )?obrigad[oa])" + END,
        r"(?:谢谢|謝謝|多谢)",
        r"ありがとう",
    )),
    Phrases("approves in passing", 1, 0.3, (
        YES + r"(?:great|nice|cool|good|correct|right|(?:that )?makes sense|got it)"
        r"(?=\s*[.!,]|\s*$)",
    )),
)  # fmt: skip

RULES: Final = COMPLAINTS + PRAISE
