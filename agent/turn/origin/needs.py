r"""Tells a program's question whether what a user said needs a search, or what was found helps.

Before or after they look something up, clients ask the model: whether the last message of a
conversation needs the web, the knowledge base or a tool, whether a document is relevant to it. What
such requests have in common, in whatever words: they order a decision, name what is searched or was
found, speak of a user, and want a verdict that a program reads (yes or no, true or false, JSON, the
bare query). A person asks for themselves ("do I need …?"), and a product is told what to do where a
search is needed ("if it is, call the tool").

Linear in the text's length: only its opening is read.
"""

import re
from typing import Final

from agent.turn.origin.templates import OPENING_CHARS

_CLAUSE: Final = r"[^.?!\n。？！]{0,160}?"
# What may be needed, and what may be of use.
_NEEDED: Final = (
    r"(?:\b(?:(?:web|internet|online|google|knowledge base)[- ]?(?:search|access|lookup)|"
    r"search(?:es|ing)? (?:the (?:web|internet|knowledge|documents?)|online|tools?)|retrieval|"
    r"brows(?:e|ing)\b|look(?:ing|ed)? (?:\w+ )?up\b|vector ?(?:store|database)|"
    r"(?:web|search) results|recent news|"
    r"(?:web|internet|knowledge base|documents?) (?:\w+ ){0,2}searched|"
    r"(?:external|up-to-date|real-time|current|recent|fresh|live)"
    r" (?:\w+ )?(?:information|data|documents?|sources?|knowledge)|"
    r"websuche|internetsuche|suche im (?:internet|web|netz)|"
    r"recherche (?:web|internet|en ligne|sur)|búsqueda (?:web|en)|pesquisa (?:na|web|online)|"
    r"busca (?:na web|na internet|online)|ricerca (?:web|su|online|in rete))|поиск)"
)
_FOUND: Final = r"\b(?:documents?|contexts?|passages?|chunks?|snippets?|search results?)\b"
_USEFUL: Final = (
    rf"{_FOUND}[^.?!\n]{{0,60}}\b(?:relevant|sufficient|enough)\b|"
    rf"\b(?:supported|grounded)\b[^.?!\n]{{0,60}}{_FOUND}"
)
# A decision is ordered: no function that decides is asked for, and no condition is set.
_DECIDE: Final = (
    r"(?:(?:\A|[.!?\n*,]\s{0,4}|\b(?:to|and|then|must|please|you|first|should|und|et|e|y|и)\s)"
    r"(?:determine|decide|judge|assess|evaluate|check|identify|analy[sz]e|grade|tell|"
    r"entscheide|beurteile|prüfe|bestimme|détermine[rz]?|décide[rz]?|juge[rz]?|"
    r"determina|decidi|decida|evalúa|indica|stabilisci|определи\w*|реши\w*)\b|"
    r"\byou are[^.!?\n]{0,60}\bthat (?:determines|decides|judges|checks|tells)\b)"
)
_WHETHER: Final = rf"{_CLAUSE}(?:\b(?:whether|if|ob|si|se)\b|ли\b|нуж)"
_QUESTION: Final = (
    r"(?:\A|[.!?\n]\s{0,4}|,\s)(?:does|is|are|should|would|do)\b"
    r"(?=[^.?!\n]{0,160}\b(?:the user|user['’]s))"
)
# A verdict's words stand right behind the order to give one: "reply with no more than …" is none.
_GIVE: Final = (
    r"(?<!not )(?<!never )"
    r"\b(?:respond|reply|answer|return|output|print|give|say|write|response|score)"
    r"(?:\W{1,4}(?:only|just|exactly|strictly|with|either|an?|the|one|of|in|as|to|is|be|must|should|"
    r"contain|binary|score|value|format|valid|word|single|boolean|your|search|plain|short|token)\b)"
    r"{0,8}\W{1,4}(?:yes\b|no\W{1,3}or\b|true\b|false\b|json\b|label\b|quer(?:y|ies)\b|keywords?\b|"
    r"search\W{1,3}or\b|name only\b|(?-i:[A-Z_]{4,})\W{1,3}(?:or\b)?\W{0,3}(?-i:[A-Z_]{2,})\b)"
)
_ASKED: Final = re.compile(
    rf"{_DECIDE}{_WHETHER}{_CLAUSE}(?:{_NEEDED}|{_USEFUL})|{_DECIDE} which{_CLAUSE}{_NEEDED}|"
    # "Does the user's message require …?", "Is a search needed to answer the user?"
    rf"{_QUESTION}{_CLAUSE}(?:{_NEEDED}|{_USEFUL}|\b(?:tool|search the web)\b)[^.?!\n]{{0,120}}\?|"
    rf"(?:\A|[.!?\n]\s{{0,4}}|,\s)should the (?:agent|assistant|model){_CLAUSE}search|"
    # "return true if a search is needed, else false"
    rf"(?:{_GIVE}|\{{\W?\w+\W{{1,3}}:)[^.?!\n]{{0,80}}\bif\b[^.?!\n]{{0,100}}{_NEEDED}"
    r"[^.?!\n]{0,60}\b(?:otherwise|else|false)\b|"
    r"判断[^。！？\n]{0,60}(?:搜索|联网|检索|上网)|検索[^。！？\n]{0,40}判断",
    re.IGNORECASE,
)
# Every such question has one of these in it; most messages have none, and cost next to nothing.
_STEMS: Final = ("user", "human", "conversation", "chat history", "query", "nutzer", "utilisateur",
                 "usuario", "usuário", "utente", "пользовател", "用户", "ユーザー")  # fmt: skip
_USER: Final = re.compile(
    r"(?<!our )(?<!my )\b(?:user|human|conversation|chat history|query)\b|"
    r"用户|ユーザー|\butilisateur|\busuario|\bnutzer|\bbenutzer|\butente|пользовател|\busuário",
    re.IGNORECASE,
)
_VERDICT: Final = re.compile(
    rf"{_GIVE}|\{{\s?[\"']\w+[\"']\s?:|\(yes\W{{1,3}}no\)|"
    r"\b(?:antworte|gib)\b[^.\n]{0,50}\b(?:ja|nein|json|true)\b|"
    r"\brépond\w*[^.\n]{0,50}\b(?:oui|non|json)\b|"
    r"\b(?:responde|respond[ae]|rispondi)\b[^.\n]{0,50}\b(?:s[íìi]m?|no|não|json)\b|"
    r"\bответь\w*[^.\n]{0,50}\b(?:да|нет|json)\b|"
    r"[只仅](?:需|能|要|用)?(?:回答|输出|返回|回复)|(?:のみ|だけ)を?(?:答|出力|返)",
    re.IGNORECASE,
)
# Somebody works on such a question, who has it before them.
_QUOTED: Final = re.compile(r"\A[^\n]{0,80}\bprompts?\b", re.IGNORECASE)


def asks_for_search(text: str) -> bool:
    """Return whether a message asks whether something must be looked up for a user, or has helped.

    >>> asks_for_search("Decide if the user's message needs a web search. Reply only yes or no.")
    True
    >>> asks_for_search("If the user's message needs a web search, call the tool. Else answer.")
    False
    """
    opening = text[:OPENING_CHARS]
    lower = opening.lower()
    if not any(stem in lower for stem in _STEMS):
        return False
    if _USER.search(opening) is None or _QUOTED.search(opening) is not None:
        return False
    return _VERDICT.search(opening) is not None and _ASKED.search(opening) is not None
