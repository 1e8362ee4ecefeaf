"""The expressions by which directions are found: numbers, languages, words to be said, names.

Where a phrase is common it is known in eight languages, in English else. Whether what is found is
wished or denied is told elsewhere (learner.form.denied).
"""

import re
from typing import Final

NUMBERS: Final = {
    "one": 1, "a single": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "ten": 10, "einem": 1, "ein": 1, "einen": 1, "zwei": 2, "drei": 3, "une": 1, "un": 1,
    "una": 1, "deux": 2, "trois": 3, "dos": 2, "tres": 3, "uno": 1, "due": 2, "tre": 3, "uma": 1,
    "um": 1, "duas": 2, "dois": 2, "a": 1, "an": 1,
}  # fmt: skip
_NUMBER: Final = r"(?P<n>\d{1,4}|" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + ")"
_SHORT: Final = r"(?:\s(?:short|brief|kurzen|kurzer|courte|corta|breve|curta))?"
MOST_WORDS: Final = re.compile(
    rf"(?:at most|no more than|max(?:imum)?|under|fewer than|höchstens|au plus|como máximo|"
    rf"al massimo|no máximo)\W{{0,3}}{_NUMBER}\s(?:words|wörter|mots|palabras|parole|palavras)\b"
)
LEAST_WORDS: Final = re.compile(
    rf"(?:at least|no less than|minimum|mindestens|au moins|al menos|almeno|pelo menos)\W{{0,3}}"
    rf"{_NUMBER}\s(?:words|wörter|mots|palabras|parole|palavras)\b"
)
SENTENCES: Final = re.compile(
    rf"\b{_NUMBER}{_SHORT}\s(?:sentences?|satz|sätzen?|phrases?|frases?|frasi|frase)(?:\s(?:court"
    rf"e|corta|curta|breve))?\b"
)
_NAMES: Final = {
    "en": "english|englisch|anglais|inglés|inglese|inglês|英语|英文|英語",
    "de": "german|deutsch|allemand|alemán|tedesco|alemão|德语|德文|ドイツ語",
    "fr": "french|französisch|français|francés|francese|francês|法语|法文|フランス語",
    "es": "spanish|spanisch|espagnol|español|spagnolo|espanhol|西班牙语|スペイン語",
    "it": "italian|italienisch|italien|italiano|意大利语|イタリア語",
    "pt": "portuguese|portugiesisch|portugais|portugués|portoghese|português|葡萄牙语",
    "zh": "chinese|chinesisch|chinois|chino|cinese|chinês|中文|汉语|中国語",
    "ja": "japanese|japanisch|japonais|japonés|giapponese|japonês|日语|日文|日本語",
}
LANGUAGE: Final = {
    name: re.compile(rf"(?:\b(?:in|into|auf|en|em|to)\s(?:{words})\b|用(?:{words})|(?:{words})で)")
    for name, words in _NAMES.items()
}
_QUOTED: Final = r"[\"“„«「](?P<phrase>[^\"”“»」\n]{1,60})[\"”“»」]"
STARTS: Final = re.compile(
    rf"\b(?:start|begin|open)\w*\b[^\"“:]{{0,40}}?(?:{_QUOTED}|words?:\s(?P<rest>.{{1,60}})\Z)",
    re.IGNORECASE,
)
ENDS: Final = re.compile(
    rf"\b(?:ends?|finish|sign(?:ed)? off|close|termina|beende)\b[^\"“:]{{0,40}}?"
    rf"(?:{_QUOTED}|(?:with|words?|palabras):\s(?P<rest>.{{1,60}})\Z)",
    re.IGNORECASE,
)
# A name begins with a capital: "call me a taxi" has none.
_NAME: Final = r"(?P<rest>[A-ZÀ-Þ][\w'’-]+(?:\s[A-ZÀ-Þ][\w'’-]+)?)"
CALLED: Final = re.compile(
    r"\b(?i:call me|address me as|refer to me as|greet(?:ing)? me as|nenne? mich|nennen sie mich|"
    r"appel(?:le|ez)-moi|ll[áa]mame|ll[áa]meme|chiamami|mi chiami|"
    r"me cham[ae] de|chama-me(?: de)?|chame-me(?: de)?)"
    rf"\s(?:{_QUOTED}|{_NAME})"
    r"|(?:叫|称呼)我为?(?![做去来干写说吃买学帮起别不怎如什])(?P<chinese>[^\W\d_]{1,6})(?:\Z|[，。！,.!])"
    r"|(?P<japanese>[^\W\d_]{1,8}?)(?:と|って)呼んで",
)
CALLS: Final = re.compile(rf"\b(?i:greet(?:ing)?|say(?:ing)? hi to)\s(?:{_QUOTED}|{_NAME})")
USES: Final = re.compile(
    rf"\b(?i:with|use|using)\s(?:the words?\s)?{_QUOTED}|「(?P<rest>[^」\n]{{1,20}})」を使"
)
NOT_CALLS: Final = re.compile(
    rf"\b(?:do not|don['’]t|never|stop)\s(?:say(?:ing)?|us(?:e|ing)|call(?:ing)?(?: me)?)\s(?:the "
    rf"words?\s)?{_QUOTED}",
    re.IGNORECASE,
)

ONE_SENTENCE: Final = re.compile(r"一句话|一文(?:で|だけ)")
LINES: Final = re.compile(rf"\b(?:poem|text|verse) of {_NUMBER} lines\b")
MARKED: Final = re.compile(
    r"\bheadings?:\s(?P<one>\w+) and (?P<other>\w+)|(?P<box>\[ \])|\bmarked (?P<mark>\w+:)"
)
STARTING_SIGN: Final = re.compile(r"\bstart\w* with the emoji (?P<sign>\S{1,4}?)(?=[\s.]|\Z)", re.I)
# A year, or another number of that size, is what a correction is about.
YEAR: Final = re.compile(r"\b[12]\d{3}\b(?!\s(?:words|wörter|mots|palabras|parole|palavras))")
