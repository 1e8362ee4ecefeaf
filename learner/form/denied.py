"""Tells whether a wish forbids what it names: "never in French", "auf Englisch nicht".

A denying word governs what stands behind it in its clause; in Japanese what stands before it, and
elsewhere as well where the clause ends with it. Some words deny in form alone: a question ("why
don't you answer in German?"), a second denial ("don't forget to"), a complaint that something is
missing ("you didn't answer in German"). Where it is not sure that nothing is denied, it counts as
denied: a wish that is not read keeps its own words, one that is read wrong becomes its opposite.

Knows nothing of what is named (learner.form.directions).
"""

import re
from functools import cached_property
from typing import Final

# A denying word governs no more than so much behind it, and so much tells how a clause goes on.
GOVERNS_CHARS: Final = 200
LOOKS_ON_CHARS: Final = 20
_SENTENCE_ENDS: Final = ".!?;\n。！？；"
# What a denying word governs ends here, and with the words of _TURNS.
_STOPS: Final = r"[.!?;:,\n…。！？；，、：()（）—–]"
_NOT: Final = r"(?:\w+n['’]t|dont|cannot|cant|not|never)"
_DENIES: Final = re.compile(
    r"\b(?:\w+n['’]t|dont|doesnt|didnt|cannot|cant|shouldnt|mustnt|wont|not|never|no(?!-)|nope|none|"
    r"nobody|nothing|neither|nor|without|stop(?:ped)?|quit|cease|avoid\w*|refrain\w*|instead of|"
    r"rather than|except|(?:anything|everything|any language) (?:but|other than)|hate\w*|"
    r"dislike\w*|forbid\w*|ban|prohibit\w*|(?:sick|tired) of|enough (?:of|with)|"
    r"(?:drop|ditch|lose|skip|omit|cut) (?:the|all|any|your|those|these)|"
    r"nicht|nichts|nie|niemals|nimmer|kein\w*|ohne|weder|statt|anstatt|anstelle|außer|vermeid\w*|"
    r"unterlass\w*|verzicht\w*|hör\w*(?: \w+)? auf|"
    r"ne|pas|rien|jamais|sans|aucune?|ni|arrêt\w*|cess\w+|évit\w*|au lieu d\w*|plutôt que|sauf|"
    r"non(?!-)|niente|mai|senza|né|nessun\w*|smett\w*|basta (?:con|parl\w+|scriv\w+|rispond\w+|"
    r"us\w+)|evit\w*|invece (?:di|che)|anziché|tranne|"
    r"nunca|nada|jam[áa]s|sin|ning[úu]n\w*|tampoco|dej\w+ de|en vez de|en lugar de|excepto|salvo|"
    r"não|nao|sem|nenhum\w*|nem|par[ea] de|deix\w+ de|em vez de|ao invés de|chega de|exceto)\b"
    r"|\bn['’](?=\w)"
    r"|不|别|勿|莫|甭|禁止|避免|停止|拒绝|而非|并非|没必要|没有必要|除了|別",
    re.IGNORECASE,
)
# Of a thing that comes in grades these deny what stands right behind them.
_LESSENS: Final = re.compile(r"\b(?:less|weniger|moins|menos|meno)\s(?:\w+\s)?\Z", re.IGNORECASE)
# Behind one of these it may be said what is wished instead.
_TURNS: Final = re.compile(
    r"(?<!anything )(?<!everything )(?<!any language )\bbut\b(?! (?:also|in addition))|"
    r"\binstead\b(?! of)|\bplease\b|\bso (?=(?:answer|reply|respond|use|write|speak)\b)|"
    r"\bsondern\b(?! auch)|\baber\b|\bstattdessen\b|\bbitte\b|"
    r"\bmais(?= (?:en|un|une|avec|au|plutôt|réponds|utilise)\b)|\bs['’]il (?:te|vous) pla[iî]t\b|"
    r"\bsino\b(?! también)|\bpero\b|\bpor favor\b|\bma\b(?! anche)|\bbensì\b|\bper favore\b|"
    r"\bmas(?= (?:em|use|usa|responda|responde|sim)\b)|而是|而要|但|改用|换成|请",
    re.IGNORECASE,
)
# At the end of its clause a denial governs the rest of the sentence: "please don't, ever, …".
_GOES_ON: Final = re.compile(
    r"\b(?:don['’]t|dont|do not|never|stop|(?:don['’]t|do not) ever|avoid(?: it)?|"
    r"hör\w* (?:\w+ )?auf|vermeide\w*(?: es)?|"
    r"unterlass\w*(?: es)?|verzicht\w* darauf)\s*\Z",
    re.IGNORECASE,
)
_THAT: Final = re.compile(r",\s*(?:dass|daß)\b", re.IGNORECASE)
_REPLY: Final = r"(?:answers?|repl(?:y|ies)|responses?|texts?|words?|us(?:e|ing)|in|as)\b"
_ANEW: Final = (
    r"(?= (?:in|auf|en|em|as|als|at most|under|max\w*|höchstens|only|just|nur|use|answer|keep|be|"
    r"write|\d+|one|two|three|four|five|six|zwei|drei|deux|trois|dos|tres|due|tre|duas|dois)\b)"
)
# A thing that is missing ends with "and", where a wish begins behind it.
_WITHOUT: Final = re.compile(
    rf"\b(?:no|without)(?: (?!{_REPLY})[\w'-]+){{1,3}} and{_ANEW}|"
    rf"\b(?:ohne|keine?)(?: [\w-]+){{1,2}} und{_ANEW}|"
    rf"\bsans(?: [\w-]+){{1,2}} et{_ANEW}|\bsin(?: [\w-]+){{1,2}} y{_ANEW}|"
    rf"\b(?:senza|sem)(?: [\w-]+){{1,2}} e{_ANEW}",
    re.IGNORECASE,
)
# What somebody else said denies nothing.
_QUOTED: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」")
# Denials in form alone.
_NO_DENIAL: Final = re.compile(
    # questions for what is not there
    rf"(?<!['’]s )(?<!is )(?<!was )\bwhy\b[^.?!,;]{{0,40}}?\b{_NOT}\b|"
    r"\b(?:should|ca|could|wo|would)n['’]?t (?:you|we|it|this|that)\b|"
    r"\b(?:was|is)n['’]?t (?:it|this|that)\b|"
    r"\b(?:warum|wieso|weshalb)\b[^.?!,;]{0,40}?\b(?:nicht|nie)\b|"
    r"\bpourquoi\b[^.?!,;]{0,40}?\b(?:pas|jamais)\b|"
    r"\b(?:por ?qu[eéê]|perch[eé])\s(?:\w+\s){0,2}?(?:no|nunca|non|mai|não|nao)\b|\bcome mai non\b|"
    r"(?:为什么|为何|怎么|干嘛)[^，。！？；]{0,12}?不(?:能|会|肯)?|何不|不如|不妨|"
    r"能不能|可不可以|可以不可以|会不会|要不要|是不是|好不好|行不行|对不对|用不用|"
    # second denials
    rf"\b{_NOT} (?:ever |you )?(?:forget|hesitate|fail|neglect|be (?:afraid|shy))\b|"
    r"\b(?:vergiss|vergesst|vergessen sie|zögere?|zögern sie)\b[^.,]{0,12}?\bnicht\b|"
    r"\bn['’](?:oubli|hésit)\w+ pas\b|\bno (?:te |se )?(?:olvid|dud)\w+\b|"
    r"\bnon (?:ti )?(?:dimentic|scord|esit)\w+\b|\bn[ãa]o (?:se )?(?:esque[cç]|hesit)\w+\b|"
    r"(?:不要?|别|勿)忘记?|不得不|"
    rf"\b{_NOT}\b[^.,;!?]{{0,40}}?\banything (?:but|except|other than)\b|\bnothing but\b|"
    # "only" in French
    r"\bn(?:e\s|['’])(?:(?!\b(?:pas|jamais|plus)\b)[^.,;!?]){0,30}?\bqu(?:e\b|['’])|"
    # words that have one of these in them
    r"\byes (?:or|/) no\b|\bno (?:matter|doubt|problem|worries)\b|\b(?:or|if) not\b|\bim mai\b|"
    r"不错|不好意思|不客气|不论|不管|特别|区别|分别|级别|类别|个别|别的|别人|特別",
    re.IGNORECASE,
)
_IS_NOT: Final = re.compile(r"(?:\b(?:is|was|are|were)|['’]s) not \Z|n['’]t \Z")
# That something is not there, where it was to be there.
_LACKS: Final = re.compile(
    r"(?<!rather )(?<!wish )(?<!prefer )(?<!if )"
    r"\b(?:you|reply|answer|response|it|this|that|text) (?:(?:did|have|has)n['’]?t|(?:did|have|has)"
    r" not)\b(?! (?:need|have)\b)|\b(?:it|this|that|reply|answer|response|text)(?:(?:['’]s| is| "
    r"was) not|\s(?:is|was)n['’]?t)(?= (?:in|as)\b)|"
    r"\b(?:das|es|dies|antwort|text) (?:ist|war) (?:(?:ja|doch|aber|gar|immer|noch) )*nicht"
    r"(?= (?:auf|in|als)\b)|\bhast (?:\w+ ){0,2}nicht\b|"
    r"\bce n['’](?:est|était) pas(?= (?:en|un|une)\b)|\b(?:tu n['’]as|vous n['’]avez) pas\b|"
    r"\bno (?:está|estaba|has|respondiste|contestaste|escribiste|usaste)\b|"
    r"\bnon (?:è|era|hai)\b|\bnão (?:está|estava|respondeu|escreveu|usou)\b",
    re.IGNORECASE,
)
# No more than so many is a wish for so many.
_MORE_THAN: Final = re.compile(
    rf"\b(?:{_NOT}|no|nicht|nie|keine?|pas|jamais|nunca|jamás|non|mai|não|nao)\b[^.,;!?]{{0,30}}?"
    r"\b(?:(?:more|longer|greater) than|over|above|exceed\w*|beyond|(?:mehr|länger) als|über|plus "
    r"(?:de|d['’]|que)|m[áa]s (?:de|que)|più (?:di|che)|mais (?:de|do que|que))|"
    r"不(?:要|能|可|得)?(?:超过|多于|超出)",
    re.IGNORECASE,
)
# So many are the fewest that are wished.
_AT_LEAST: Final = re.compile(
    r"(?:\b(?:at least|(?:no|not) (?:less|fewer) than|minimum(?: of)?|more than|over|mindestens|"
    r"mehr als|über|au moins|plus de|al menos|como mínimo|por lo menos|más de|almeno|più di|"
    r"pelo menos|no mínimo|mais (?:de|do que))|至少|不少于)\W{0,3}\Z",
    re.IGNORECASE,
)
_NOT_ONLY: Final = re.compile(
    rf"\b(?:{_NOT} (?:only|just|merely|always)|nicht (?:nur|bloß)|pas (?:seulement|que)|"
    r"no (?:s[óo]lo|solamente)|non (?:solo|soltanto)|n[ãa]o (?:s[óo]|apenas|somente))\b|"
    r"不(?:要)?(?:只|仅|光|单)|だけでなく|だけじゃなく|ばかりでなく",
    re.IGNORECASE,
)
_PLAINLY: Final = (
    r"(?:,?\s*(?:please|thanks|thank you|any ?more|again|ever|bitte|danke|mehr|wieder|svp|merci|"
    r"por favor|gracias|per favore|grazie|obrigad[oa]))*"
)
_LAST: Final = re.compile(
    rf"\s*[,:?\-–]?\s*(?:(?:please|bitte|svp|por favor|per favore)\s)?(?:not|never|no|nope|"
    rf"don['’]t|(?:stop|quit)(?: (?:it|that|this))?|nein|non|pas|"
    rf"jamais|nunca|jam[áa]s|mai|não|nao){_PLAINLY}\s*(?:[.!;]|\Z)|"
    rf"[^.!?;,]{{0,30}}?\b(?:nicht|nie|niemals){_PLAINLY}\s*(?:[.!;,]|\Z)|"
    r"[^，。！？；]{0,8}?，?(?:不行|不要|不必|不用|不可以|不准|免了|算了)(?:了|啊|吧)?(?:[，。！；]|\Z)",
    re.IGNORECASE,
)
# Behind what it denies, in Japanese; and what has such a form and asks or demands.
_BEHIND: Final = re.compile(
    r"ないで(?!しょ|す)|ないよう|なくて|なく(?!て|な)|ないほう|ない方|なし|やめ|止め|控え|避け|禁止|"
    r"不要|いらない|要らない|(?:ほし|欲し)くな|だめ|ダメ|駄目|いけな|[うくすつぬむるぐぶ]な(?=[よ。！!]|\Z)|"
    r"(?<!くれ)(?<!もらえ)(?<!いただけ)(?<!でき)(?<!てい)(?<!て)(?<!られ)ない(?=[。！!]|\Z)"
)
_DEMANDS: Final = re.compile(
    r"しか(?![けるりもした])|ないと|なければ|なきゃ|なくては|なくちゃ|忘れ(?:ないで|ず)|"
    r"(?:なんで|なぜ|どうして)[^。！？!?]{0,20}?ない"
)
_JAPANESE_CLAUSE: Final = re.compile(r"(?:(?:は|も|には|では)、?)?[^。！？!?、,，：:\n]{0,40}")
_KANA: Final = re.compile("[ぁ-ゖ]")


class Denials:
    """What of a text is denied."""

    def __init__(self, text: str) -> None:
        """Take the text; places are counted in it."""
        self._text = text

    @cached_property
    def _strict(self) -> str:
        return _without(self._text, _NO_DENIAL)

    @cached_property
    def _lenient(self) -> str:
        return _without(self._strict, _LACKS)

    @cached_property
    def _counted(self) -> str:
        return _without(self._lenient, _MORE_THAN)

    def is_denied(self, match: re.Match[str], *, counts: bool = False, missed: bool = True) -> bool:
        """Tell whether a wish forbids what was found in the text.

        counts: whether it is a number, of which no more may be wished
        missed: whether it may be said of the reply that it is not there
        """
        start, stop = match.span()
        if match[0].casefold().startswith("too "):  # "not too long" wishes what "too long" does
            return _IS_NOT.search(self._text[max(0, start - GOVERNS_CHARS) : start]) is not None
        text = self._counted if counts else self._lenient if missed else self._strict
        if self._text[stop:].casefold().startswith(" enough"):
            return False  # "not brief enough"
        return (
            self._is_governed(text, start)
            or _LESSENS.search(text[max(0, start - GOVERNS_CHARS) : start]) is not None
            or _LAST.match(self._strict, stop) is not None
            or self._is_denied_behind(start, stop)
        )

    def is_the_least(self, match: re.Match[str]) -> bool:
        """Tell whether a number is a lower bound: "at least two sentences", "more than two"."""
        start = match.start()
        before = self._counted[max(0, start - GOVERNS_CHARS) : start]
        return _AT_LEAST.search(before) is not None

    def is_no_denial(self, match: re.Match[str]) -> bool:
        """Tell whether what begins with a denying word denies nothing.

        It is asked for ("why not use a list?"), or denied itself ("never without a list").
        """
        start = match.start()
        first = match[0].split()[0].casefold()
        if self._strict[start] != self._text[start]:
            return True
        leaves = first in ("without", "ohne", "sans", "sin", "sem", "senza")
        return leaves and self._is_governed(self._lenient, start)

    def _is_governed(self, text: str, place: int) -> bool:
        """Tell whether a denying word stands before a place in its clause."""
        began = max(0, place - GOVERNS_CHARS)
        began = max(began, *(text.rfind(sign, began, place) + 1 for sign in _SENTENCE_ENDS))
        if _NOT_ONLY.search(text, began, place):
            return True
        behind = text[place : place + LOOKS_ON_CHARS]
        text, place = _without(text[began:place], _QUOTED) + behind, place - began
        clause = 0
        for stop in re.finditer(_STOPS, text[:place]):
            before = text[clause : stop.start()]
            if _GOES_ON.search(before) or _THAT.match(text, stop.start()):
                return _DENIES.search(before) is not None
            clause = stop.end()
        for ended in _WITHOUT.finditer(text, clause):
            if ended.end() <= place:
                clause = ended.end()
        for turn in _TURNS.finditer(text, clause):
            if turn.end() > place:
                break
            denials = list(_DENIES.finditer(text, clause, turn.start()))
            if not denials or text[denials[-1].end() : turn.start()].strip():
                clause = turn.end()
        return _DENIES.search(text[clause:place] + " ") is not None

    def _is_denied_behind(self, start: int, stop: int) -> bool:
        if not _KANA.search(self._text):
            return False
        clause = _JAPANESE_CLAUSE.match(self._text, stop)
        rest = clause[0] if clause is not None else ""
        asked = _DEMANDS.search(self._text[start:stop] + rest)
        began = max(0, start - GOVERNS_CHARS)
        began = max(began, *(self._text.rfind(sign, began, start) + 1 for sign in "。！？!?\n"))
        why = re.search(r"なんで|なぜ|どうして", self._text[began:start])
        return asked is None and why is None and _BEHIND.search(rest) is not None


def denies(text: str) -> bool:
    """Tell whether a denying word stands in a text."""
    return _DENIES.search(text) is not None


def _without(text: str, words: re.Pattern[str]) -> str:
    """Return a text in which these words are blank; places stay."""
    return words.sub(lambda found: "·" * len(found[0]), text)
