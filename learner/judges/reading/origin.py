"""Tells where the text in the user's role comes from: a person, a program, or somebody else.

Agents hand results back in the user's role, and people paste mails, reviews and chats to have them
worked on. Neither is a word about the reply. What is left of a message after that is what the
person said to the agent.

Every expression is anchored or bounded, and no more than LOOK_CHARS are looked at.
"""

import json
import re
from typing import Final, Literal

from learner.judges.reading.text import COVER, cover

Origin = Literal["person", "program", "pasted"]

# A program shows itself at once.
LOOK_CHARS: Final = 2000
# With this share of a message in quotes or code, the message is what it quotes.
MOST_QUOTED: Final = 0.6
# A person writes a reaction in a few lines; a text for work has more.
MANY_LINES: Final = 5

# A word, perhaps two more, and a colon or bracket: how programs begin what they report.
_LABEL: Final = re.compile(
    r"[\s*#>\[(<【]*(?:observation|tool|function|execution|stdout|stderr|std(?:out|err)|output|"
    r"result|"
    r"return(?:ed)?|exit|traceback|error|exception|warning|warn|info|debug|fatal|notice|system|"
    r"log|logs|"
    r"status|request|command|terminal|console|shell|compiler|build|test|tests|job|task|cron\b|"
    r"scheduler|webhook|event|trigger|payload|search results?|retrieved|context|document|"
    r"environment|"
    r"beobachtung|werkzeug|fehler|ergebnis|ausgabe|warnung|meldung|protokoll|hinweis|rückgabe\w*|"
    r"erreur|résultat|sortie|avertissement|observation|journal|outil|"
    r"retorno|resultado|salida|observación|advertencia|aviso|herramienta|registro|sistema|"
    r"errore|risultato|uscita|osservazione|avviso|strumento|"
    r"erro|saída|observação|ferramenta|"
    r"错误|結果|结果|输出|观察|观测|系统|警告|工具|日志|状态|返回|出力|エラー|観測|観察|システム|ツール|ログ|状態|通知|实行|実行)"
    r"(?:[\w '’\-./()]{0,40}[\])>】]{0,2}\s{0,3}[:=：]|[\])>】]{0,2}\s*\n)",
    re.IGNORECASE,
)
_SIGNS: Final = re.compile(
    r"Traceback \(most recent call last\)|\bexit(?:ed)?(?: with)?(?: code| status)?:? -?\d+\b"
    r"|\bexit[ _]code\b|\bat [\w.$<>]+\([\w./]+:\d+|^[ \t]*File \"[^\"\n]{1,200}\", line \d+"
    r"|\b[A-Z]\w{2,40}(?:Error|Exception):|\berrno\b|\bE[A-Z]{4,12}\b: |npm ERR!|HTTP/\d|"
    r"\bHTTP \d{3}\b"
    r"|\bstatus(?:_| )?code\b|^[ \t]*(?:INFO|WARN|WARNING|ERROR|DEBUG|FATAL|CRITICAL)\b"
    r"|^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|^\d\d:\d\d:\d\d\b|^[ \t]*\$ \w|\b\d+ (?:passed|failed)\b"
    r"|^FAILED |^PASSED |command not found|[Nn]o such file|[Pp]ermission denied|segmentation fault"
    r"|[:,\[]\s?null\s?[,}\]]"
    # what compilers, git, package managers and databases print in one line
    r"|^[a-z][\w.+\-]{1,20}: (?:(?:fatal )?error|fatal|warning|cannot|could not|can't|unable to|"
    r"unknown|invalid|illegal|missing|not found|\(\d{1,3}\) |\w{1,30}\(\):)"
    r"|\b(?:error )?(?:TS|CS|CA|LNK|ORA-|SQLSTATE\[?|E|C)\d{4,5}\]?: "
    r"|^HEAD is now at [0-9a-f]{7}|^[ \t]*! \[(?:remote )?rejected\]|^CONFLICT \(\w{3,20}\):"
    r"|^Query OK, \d|^\(\d+ rows?\)|^(?:ALTER|CREATE|DROP) (?:TABLE|INDEX|ROLE|DATABASE)\s*\Z"
    r"|^(?:INSERT \d|UPDATE|DELETE) \d+\s*\Z|^(?:La|pdf)TeX Warning|^Requirement already satisfied"
    r"|^Successfully (?:installed|built) \S|^(?:Build|Compilation) \w{4,10} in \d|^#(?:REF|N/A)\b",
    re.MULTILINE,
)
# What is no person's whatever it tells: a tag of a tool, an agent's protocol, an automatic reply.
_SENT: Final = re.compile(
    r"<\/?(?:tool_response|tool_result|result|output|observation|system-reminder|"
    r"environment_details|"
    r"function_results|response|error|stdout|html|body|div|xml)\b"
    r"|^(?:Thought|Action|Action Input|Final Answer|Tool|Function)\s?:|^diff --git|^@@ -\d"
    r"|\bno[- ]?reply\b|do not reply to this|automatic(?:ally generated)? (?:reply|message|"
    r"response)"
    r"|\bautomatisch (?:erstellt|erzeugt|generiert|versendet)|\bgénéré\w* automatiquement"
    r"|\bgenerad[oa] automáticamente|\bgenerat[oa] automaticamente|\bgerad[oa] automaticamente"
    r"|自动生成的|自動生成|自動送信|\bthis is an automat\w+ "
    r"|^Your (?:last|previous) (?:response|output|reply|message|answer|command|action) "
    r"(?:could not|couldn't|failed|did not contain|(?:was|is) (?:not valid|invalid))"
    r"|(?i:automatische (?:antwort|nachricht)|réponse automatique|respuesta automática|"
    r"risposta automatica|resposta automática)|自动回复|自動返信|自動応答"
    r"|^\w{1,20}=\S{1,80}(?:\s+\w{1,20}=\S)",
    re.MULTILINE,
)
# Somebody tells what a program printed: "tried that, now I get KeyError: 'x' instead".
_TELLS: Final = re.compile(
    r"\bI(?:'m| am)? (?:still |now |just )?(?:get|got|getting|see)\b|\b(?:gives?|gave) me\b"
    r"|\b(?:bekomme?|krieg(?:e|'|)|seh(?:e|'|)) ich\b|\bich (?:bekomme?|krieg(?:e|')?|sehe?)\b"
    r"|\bkommt (?:bei mir|jetzt|immer)\b|\bme (?:da|sale|aparece|dá|donne|sort|met)\b|\bj'obtiens\b"
    r"|\bj'ai (?:toujours |encore |maintenant )?(?:une?|droit)\b|\bmi (?:dà|da|esce|dice|appare)\b"
    r"|\b(?:dá|deu)-me\b|\botten(?:go|uto)\b|我(?:还是|现在|这边)?(?:得到|收到|看到)|报错|報錯|と出(?:ます|る|た)",
    re.IGNORECASE,
)
_KEY_VALUE: Final = re.compile(r"^[ \t]*[\"']?[\w.\-]{1,40}[\"']?\s?[:=]\s?\S", re.MULTILINE)
# The whole message in brackets, or a tag in brackets before it.
_BRACKETED: Final = re.compile(
    r"\s*[\[({<][^\n]{3,400}[\])}>]\s*\Z|\s*(?:\[[^\]\n]{2,40}\]|【[^】\n]{2,40}】)\s*\S"
)

_SALUTATION: Final = re.compile(
    r"\s*(?:dear|hi|hello|hey|sehr geehrte\w*|liebe\w*|hallo|guten tag|moin|cher|chère|bonjour|"
    r"salut|madame|monsieur|"
    r"estimad[oa]s?|querid[oa]s?|hola|buen[oa]s \w+|gentile|egregi\w+|car[oa]|ciao|buongiorno|"
    r"prezad[oa]s?|car[oa]s?|olá|oi|bom dia|"
    r"尊敬的|亲爱的|您好|你好|各位)[^\n.!?。]{0,40}[,，、!！:：]?\s*\n\s*\S",
    re.IGNORECASE,
)
_LETTER: Final = re.compile(
    r"^[ \t]*(?:subject|betreff|objet|asunto|oggetto|assunto|主题|件名|from|von|de|da|发件人|"
    r"差出人|to|an|à|para|a)\s?[:：]"
    r"|^[ \t]*(?:best|kind|warm)? ?regards\b|^[ \t]*(?:yours (?:sincerely|faithfully|truly)|"
    r"sincerely|"
    r"mit freundlichen grüßen|"
    r"viele grüße|liebe grüße|cordialement|bien à vous|salutations|atentamente|un saludo|saludos|"
    r"cordiali saluti|"
    r"distinti saluti|atenciosamente|cumprimentos|此致|敬上|敬具|よろしくお願いいたします)\b",
    re.IGNORECASE | re.MULTILINE,
)
_REVIEW: Final = re.compile(
    r"[★☆⭐]{1,5}|\b[0-5](?:[.,]\d)?\s?/\s?5\b|^[ \t]*(?:rating|bewertung)\b", re.I
)
_CHAT_LINE: Final = re.compile(r"^[ \t]*[\w .'\-]{1,20}[:：]\s?\S", re.MULTILINE)


def origin(text: str) -> Origin:
    """Tell whether a message is a person's, a program's output, or text that was pasted.

    >>> origin("Observation:\\nExecution logs:\\nFalse"), origin("false")
    ('program', 'person')
    >>> origin("fatal: not a git repository"), origin("tried it, now I get KeyError: 'x'")
    ('program', 'person')
    >>> origin("Dear Ms Kim,\\nyou forgot the invoice.\\nRegards"), origin('{"ok": false}')
    ('pasted', 'program')
    """
    seen = text[:LOOK_CHARS]
    if _is_program(seen):
        return "program"
    return "pasted" if _is_pasted(seen) else "person"


def _is_program(seen: str) -> bool:
    bare = seen.strip()
    if not bare:
        return False
    if _LABEL.match(bare) or _SENT.search(bare) or _BRACKETED.match(bare):
        return True
    if _SIGNS.search(bare) and ("\n" in bare or not _TELLS.search(bare)):
        return True
    if bare[0] in "[{" and _is_json(bare):
        return True
    lines = [line for line in bare.splitlines() if line.strip()]
    if len(lines) < 2:
        return False
    keyed = sum(1 for line in lines if _KEY_VALUE.match(line))
    tabled = sum(1 for line in lines if line.count("|") >= 2 or line.count("\t") >= 1)
    return (keyed >= 3 and keyed == len(lines)) or tabled == len(lines)


def _is_json(bare: str) -> bool:
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return re.match(r"[\[{]\s*[\"'{\[]", bare) is not None
    return True


def _is_pasted(seen: str) -> bool:
    if _SALUTATION.match(seen) or _REVIEW.search(seen) or _LETTER.search(seen):
        return True
    covered = cover(seen)
    signs = sum(1 for sign in covered if not sign.isspace())
    if signs and covered.count(COVER) / signs > MOST_QUOTED:
        return True
    lines = [line for line in seen.splitlines() if line.strip()]
    if len(lines) >= 2 and sum(1 for line in lines if _CHAT_LINE.match(line)) >= 2:
        return True
    return len(lines) > MANY_LINES
