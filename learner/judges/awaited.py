"""Tells what a reply waits for: an answer, a yes to an offer, a text to work on, or nothing.

What comes next is then the user's answer or somebody's text, and no word about the reply.

Knows nothing of verdicts.
"""

import re
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
    end = reply.strip()[-END_CHARS:]
    sentences = [s for s in _SENTENCE_END.split(end) if s.strip()][-3:]
    while sentences and _CLOSER.search(sentences[-1]):
        sentences.pop()
    if said.strip() in _THUMBS and all(sign in end for sign in _THUMBS):
        return "question"
    if not sentences:
        return "nothing"
    last = sentences[-1]
    if _QUIZ.search(" ".join(sentences)):
        return "question"
    if _QUESTION.search(last):
        return "offer" if _OFFER.search(last) else "question"
    return "question" if _ORDER.match(last) or _CHOICE.match(last) else "nothing"


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
