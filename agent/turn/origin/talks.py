r"""Finds what a message calls the conversation that an order is about, and the one that it shows.

Where a message shows a transcript, each line behind a label, any word for a conversation means that
one. Where it shows none, only what is said to be this conversation does: people speak of threads
of a program, of sessions in the gym, of dialogues of Plato and of messages in a table.

Linear in the text's length: only its opening and its end are read.
"""

import re
from typing import Final

from agent.turn.origin.templates import OPENING_CHARS

# What was said, as a thing. A person says "our" or "my" of it.
WHOLE: Final = (
    r"(?<!our )(?<!my )(?:\b(?:conversations?|chats?|chatbot|dialogs?|dialogues?|threads?|messages|"
    r"transcripts?|sessions?|gespräch\w*|unterhaltung|chatverlauf|conversación|conversazione|"
    r"conversa|разговор\w*|диалог\w*|чат\w*)\b"
    r"(?! (?:apps?|bots?|rooms?|programs?|servers?|groups?))"
    r"|对话|對話|會話|会话|聊天|会話|대화)"
)
SAYINGS: Final = ("message", "question", "query", "request", "prompt", "input", "utterance")
_SAYING: Final = rf"(?:[\w'’]+\s){{0,3}}?(?:{'|'.join(SAYINGS)}|requests)\b"
SAID: Final = (
    r"\b(?:user(?:['’]?s?)?|human|first|last|latest|preceding|previous|following)\s" + _SAYING
)
# The same where nothing is shown: a conversation that is said to be this one,
_WHICH: Final = (
    r"(?: (?:above|following|preceding|previous|prior|current|entire|whole|full|given|provided|"
    r"ongoing|partial|user(?:['’]s)?|coding|ai|chat)){0,3}"
)
_WHAT: Final = r"(?:conversation|chat)(?:[ -](?:history|logs?|threads?|transcript|session))?"
_AN_ASSISTANT: Final = r"(?:an?|the) (?:\w+ )?(?:user|human|person|customer|ai|assistant)\b"
_THIS: Final = (
    rf"(?:\b(?:this|the|that){_WHICH} {_WHAT}\b|"
    rf"\b(?:conversation|chat|message) history\b|\b{_WHAT} (?:above|below|so far)\b|"
    rf"\ban? (?:new |chat ){{0,2}}{_WHAT}(?: (?:that|which))? "
    r"(?:starts|begins|opens|starting|beginning|opening)\b"
    rf"|\ban? {_WHAT} between {_AN_ASSISTANT}|"
    r"\b(?:dies\w{1,2}|de[mnrs]|das|die)(?: (?:folgend|obig|bisherig|vorherig|aktuell|gesamt|ganz)"
    r"\w*)? (?:gespräch\w{0,3}|chats?|chatverlauf\w{0,2}|unterhaltung|konversation)\b|"
    r"\b(?:cette|la) (?:conversation|discussion)\b|"
    r"\b(?:esta|la)(?: (?:siguiente|anterior))? conversación\b|"
    r"\b(?:questa|la|della|alla)(?: (?:seguente|precedente))? conversazione\b|"
    r"\b(?:[dn]?est?a|[dn]?essa|a|da|à)(?: seguinte)? conversa\b|"
    r"\b(?:эт\w{1,3}|данн\w+|следующ\w+|предыдущ\w+) (?:разговор|диалог|чат)\w{0,2}\b|"
    r"(?:[这這][个個段次]?|以[下上](?:的|这段)?|上[述面]的?|下[述面]的?|该|本|此|为|给)(?:段|次)?"
    r"(?:对话|對話|聊天|会话|會話)|(?:对话|聊天)(?:历史|记录|内容)|"
    r"(?:この|以下の|上記の|次の|上の)(?:会話|チャット)|会話履歴|(?:이|다음|위) 대화)"
)
# and not another's, a play's or a program's;
_ANOTHERS: Final = (
    r"(?! (?:app|bot|room|program|server|group|window|screen|widget|box|bar|bubble|tab|page|view|"
    r"team|model|client|component|feature|agent|channel|list|table|scene|menu|button)s?\b"
    r"| with (?:h(?:er|im|is)|them|their|mrs?|ms|dr|chatgpt|claude)\b| (?:about|of|on|at)\b"
    rf"| between (?!{_AN_ASSISTANT})"
    r"| in (?:act|chapter|scene|the (?:app|book|film|movie|novel|play|story|image|picture))\b"
    r"| (?:von|zwischen|über|mit (?:d|ein)\w+)\b| entre (?!un|l['’]|o usu|el usu)| (?:avec|sur)\b"
    r"| (?:sobre|con (?:el|la)|com [oa])\b| tra (?!un|l['’]))"
)
THIS: Final = f"(?:{_THIS}{_ANOTHERS})"
# and what a user has said in it.
USERS: Final = rf"\b(?:user|human)(?:['’]?s?)?\s{_SAYING}"

_WHO: Final = (
    r"(?:user|human|assistant|ai|bot|utilisateur|nutzer|usuario|utente|用户|助手)"
    r"(?: \([^)\n]{0,30}\))?\W{0,3}\s?[:：]"
)
_SPEAKER: Final = re.compile(rf"^\W{{0,6}}{_WHO}|[\"']role[\"']\s?:\s?[\"']", re.I | re.M)
# A conversation that is to be gone on with ends where somebody is to speak.
_SPEAKS: Final = re.compile(rf"(?:\A|\n)\W{{0,6}}{_WHO}\W{{0,4}}\Z", re.IGNORECASE)
_SPEAKS_CHARS: Final = 80
# Transcripts begin this near to the beginning.
_SHOWN_CHARS: Final = 8 * OPENING_CHARS


def without_shown(text: str) -> tuple[str, str] | None:
    """Return what stands in front of a transcript and what stands behind it; None: none is shown.

    >>> without_shown("Name it.\\n\\nUser: hi\\nAI: hello\\n\\nOnly the name.")
    ('Name it.', 'Only the name.')
    """
    first = _SPEAKER.search(text[:_SHOWN_CHARS])
    if first is None:
        return None
    end = text[first.start() :][-OPENING_CHARS:]
    _, parted, behind = end.rpartition("\n\n")
    return text[: first.start()].rstrip(), behind if parted and not _SPEAKER.search(behind) else ""


def goes_on(text: str) -> bool:
    """Return whether a text ends with a label alone, behind which somebody is to speak."""
    return _SPEAKS.search(text[-_SPEAKS_CHARS:]) is not None
