r"""Tells by its form that an order about a conversation is a person's own.

People name conversations, too: of a play, of an app that they write, or the one that they are in.
But they speak of themselves ("my", "me"), ask ("how do I …?", "can you …?"), say first what they
think of the last reply ("Too long. …", "another …"), or want a program. A client's order does none
of these: it begins with what is to be done, and is written for everybody.

Knows nothing of what is ordered.
"""

import re
from typing import Final

_OWN: Final = re.compile(
    r"\b(?:I(?!\.e\b|,? the user)|me|my|mine|myself|we|our|ours|"
    r"ich|mir|mich|mein\w*|wir|uns|unser\w*|"
    r"je|moi|mon|ma|mes|nous|notre|nos|"
    r"yo|mi|mis|nosotr[oa]s|nuestr\w+|quiero|necesito|"
    r"io|mio|mia|miei|mie|noi|nostr\w+|voglio|"
    r"eu|meu|minha|meus|minhas|nós|noss\w+|quero|preciso|"
    r"я|мне|меня|мо[йяеёюи]|моего|моей|мы|нам|наш\w*)\b|\bj['’]|我|私|僕|俺|우리|제가|내가",
    re.IGNORECASE,
)
# How a message begins that goes on from a reply: with what it is like, or what it should be like.
_REACTS: Final = re.compile(
    r"\W{0,4}(?:(?:no|non|não|nein|нет)\b(?=\s?[,.!]|\s(?:that|it|this|not)\b)|"
    r"(?:and|but|also|so|then|actually|nope|too|wrong|that['’]s|that (?:\w+ )?(?:is|was)|"
    r"shorter|longer|better|another|different|again|still|thanks?|thank you|ok|okay|yes|good|"
    r"great|nice|fine|perfect|hm+|sorry|wait|please stop|try again|not (?:quite|that|good|bad)|"
    r"und|aber|dann|zu \w+(?=[.!])|falsch|kürzer|länger|besser|danke|noch|nochmal|"
    r"das (?:ist|war)|gut|lieber|"
    r"et|puis|trop|faux|pas|merci|encore|c['’]est|bien|mieux|une? autre|plus \w+(?=[.,!])|"
    r"y|pero|demasiado|muy|mal|más|gracias|otr[oa]|eso|mejor|"
    r"ma|allora|troppo|sbagliato|più|grazie|ancora|un['’ ]altr[oa]|bene|meglio|"
    r"então|muito|não gostei|errado|mais|obrigad[oa]|outr[oa]|isso|melhor|"
    r"и|но|слишком|неверно|ещё|еще|спасибо|короче|лучше)\b|"
    r"太|不(?!要)|错|再|谢谢|好的|换|短一|短点|長すぎ|短すぎ|違|もっと|別の|ありがと|いいえ|いや|だめ|もう)",
    re.IGNORECASE,
)
# A question at the beginning, perhaps behind where it is about ("In Slack, …"). What a client
# asks begins with what it wants to know ("What is the topic of …?"), or is about a user.
_ASKS: Final = re.compile(
    r"\W{0,4}(?:(?:\w+ ){0,3}\w+, )?(?:"
    r"how|why|where|who|when|which|whose|can (?:you|i|we)|could|do\b(?! not\b)|"
    r"(?:would|will|does|did|is|are|was|were|should)\b"
    r"(?! the (?:user|assistant|agent|model|last)\b)|"
    r"wie|warum|wo|wer|wann|welche[mnrs]?|kannst|könntest|"
    r"comment|pourquoi|où|qui|quand|quel(?:le)?s?|peux-tu|pouvez-vous|est-ce|"
    r"come(?! up)|perché|dove|chi|quando|qual[ei]?|puoi|como|por que|onde|quem|quais|pode|"
    r"как|почему|где|кто|когда|можешь)\b"
    r"|\W{0,4}¿|[^。？！\n]{0,60}(?:怎么|如何|为什么|哪|吗|能不能|どう|どこ|なぜ|どれ|誰)",
    re.IGNORECASE,
)
# A conversation that something is asked for the length of, or a title that is there already.
_RULES: Final = re.compile(
    r"\W{0,4}(?:(?:please|bitte) )?(?:(?:in|during|throughout) (?:this|the|our)|"
    r"for the rest|from now|(?:in|während|für) dies\w{1,2}|dans (?:cette|la)|"
    r"(?:en|durante) est[ae]|in quest[ao]|nest[ae]|translate|correct|proofread|übersetz\w*|"
    r"korrigier\w*|tradu\w+|corrig\w+|corregg\w+|corrij\w+|переведи\w*)\b|在(?:这|本|接下来)|この会話では|[^。\n]{0,40}(?:翻译|訳し)",
    re.IGNORECASE,
)
_QUOTED: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|「[^」]*」")
_CODE: Final = (
    r"(?:code|código|codice|sql|regex\w*|curl|html|css|jsx|docstring|fun[ck]tion|función|funzione|"
    r"função|fonction|abfrage|component|tests?|script|schema|класс|код)\b"
)
_PROGRAMS: Final = re.compile(
    r"\b(?:write|create|implement|add|fix|rename|schreibe?|erstelle|écris|escrib[ea]|scrivi|"
    rf"escreva|напиши)\b[^.!?\n]{{0,40}}\b{_CODE}|"
    rf"\b(?:only|just|nur|uniquement|seulement|s[oó]lo|apenas|только)(?: \w+){{0,3}} {_CODE}|"
    r"\b(?:sql|regexp?|docstring)\b|代码|函数|コード|関数",
    re.IGNORECASE,
)
_PROMPT: Final = re.compile(
    r"[^\n]{0,80}\b(?:an?|my|this|the|system) prompt\b(?! for)", re.IGNORECASE
)


def is_persons(order: str) -> bool:
    """Return whether a person gives an order, whatever is wanted.

    order: what says it, without what it is about

    >>> is_persons("Too long. A title for this chat, only three words.")
    True
    >>> is_persons("Write a title for this chat, only three words.")
    False
    """
    if any(found.match(order) for found in (_REACTS, _ASKS, _RULES, _PROMPT)):
        return True
    own = _OWN.search(_QUOTED.sub(" ", order))
    return own is not None or _PROGRAMS.search(order) is not None
