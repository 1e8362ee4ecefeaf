"""Tells what a reply wants of the user: an answer, a yes to an offer, a text, or nothing.

What answers it says nothing about the reply, whatever its words are.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

# What the reply ends with: nothing to answer · an offer ("shall I add a table?") · a question
Asks = Literal["nothing", "offer", "question"]
# The end of a reply, where its question stands.
END_CHARS: Final = 240
# A reply that invites a text, or only agrees, says little else.
INVITING_CHARS: Final = 100
# A reply that names two signs to choose from is answered with one of them.
_THUMBS: Final = ("👍", "👎")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…。！？\n])\s*")
_CLOSER: Final = re.compile(
    r"anything else|something else|else (?:i )?can|can i help|how (?:can|may) i (?:help|assist)|"
    r"help you with|"
    r"let me know|feel free|noch etwas|sonst noch|weiterhelfen|helfen\?|autre chose|vous aider|"
    r"t'aider|"
    r"algo más|puedo ayudar|en qué más|altro\?|aiutart|posso aiutar|mais alguma|posso ajudar|"
    r"ajudar em|"
    r"还有什么|还有其他|可以帮|帮助您|帮您|ほかに|他に|お手伝い|"
    r"how (?:can|may|could) i (?:be|serve)|"
    r"(?:was|womit|wie) kann ich (?:für|ihnen|dir|euch)|(?:que|comment) puis-je|(?:en|em|"
    r"in) (?:qué|que|cosa) (?:puedo|posso)|"
    r"效劳|能为您|能帮|ご用件|ご用でしょうか|御用",
    re.IGNORECASE,
)
_OFFER: Final = re.compile(
    r"\b(?:would you like me|do you want me|want me to|shall i|should i|may i|can i|could i)\b|"
    r"\bsoll ich\b|möchten sie,? dass ich|möchtest du,? dass ich|veux-tu que je|voulez-vous que je|"
    r"(?:quieres|quiere|querés) que (?:te |le )?\w+|vuoi che|vuole che|queres que|quer que eu|"
    r"você quer que|"
    r"要不要我|需要我|要我|ましょうか|いたしますか",
    re.IGNORECASE,
)
_QUESTION: Final = re.compile(
    r"[?？][\s\"'”»)*_\]🙂😊😀]*\Z|"
    r"(?:です|ます|でした|ました|でしょう|ません)か[。．]?\s*\Z|(?:吗|呢)[。]?\s*\Z"
)
_ORDER: Final = re.compile(
    r"^(?:\W*)(?:please )?(?:tell me|let me know (?:which|what|how|when|if)|guess|give me|"
    r"name (?:one|a|three|two)|your turn|answer with|say it|describe (?:it|your)|send me|"
    r"sag mir|nenn mir|gib mir|beschreib|schick mir|du bist dran|dis-moi|dites-moi|"
    r"donne-moi|à toi|dime|dígame|tu turno|dimmi|tocca a te|diz-me|me diga|me diz|"
    r"请告诉|告诉我|请选择|请输入|轮到你|教えてください|選んでください|入力してください|あなたの番)",
    re.IGNORECASE,
)
# "Choose a fast variety" is advice; "Choose A or B" is for the user to answer.
_CHOICE: Final = re.compile(
    r"^\W*(?:please )?(?:choose|pick|enter|type|fill in|rate|share|wähle?|choisis|choisissez|elige|"
    r"escoge|scegli|escolhe|escolha)\b.*"
    r"(?:\b(?:or|one of|yours?|between|oder|ou|deine?n?|ihre?n?|tes?|tu[ao]?)\b|:|\d)",
    re.IGNORECASE,
)
_QUIZ: Final = re.compile(
    r"true or false|right or wrong|yes or no|richtig oder falsch|wahr oder falsch|vrai ou faux|"
    r"verdadero o falso|"
    r"vero o falso|verdadeiro ou falso|certo ou errado|判断对错|对还是错|对不对|是否正确|"
    r"正しいですか|正誤|[○◯]か[×✕]か",
    re.IGNORECASE,
)
# Which, what, when: what is wanted, however the sentence begins.
_WANTED: Final = re.compile(
    r"\b(?:tell me|let me know|i (?:just |only )?need to know|"
    r"please (?:specify|state|say|choose|pick))"
    r"(?: first)?,? (?:which|what|how (?:many|much|long|old)|who|whom|when|where|your)\b|"
    r"\b(?:sag|sagen sie|nenn|nennen sie|lass|lassen sie|gib|geben sie) (?:mir|mich)"
    r"(?: \w+){0,2},? (?:wissen,? )?"
    r"(?:(?:in )?welche\w*|was|wie viel\w*|wer|wann|wo|deine?n?|ihre?n?)\b|"
    r"\b(?:dis|dites|précise\w*|indique\w*)(?:-moi)?,? "
    r"(?:quel\w*|combien|quand|où|dans quel\w*|en quel\w*|ton|ta|votre)\b|"
    r"\b(?:dime|dígame|indícame|indíqueme|hazme saber|avísame) "
    r"(?:qué|cuál\w*|cuánt\w*|cuándo|dónde|en qué|tu|su)\b|"
    r"\b(?:dimmi|mi dica|fammi sapere|mi faccia sapere|indicami) "
    r"(?:che|quale|quali|cosa|quant\w*|quando|dove|in (?:che|quale)|il tuo|la tua)\b|"
    r"\b(?:me diga|diz-me|diga-me|me avise|me fala|indique|informe) "
    r"(?:qual|quais|quant\w*|quando|onde|em (?:que|qual)|o seu|a sua)\b|"
    r"(?:告诉|告知)我.{0,6}(?:哪|什么|多少|几|何时)|请(?:说明|指定|选择).{0,6}(?:哪|什么|语言)|"
    r"(?:どの|どちら|何|いつ|どれ).{0,16}(?:教えて|知らせ|お聞かせ)",
    re.IGNORECASE,
)
# Courtesy asks for more questions, and for what one thinks.
_COURTESY: Final = re.compile(
    r"\b(?:else|think|thoughts|feedback|opinion|noch|denk\w*|meinst|meinen|meinung|autres?|pens\w+|"
    r"más|opin\w+|parece|altro|mais|acha)\b|还|其他|意见|看法|ほか|他に|感想",
    re.IGNORECASE,
)
# "Would you like to know more about Paris?": an ending as others are.
_MORE: Final = re.compile(
    r"\b(?:would you like|do you want|want|would you be interested|are you interested)"
    r"(?: to| in)? (?:know|hear|learn|read|knowing|hearing|learning|reading) (?:more|about|how)\b|"
    r"\b(?:möchtest du|möchten sie|willst du|wollen sie) (?:\w+ )?mehr\b.*"
    r"\b(?:wissen|erfahren|hören)|"
    r"\b(?:veux-tu|voulez-vous|souhaitez-vous|aimerais-tu|aimeriez-vous) en savoir plus\b|"
    r"\b(?:quieres|quiere|te gustaría|le gustaría) saber más\b|"
    r"\b(?:vuoi|vuole|ti piacerebbe|le piacerebbe) (?:saperne|sapere) di più\b|"
    r"\b(?:quer|queres|gostaria de|você quer) saber mais\b|"
    r"想(?:了解|知道)更多|(?:もっと|さらに|詳しく)(?:知り|聞き)たい",
    re.IGNORECASE,
)
# A choice that is left to the user, though something polite stands behind the question.
_PREFERENCE: Final = re.compile(
    r"\b(?:which|what|prefer\w*|would you like|do you want|rather)\b.*\byou\b|\byou\b.*\bprefer|"
    r"\b(?:welche\w*|lieber|möchte(?:n|st)|bevorzug\w*)\b.*\b(?:du|sie|dir|ihnen)\b|"
    r"\b(?:möchte(?:n|st)|bevorzug\w*) (?:du|sie)\b|\bhättest du\b|\bhätten sie\b|"
    r"\b(?:quel\w*|préf\w+|voulez|veux|voudr\w+|souhait\w+)\b.*\b(?:vous|tu)\b|"
    r"\bpréfér\w+[- ](?:tu|vous)|"
    r"\b(?:cuál|qué)\b.*\b(?:prefier\w+|quier\w+|gustaría)\b|\bprefier\w+|"
    r"\b(?:preferisc\w+|preferi\w*|vorrest\w*|desider\w+)\b|"
    r"\b(?:prefere\w*|gostaria\w*|deseja\w*)\b|您想要|你想要|更喜欢|偏好|希望(?:我)?用|"
    r"お好み|ご希望|どちらが|どれが",
    re.IGNORECASE,
)
# What stands behind such a question is no longer than this.
POLITE_CHARS: Final = 80
_JUST_SAY: Final = re.compile(
    r"\W*(?:(?:please |just |simply )*(?:tell me|let me know|say (?:so|which|the word))|"
    r"(?:bitte |einfach |nur )*(?:sag|sagen sie)(?: es)? (?:mir )?(?:einfach |bescheid|es)*|"
    r"dis(?:-le)?-moi|dites-(?:le-)?moi|dímelo|dime|dimmi|dimmelo|é só dizer|me diga|diz-me)\W*\Z",
    re.IGNORECASE,
)
_EITHER: Final = re.compile(r"\b(?:or|oder|ou|o|oppure)\b|还是|或者?|それとも|か、", re.IGNORECASE)
_INVITES: Final = re.compile(
    r"\b(?:paste|send|share|post|drop)\s(?:it|them|one|away|me|the|your)(?:\s\w+){0,3}\W*\Z|"
    r"\bgo ahead\b|\bfire away\b|\bi'?m (?:ready|listening|all ears)\b|\bready when\b|"
    r"\bfüg\w*\b.{1,25}\bein\b|\bher damit\b|\bleg\w* los\b|\bnur zu\b|\bich höre\b|"
    r"\bschick\w* (?:mir|es|ihn|sie|den|die|das|ruhig|einfach)\b.{0,20}\Z|"
    r"\b(?:envo(?:ie|yez)|collez?|montrez?)-(?:le|la|les|moi)\b|\b(?:vas-y|allez-y)\b|"
    r"\b(?:t'|vous )écoute\b|\badelante\b|\bte escucho\b|\bcuando quieras\b|"
    r"\b(?:env[ií]a|m[áa]nda|p[ée]ga)(?:me|lo|la|los|las)\w*|"
    r"\b(?:invia|manda|incolla)(?:mi|lo|la|me)\w*|\bti ascolto\b|\bquando vuoi\b|"
    r"\b(?:envi|mand|col)[ae](?:-[oa]s?|-me)\b|\bpode (?:mandar|enviar|colar)\b|\bà vontade\b|"
    r"发过来|发给我|发来|请发|粘贴|贴过来|请说|请讲|どうぞ(?:[、。！]|\Z)|貼っ|貼り付け|送って|お送り",
    re.IGNORECASE,
)
_AGREES: Final = re.compile(
    r"\W*(?:ok(?:ay)?|sure|of course|understood|got it|all ?right|certainly|will do|yes|klar|"
    r"gern\w*|verstanden|in ordnung|alles klar|natürlich|einverstanden|ja|d'accord|entendu|compris|"
    r"bien sûr|très bien|oui|de acuerdo|vale|claro|entendido|perfecto|por supuesto|sí|va bene|"
    r"certo|capito|sì|combinado|tudo bem|sim|está bem|好的?|没问题|明白了?|可以|行|"
    r"(?:わか|分か)りました|承知しました|了解(?:です|しました)?|かしこまりました|はい|もちろんです)\W*",
    re.IGNORECASE,
)
_ANNOUNCES: Final = re.compile(
    r"\b(?:i|i'?ll|i'?m|we|we'?ll)\b.{0,30}\b(?:send|paste|give|write|show)|\bfollowing\b|"
    r"\b(?:schick|sende|gebe|füge|zeige|schreib)\w*|\bfolgende|"
    r"\b(?:j'|je |t')(?:\w+ )?(?:envo|donn|coll|écri|montr)|\bsuivant|"
    r"\b(?:te|le|les) (?:paso|mando|envío|pego|escribo)|\bsiguiente|"
    r"\b(?:ti|le|vi) (?:mando|invio|incollo|scrivo)|\bseguente|"
    r"\b(?:te|lhe|vou) (?:mand|envi|col|escrev)\w+|\bseguinte|"
    r"下面|接下来|以下|我发|发你|给你发|送る|送り|貼る|貼り|これから",
    re.IGNORECASE,
)


def asks(reply: str, said: str = "") -> Asks:
    """Tell what a reply ends with: something to answer, an offer, or neither.

    said: what came next, where it may be one of two signs that the reply named

    >>> asks("True or false: whales are fish?"), asks("It is 12. Anything else?")
    ('question', 'nothing')
    >>> asks("Done. Shall I book it?"), asks("Rome. Which month?"), asks("Rome.")
    ('offer', 'question', 'nothing')
    """
    sentences = _last_sentences(reply)
    end = reply.strip()[-END_CHARS:]
    if not sentences:
        return "nothing"
    if said.strip() in _THUMBS and all(sign in end for sign in _THUMBS):
        return "question"
    if any(map(_wants, sentences[-2:])) or _leaves_a_choice(sentences):
        return "question"
    while sentences and (_CLOSER.search(sentences[-1]) or _asks_on(sentences[-1])):
        sentences.pop()
    if not sentences:
        return "nothing"
    last = sentences[-1]
    if _QUIZ.search(" ".join(sentences)):
        return "question"
    if _QUESTION.search(last):
        return "offer" if _OFFER.search(last) else "question"
    return "question" if _ORDER.match(last) or _CHOICE.match(last) else "nothing"


def ending(reply: str) -> str:
    """Return the sentence of a reply in which its question stands, with what stands behind it.

    >>> ending("Rome is old. It has seven hills. Which month? Let me know.")
    'Which month? Let me know.'
    """
    sentences = _last_sentences(reply)
    asked = (n for n in range(len(sentences)) if _QUESTION.search(sentences[n]))
    return " ".join(sentences[next(asked, -1) :])


def _last_sentences(reply: str) -> list[str]:
    end = reply.strip()[-END_CHARS:]
    return [s for s in _SENTENCE_END.split(end) if s.strip()][-3:]


def _wants(sentence: str) -> bool:
    return _WANTED.search(sentence) is not None and _COURTESY.search(sentence) is None


def _asks_on(sentence: str) -> bool:
    """Tell whether a question only asks whether to go on, with nothing to choose from."""
    return _MORE.search(sentence) is not None and _EITHER.search(sentence) is None


def _leaves_a_choice(sentences: Sequence[str]) -> bool:
    """Tell whether the last sentences leave something to the user, with courtesy behind it."""
    *before, last = sentences
    if not before:
        return False
    if _JUST_SAY.fullmatch(last):
        return _EITHER.search(before[-1]) is not None
    asked = _QUESTION.search(before[-1]) is not None and _PREFERENCE.search(before[-1]) is not None
    return asked and len(last) <= POLITE_CHARS and not _QUESTION.search(last)


def invites(asked: str, reply: str) -> bool:
    """Tell whether a reply only waits for a text that the user wants to have worked on.

    >>> invites("Check my commas?", "Yes, paste the text."), invites("Why?", "Sure.")
    (True, False)
    >>> invites("Translate what I'll send you.", "Understood.")
    True
    """
    if len(reply) > INVITING_CHARS:
        return False
    if _INVITES.search(reply):
        return True
    return _AGREES.fullmatch(reply) is not None and _ANNOUNCES.search(asked) is not None
