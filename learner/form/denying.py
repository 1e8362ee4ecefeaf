"""The words that deny in eight languages, those that end what is denied, and denials in form alone.

How they are put together is told in learner.form.denied.
"""

import re
from typing import Final

# What a denying word governs ends here, and with the words of TURNS.
STOPS: Final = (
    r"[.!?;:\n…。！？；：()（）—–]|"
    r"[,，、](?!\s*(?:(?:or|nor|oder|noch|ou|ni|o|e nem)\b|或))"
)
_NOT: Final = r"(?:\w+n['’]t|dont|cannot|cant|not|never)"
DENIES: Final = re.compile(
    r"\b(?:\w+n['’]t|dont|doesnt|didnt|cannot|cant|shouldnt|mustnt|wont|not|never|no(?!-)|nope|none|"
    r"nobody|nothing|neither|nor|without|stop(?:ped)?|quit|cease|avoid\w*|refrain\w*|instead of|"
    r"rather than|except|(?:anything|everything|any language) (?:but|other than)|hate\w*|"
    r"dislike\w*|forbid\w*|ban|prohibit\w*|(?:sick|tired) of|enough (?:of|with)|"
    r"(?:drop|ditch|lose|skip|omit|cut) (?:the|all|any|your|those|these)|"
    r"nicht|nichts|nie|niemals|nimmer|kein\w*|ohne|weder|statt|anstatt|anstelle|au(?:ß|ss)er|vermeid\w*|"
    r"unterlass\w*|verzicht\w*|hör\w*(?: \w+)? auf|auf(?:zu)?hör\w*|"
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
_ORDERS: Final = (
    r"(?:please|answer|reply|respond|use|write|speak|keep|be|make|give me|ask me|you should)\b"
)
_SHAPES: Final = r"(?:at most|max(?:imum)?|under|shorter|in(?! (?:depth|detail)))\b"
_ORDERS_DE: Final = r"(?:bitte|antworte|antworten sie|schreibe?|nutze?|verwende|fass|halte?)\b"
# Behind one of these "just" begins no wish: "I don't want you to just answer".
_FREELY: Final = "".join(
    rf"(?<!\b{word} )"
    for word in ("to", "you", "not", "always", "ever", "that", "or", "and", "can", "could", "will")
)
# Behind one of these it may be said what is wished instead.
TURNS: Final = re.compile(
    r"(?<!anything )(?<!everything )(?<!any language )\bbut\b(?! (?:also|in addition))|"
    rf"\binstead\b(?! of)|\bplease\b|\bso (?:just )?(?={_ORDERS}|{_SHAPES})|"
    rf"{_FREELY}\b(?:just|only) (?={_ORDERS})|\band (?=(?:always|only|please|keep|(?:i )?(?:need|"
    r"want)|(?:i )?would like|i['’]d like)\b)|"
    rf"\balso (?={_ORDERS_DE})|"
    rf"(?<!\bimmer )\bund (?=(?:ich )?(?:möchte|brauche|will|immer)\b|{_ORDERS_DE})|"
    r"(?<!\bencore )\bet (?=(?:réponds|répondez|utilise|écris|écrivez|toujours|je veux|"
    r"j['’]ai besoin)\b)|"
    r"\by (?=(?:responde|contesta|escribe|usa|siempre|quiero|necesito)\b)|"
    r"\be (?=(?:rispondi|scrivi|usa|sempre|voglio|quero|preciso)\b)|"
    r"\bsondern\b(?! auch)|\baber\b|\bstattdessen\b|\bbitte\b|"
    r"\bmais(?= (?:en|un|une|avec|au|plutôt|réponds|utilise)\b)|\bs['’]il (?:te|vous) pla[iî]t\b|"
    r"\bsino\b(?! también)|\bpero\b|\bpor favor\b|\bma\b(?! anche)|\bbensì\b|\bper favore\b|"
    r"\bmas(?= (?:em|use|usa|responda|responde|sim)\b)|而是|而要|但|改用|换成|请|"
    r"所以|(?<![要别能会])就(?=用)",
    re.IGNORECASE,
)
# What is left out is forbidden where all else is allowed: "any language except German".
BUT_FOR: Final = re.compile(
    r"\b(?:except|au(?:ß|ss)er|sauf|tranne|excepto|salvo|exceto)\Z|除了\Z", re.IGNORECASE
)
ANY: Final = re.compile(
    r"\b(?:any|every|all|jede|alle|toute|cualquier|"
    r"qualunque|qualsiasi|qualquer)|任何|所有",
    re.IGNORECASE,
)
# At the end of its clause a denial governs the rest of the sentence: "please don't, ever, …".
GOES_ON: Final = re.compile(
    r"\b(?:don['’]t|dont|do not|never|stop|(?:don['’]t|do not) ever|"
    r"(?:must|should|shall|may|will) not|avoid(?: it)?|"
    r"hör\w* (?:\w+ )?auf|auf(?:zu)?hören|vermeide\w*(?: es)?|"
    r"unterlass\w*(?: es)?|verzicht\w* darauf)\s*\Z",
    re.IGNORECASE,
)
THAT: Final = re.compile(r",\s*da(?:ss|ß)\b", re.IGNORECASE)
_REPLY: Final = r"(?:answers?|repl(?:y|ies)|responses?|texts?|words?|us(?:e|ing)|in|as)\b"
_ANEW: Final = (
    r"(?= (?:in|auf|en|em|as|als|at most|under|max\w*|höchstens|only|just|nur|use|answer|keep|be|"
    r"write|\d+|one|two|three|four|five|six|zwei|drei|deux|trois|dos|tres|due|tre|duas|dois|"
    r"shorter|longer|kürzer|länger|plus court|más corto|più corto|mais curto)\b)"
)
_FORMS: Final = (
    r"(?:emojis?|lists?|bullets?|bullet points|tables?|markdown|headings?|explanations?|preambles?|"
    r"jargon|filler|fluff|listen|listes|listas?|elenchi|tabellen|tableaux|tablas|tabelas)\b"
)
_NEED: Final = (
    r"(?:to|you|i|it|we|one|need|reason|way|point|use|more|less|fewer|longer|account|case|"
    r"circumstances?|\w+ing)\b"
)
# A thing that is missing ends with "and", or without, where a wish begins behind it.
WITHOUT: Final = re.compile(
    rf"\b(?:no|without)(?: (?!{_REPLY})[\w'-]+){{1,3}} and{_ANEW}|"
    rf"\b(?:no|without)(?: (?!{_REPLY}|{_NEED})[\w'-]+){{1,3}}"
    rf"(?= (?:max(?:imum)?|at most|only|just|use|answer|keep)\b)|"
    rf"\b(?:no|without|keine?|ohne|sans|sin|senza|sem) (?:any )?{_FORMS}"
    r"(?= (?:in|auf|en|em|shorter|kürzer|plus court|más corto|più corto|mais curto)\b)|"
    r"\b(?:stop|quit|cease|avoid) \w+ing(?: [\w'-]+){0,3} and"
    rf"(?= {_ORDERS})|"
    r"\b(?:instead of|rather than|(?:an)?statt|au lieu d\w+|en (?:vez|lugar) de|invece di|"
    r"em vez de)(?: (?!to\b|zu\b)[\w'-]+){1,3}(?= (?:use|answer|write|give me|nutze|"
    r"verwende|nimm|antworte|utilise|réponds|usa|responde|rispondi|responda)\b)|"
    rf"\b(?:ohne|keine?)(?: [\w-]+){{1,2}} und{_ANEW}|"
    rf"\b(?:not|nicht|pas|no|non|não) (?:so|too|that|zu|trop|aussi|tan|così|tão) [\w-]+ "
    rf"(?:and|und|et|y|e){_ANEW}|"
    rf"\b(?:sans|pas de)(?: [\w-]+){{1,2}} et{_ANEW}|\bsin(?: [\w-]+){{1,2}} y{_ANEW}|"
    rf"\b(?:senza|sem)(?: [\w-]+){{1,2}} e{_ANEW}",
    re.IGNORECASE,
)
# What somebody else said denies nothing.
QUOTED: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|「[^」]*」")
_TONGUE: Final = (
    r"(?:engl|angl|ingl|germ|deutsch|allem|alem|tedesc|fren|franz|fran[cç]|spani|espa|spagn|ital|"
    r"portu|portoghe|chin|japan|giapp)\w*"
)
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
    r"(?:\b(?:kannst|könntest|können|könnten|geht) (?:du|sie|es|das)|\bgeht['’]?s) "
    r"(?:(?!bitte)\w+ )?nicht\b(?! mehr)|"
    # second denials
    rf"\b{_NOT} (?:ever )?(?:stop|quit|avoid|mind)\b|"
    rf"\b{_NOT} (?:ever |you )?(?:forget|hesitate|fail|neglect|be (?:afraid|shy))\b|"
    r"\b(?:vergiss|vergesst|vergessen sie|zögere?|zögern sie)\b[^.,]{0,12}?\bnicht\b|"
    r"\bn['’](?:oubli|hésit)\w+ pas\b|\bno (?:te |se )?(?:olvid|dud)\w+\b|"
    r"\bnon (?:ti )?(?:dimentic|scord|esit)\w+\b|\bn[ãa]o (?:se )?(?:esque[cç]|hesit)\w+\b|"
    r"(?:不要?|别|勿)忘记?|不得不|"
    rf"\b{_NOT}\b[^.,;!?]{{0,40}}?\banything (?:but|except|other than)\b|\bnothing but\b|"
    # "only" in French
    r"\bn(?:e\s|['’])(?:(?!\b(?:pas|jamais|plus)\b)[^.,;!?]){0,30}?\bqu(?:e\b|['’])|"
    # who cannot, and what is so without exception
    rf"\bi (?:can ?not|(?:can|do)(?:n['’]?t| not)) (?:really )?(?:speak|read|understand|know) "
    rf"(?:any |much )?{_TONGUE}|\bich \w+ (?:leider )?(?:kein\w*|nicht gut) {_TONGUE}|"
    rf"\bje ne \w+ pas (?:l['’]|le )?{_TONGUE}|\bno (?:hablo|entiendo|leo|sé) (?:el )?{_TONGUE}|"
    rf"\bnon (?:parlo|capisco|leggo|so) (?:l['’]|il |lo )?{_TONGUE}|"
    rf"\b(?:não|nao) (?:falo|entendo|leio|sei) {_TONGUE}|[看听读]不懂|"
    r"\bwithout (?:any )?(?:exceptions?|fail|delay)\b|\bno exceptions?\b|\bohne ausnahmen?\b|"
    r"\bsans exception\b|\bsin excepci[óo]n\b|\bsenza eccezion\w+|\bsem exceç\w+|"
    rf"\b(?:if|when) [^.,;!?]{{0,30}}?\b{_NOT} (?:clear|sure|certain|know|understand|available)\b|"
    # words that have one of these in them
    r"\byes (?:or|/) no\b|\bno (?:matter|doubt|problem|worries)\b|\b(?:or|if) not\b|\bim mai\b|"
    r"不错|不好意思|不客气|不论|不管|特别|区别|分别|级别|类别|个别|别的|别人|特別",
    re.IGNORECASE,
)
IS_NOT: Final = re.compile(r"(?:\b(?:is|was|are|were)|['’]s) not \Z|n['’]t \Z")
# What shall not be "any more" was there.
_FROM_NOW_ON: Final = r"(?![^.!?]{0,60}\b(?:again|any ?more|from now on)\b)"
# That something is not there, where it was to be there.
LACKS: Final = re.compile(
    r"(?<!rather )(?<!wish )(?<!prefer )(?<!if )"
    r"\b(?:you|reply|answer|response|it|this|that|text) (?:still )?(?:(?:did|have|has)"
    r"n['’]?t|(?:did|have|has) not)\b(?! (?:need|have)\b)|"
    r"\b(?:it|this|that|reply|answer|response|text)(?:(?:['’]s| is| was) not|\s(?:is|was)n['’]?t)"
    r"(?= (?:in|as)\b)|"
    r"\b(?:das|es|dies|antwort|text) (?:ist|war) (?:(?:ja|doch|aber|gar|immer|noch) )*nicht"
    r"(?= (?:auf|in|als)\b)|\bhast (?:\w+ ){0,2}nicht\b|"
    r"(?:\A|[.!?]\s*|\b(?:but|because|since) )you (?:still )?(?:never|don['’]?t|do not)\b"
    r"(?! (?:need|have|want)\b)"
    rf"{_FROM_NOW_ON}|\byou(?: are|['’]re) (?:still )?not(?= \w+ing\b){_FROM_NOW_ON}|"
    rf"\byou aren['’]t(?= \w+ing\b){_FROM_NOW_ON}|"
    r"\bdu (?:antwortest|schreibst|sprichst|redest|benutzt|verwendest|nutzt) "
    r"(?:(?:mir|ja|doch|aber|immer|noch|einfach) )*(?:nicht|nie|kein\w*)\b(?! (?:mehr|wieder)\b)|"
    r"(?<!que )\btu (?:ne |n['’])(?!dois|devr|peux|veux|vas)\w+ (?:toujours )?(?:pas|jamais)\b|"
    r"\b(?:no|nunca) (?:me )?(?:respondes|contestas|escribes|usas|hablas)\b|"
    r"(?<!che )\b(?:non|mai) (?:mi )?(?:rispondi|scrivi)\b(?: mai\b)?|"
    r"\b(?:nunca|não|nao) (?:me )?(?:respondes|escreves|usas|falas)\b|"
    r"\bvocê (?:nunca|não|nao) (?:me )?(?:responde|escreve|usa|fala)\b|"
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
    rf"\b(?:{_NOT} (?:only|just|merely|always)|nicht (?:nur|blo(?:ß|ss))|pas (?:seulement|que)|"
    r"no (?:s[óo]lo|solamente)|non (?:solo|soltanto)|n[ãa]o (?:s[óo]|apenas|somente))\b|"
    r"不(?:要)?(?:只|仅|光|单)|だけでなく|だけじゃなく|ばかりでなく",
    re.IGNORECASE,
)
_PLAINLY: Final = (
    r"(?:,?\s*(?:please|thanks|thank you|any ?more|again|ever|bitte|danke|mehr|wieder|svp|merci|"
    r"por favor|gracias|per favore|grazie|obrigad[oa]))*"
)
LAST: Final = re.compile(
    rf"\s*+(?:[,:?\-–]\s*+)?(?:(?:please|bitte|svp|por favor|per favore)\s)?(?:not|never|no|nope|"
    rf"don['’]t|(?:stop|quit)(?: (?:it|that|this))?|nein|non|pas|"
    rf"jamais|nunca|jam[áa]s|mai|não|nao){_PLAINLY}\s*(?:[.!;]|\Z)|"
    rf"(?P<between>[^.!?;,]{{0,30}}?)\b(?:nicht|nie|niemals){_PLAINLY}\s*(?:[.!;,]|\Z)|"
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
# It ends where something else is spoken of: 短く答えて余計なことは…
JAPANESE_CLAUSE: Final = re.compile(
    r"(?:(?:は|も|には|では)、?)?"
    r"(?:(?!(?<=(?:答え|書い|話し|使っ)て)[㐀-䶿一-鿿](?<![欲下貰来見頂置]))[^。！？!?、,，：:\n]){0,40}"
)
KANA: Final = re.compile("[ぁ-ゖ]")
# Before one of these it is told what somebody does: no order, but a complaint.
YOU: Final = re.compile(
    r"(?:\A|[.!?,;:]\s*|\b(?:but|because|since|that|and) )you (?:still |always )?\Z", re.IGNORECASE
)
# Between a denying word and a thing that is surely denied nothing else stands than these.
_OF_REPLIES: Final = (
    r"answer\w*|repl(?:y|ies|ying)|respon[ds]\w*|writ\w+|speak\w*|talk\w*|say\w*|tell\w*|giv\w+|"
    r"us(?:e|ing)|mak\w+|add\w*|send\w*|put\w*|format\w*|be|being|do|begin\w*|start\w*|end\w*|"
    r"switch\w*|fall|go|back|default|translat\w*|produc\w*|generat\w*|provid\w*|includ\w*|output|"
    r"present|return|display|show\w*|keep\w*|content|text|data|results?|information|anything|"
    r"wechsl\w*|wechsel\w*|pass\w*|cambi\w*|mud[ae]\w*|"
    r"finish\w*|sign|off|call\w*|address\w*|a|an|the|any|your|my|me|us|you|it|this|that|to|in|as|with|"
    r"into|of|too|ever|never|again|any ?more|more|want\w*|like|please|under|circumstances|thing|"
    r"antwort\w*|schreib\w*|sprich|sprech\w*|sag\w*|verwend\w*|nutz\w*|benutz\w*|mach\w*|beend\w*|"
    r"nenn\w*|mir|mich|uns|du|sie|es|das|den|die|bitte|mehr|wieder|jemals|da(?:ss|ß)|auf|als|mit|von|"
    r"zu|eine[rnms]?|fall|"
    r"répond\w*|réponse\w*|écri\w*|utilis\w*|parl\w*|moi|nous|je|tu|vous|te|pas|plus|jamais|que|de|d|"
    r"en|une?|le|la|les|des|fai[st]|faire|"
    r"respond\w*|respuest\w*|contest\w*|escrib\w*|us[aeo]\w*|habl\w*|hag\w+|el|los|las|una|por|más|"
    r"nunca|quiero|con|"
    r"rispond\w*|rispost\w*|scriv\w*|mi|ti|di|un[oa]?|il|più|mai|che|"
    r"respost\w*|escrev\w*|fal\w+|mim|em|uma?|os?|as|mais|quero|como"
)
ONLY_THAT: Final = re.compile(
    rf"\W*(?>(?:[\w'’-]+,? (?:or|nor|oder|noch|ou|ni|o|nem)|{_OF_REPLIES}|['’])\b\W*)*+"
    r"|[要再想你我您请以后给用会能可许得是说写把 ]*",
    re.IGNORECASE,
)
ONLY_THAT_JAPANESE: Final = re.compile(
    r"(?:[でにをはがもとのなてくう、]|答え|書[かい]|話(?:しか?け?|さ)|使[わっ]|返[しさ]|返事|回答|説明|し|"
    r"って|ほし|欲し|呼[んば]|言[わっ])*"
)
