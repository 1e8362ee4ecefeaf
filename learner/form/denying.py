"""The words that deny in eight languages, those that end what is denied, and denials in form alone.

How they are put together is told in learner.form.denied.
"""

import re
from typing import Final

# What a denying word governs ends here, and with the words of TURNS.
STOPS: Final = r"[.!?;:,\n…。！？；，、：()（）—–]"
_NOT: Final = r"(?:\w+n['’]t|dont|cannot|cant|not|never)"
DENIES: Final = re.compile(
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
LESSENS: Final = re.compile(r"\b(?:less|weniger|moins|menos|meno)\s(?:\w+\s)?\Z", re.IGNORECASE)
# Behind one of these it may be said what is wished instead.
TURNS: Final = re.compile(
    r"(?<!anything )(?<!everything )(?<!any language )\bbut\b(?! (?:also|in addition))|"
    r"\binstead\b(?! of)|\bplease\b|\bso (?=(?:answer|reply|respond|use|write|speak)\b)|"
    r"\bsondern\b(?! auch)|\baber\b|\bstattdessen\b|\bbitte\b|"
    r"\bmais(?= (?:en|un|une|avec|au|plutôt|réponds|utilise)\b)|\bs['’]il (?:te|vous) pla[iî]t\b|"
    r"\bsino\b(?! también)|\bpero\b|\bpor favor\b|\bma\b(?! anche)|\bbensì\b|\bper favore\b|"
    r"\bmas(?= (?:em|use|usa|responda|responde|sim)\b)|而是|而要|但|改用|换成|请",
    re.IGNORECASE,
)
# At the end of its clause a denial governs the rest of the sentence: "please don't, ever, …".
GOES_ON: Final = re.compile(
    r"\b(?:don['’]t|dont|do not|never|stop|(?:don['’]t|do not) ever|avoid(?: it)?|"
    r"hör\w* (?:\w+ )?auf|vermeide\w*(?: es)?|"
    r"unterlass\w*(?: es)?|verzicht\w* darauf)\s*\Z",
    re.IGNORECASE,
)
THAT: Final = re.compile(r",\s*(?:dass|daß)\b", re.IGNORECASE)
_REPLY: Final = r"(?:answers?|repl(?:y|ies)|responses?|texts?|words?|us(?:e|ing)|in|as)\b"
_ANEW: Final = (
    r"(?= (?:in|auf|en|em|as|als|at most|under|max\w*|höchstens|only|just|nur|use|answer|keep|be|"
    r"write|\d+|one|two|three|four|five|six|zwei|drei|deux|trois|dos|tres|due|tre|duas|dois)\b)"
)
# A thing that is missing ends with "and", where a wish begins behind it.
WITHOUT: Final = re.compile(
    rf"\b(?:no|without)(?: (?!{_REPLY})[\w'-]+){{1,3}} and{_ANEW}|"
    rf"\b(?:ohne|keine?)(?: [\w-]+){{1,2}} und{_ANEW}|"
    rf"\bsans(?: [\w-]+){{1,2}} et{_ANEW}|\bsin(?: [\w-]+){{1,2}} y{_ANEW}|"
    rf"\b(?:senza|sem)(?: [\w-]+){{1,2}} e{_ANEW}",
    re.IGNORECASE,
)
# What somebody else said denies nothing.
QUOTED: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」")
# Denials in form alone.
NO_DENIAL: Final = re.compile(
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
IS_NOT: Final = re.compile(r"(?:\b(?:is|was|are|were)|['’]s) not \Z|n['’]t \Z")
# That something is not there, where it was to be there.
LACKS: Final = re.compile(
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
MORE_THAN: Final = re.compile(
    rf"\b(?:{_NOT}|no|nicht|nie|keine?|pas|jamais|nunca|jamás|non|mai|não|nao)\b[^.,;!?]{{0,30}}?"
    r"\b(?:(?:more|longer|greater) than|over|above|exceed\w*|beyond|(?:mehr|länger) als|über|plus "
    r"(?:de|d['’]|que)|m[áa]s (?:de|que)|più (?:di|che)|mais (?:de|do que|que))|"
    r"不(?:要|能|可|得)?(?:超过|多于|超出)",
    re.IGNORECASE,
)
# So many are the fewest that are wished.
AT_LEAST: Final = re.compile(
    r"(?:\b(?:at least|(?:no|not) (?:less|fewer) than|minimum(?: of)?|more than|over|mindestens|"
    r"mehr als|über|au moins|plus de|al menos|como mínimo|por lo menos|más de|almeno|più di|"
    r"pelo menos|no mínimo|mais (?:de|do que))|至少|不少于)\W{0,3}\Z",
    re.IGNORECASE,
)
NOT_ONLY: Final = re.compile(
    rf"\b(?:{_NOT} (?:only|just|merely|always)|nicht (?:nur|bloß)|pas (?:seulement|que)|"
    r"no (?:s[óo]lo|solamente)|non (?:solo|soltanto)|n[ãa]o (?:s[óo]|apenas|somente))\b|"
    r"不(?:要)?(?:只|仅|光|单)|だけでなく|だけじゃなく|ばかりでなく",
    re.IGNORECASE,
)
_PLAINLY: Final = (
    r"(?:,?\s*(?:please|thanks|thank you|any ?more|again|ever|bitte|danke|mehr|wieder|svp|merci|"
    r"por favor|gracias|per favore|grazie|obrigad[oa]))*"
)
LAST: Final = re.compile(
    rf"\s*[,:?\-–]?\s*(?:(?:please|bitte|svp|por favor|per favore)\s)?(?:not|never|no|nope|"
    rf"don['’]t|(?:stop|quit)(?: (?:it|that|this))?|nein|non|pas|"
    rf"jamais|nunca|jam[áa]s|mai|não|nao){_PLAINLY}\s*(?:[.!;]|\Z)|"
    rf"[^.!?;,]{{0,30}}?\b(?:nicht|nie|niemals){_PLAINLY}\s*(?:[.!;,]|\Z)|"
    r"[^，。！？；]{0,8}?，?(?:不行|不要|不必|不用|不可以|不准|免了|算了)(?:了|啊|吧)?(?:[，。！；]|\Z)",
    re.IGNORECASE,
)
# Behind what it denies, in Japanese; and what has such a form and asks or demands.
BEHIND: Final = re.compile(
    r"ないで(?!しょ|す)|ないよう|なくて|なく(?!て|な)|ないほう|ない方|なし|やめ|止め|控え|避け|禁止|"
    r"不要|いらない|要らない|(?:ほし|欲し)くな|だめ|ダメ|駄目|いけな|[うくすつぬむるぐぶ]な(?=[よ。！!]|\Z)|"
    r"(?<!くれ)(?<!もらえ)(?<!いただけ)(?<!でき)(?<!てい)(?<!て)(?<!られ)ない(?=[。！!]|\Z)"
)
DEMANDS: Final = re.compile(
    r"しか(?![けるりもした])|ないと|なければ|なきゃ|なくては|なくちゃ|忘れ(?:ないで|ず)|"
    r"(?:なんで|なぜ|どうして)[^。！？!?]{0,20}?ない"
)
JAPANESE_CLAUSE: Final = re.compile(r"(?:(?:は|も|には|では)、?)?[^。！？!?、,，：:\n]{0,40}")
KANA: Final = re.compile("[ぁ-ゖ]")
