"""Sentences with a denying word in eight languages, each with what it wishes of a reply's form."""

from typing import Final

_SENTENCES: Final = """
# en
Never write in Spanish. →
can you avoid lists please → no list
Could you not use lists please → no list
I told you no emojis → no emoji
Thank you no emojis please → no emoji
Não responde em inglês →
Non parli in inglese, per favore →
Please never answer in German again →
I don't want replies in Italian →
I do not want you to answer me in French →
Stop answering in French →
Stop using tables →
Please stop writing in all caps →
Avoid answering in Spanish. →
no all caps →
No more answers in French please →
no JSON please →
Don’t use a table →
dont use a table →
You must not answer in English →
You shouldn't write in upper case letters →
Under no circumstances use a table →
Please don't, under any circumstances, use a table →
Don't ever, ever answer in French →
Don't answer as JSON →
Don't use bullet points → no list
Do not use a list for this kind of question → no list
Stop making lists → no list
Don't use emojis → no emoji
Don't use so many emojis →
no more emojis → no emoji
Use no emojis → no emoji
Never use emojis please → no emoji
Never answer without emojis →
never end with a question → no question
Stop ending with a question. → no question
Don't end with a question mark →
Don't make it shorter →
Don't be too brief → longer
less brief → longer
Don't elaborate →
no longer use a table →
Do not call me Max →
Never call me Dr Weber. →
Don't call me Sam, call me Max → called Max
Call me Ada, not Sam → called Ada
Please don't address me as Sir →
Don't start with the words: Well then →
Never start with "Sure", start with "Hi" → starts with Hi; says Hi
Don't sign off with "Best" →
Don't answer only yes or no →
Not just one sentence →
Don't answer in one sentence →
never more than two sentences → most sentences 2
Don't use more than three sentences → most sentences 3
Not more than two sentences → most sentences 2
At most 20 words, no lists → most words 20; no list
Don't forget to answer in German → language de
Never forget to use a table → table
Why don't you use a table? → table
Why not in German? → language de
Can't you answer in German? → language de
why can't you just answer in german → language de
You didn't answer in German → language de
That's not in German → language de
in German instead of in English → language de
Answer in German rather than in French → language de
not in English but in German → language de
Not in English. In German. → language de
No, in German please → language de
In German, please, not English → language de
Nothing but JSON, as JSON → json
Never answer in anything but in German → language de
No emojis and in German → no emoji; language de
Without lists and in Spanish please → no list; language es
I don't speak English, in German please → language de
I don't understand this, use a list → list
Too long, don't use a table → shorter
not too long please → shorter
Don't make it too long → shorter
not brief enough → shorter
Neither in French nor in Spanish →
In French? No thanks →
in French, never →
Not only in English but also in German →
I hate answers in French →
Answer in any language except in French →
how do I say "no way" in German → language de
in German, no? → language de
If not sure, answer in German → language de
no matter what, use a table → table
Yes or no only, in German → yes or no; language de
why not use a list? → list
I'd rather you didn't answer in French →
You always answer in English, stop that →
Please, nothing in French →
Could you please not use a table? →
Don't apologise → no apology
Don't answer in French, in Spanish or in Italian →
Use at least three sentences →
more than two sentences please →
no less than two sentences →
no more than one sentence → most sentences 1
You never answer in German! → language de
You are not answering in German → language de
You're not answering in French any more, ok? →
not so long and in German → language de
You still haven't answered in German → language de
You never use bullet points → list
You don't use bullet points → list
You never use emojis! → emoji
You never end with a question → ends with a question
make sure you never use a table →
From now on you never use a table →
You never answer in German again →
I don't mind answers in German → language de
Don't stop answering in German → language de
Don't stop being concise → shorter
no numbers no bold → plain text
Please don't stop using bullet points →
Never stop using bullet points, please →
Please never stop using emojis →
Don't ever stop using lists →
Please don't avoid lists →
Stop rambling and answer in one sentence → most sentences 1
Stop writing essays and keep it short → shorter
Don't use jargon and keep it short → shorter
Don't explain just answer in one sentence → most sentences 1
I don't want you to just answer in German →
Don't answer just in German →
no explanations only yes or no → yes or no
no bullet points max 3 sentences → no list; most sentences 3
No emojis in German please → no emoji; language de
without emojis and shorter → no emoji; shorter
instead of a table use a list → list
Instead of trying to use a table →
I've no patience so keep it short → shorter
No time to read so in German → language de
if something is not clear ask me a question → ends with a question
As I don't speak English you should answer in German → language de
I cannot read English and need it in German → language de
Without exception answer in German → language de
no need to use a table →
Please don't answer in English, or in French →
Do not answer in a table, or in JSON →
Never use a table, or as a list →
You must not, ever, answer in German →
# de
mindestens drei Sätze →
mehr als zwei Sätze, keine Listen → no list
Nie wieder auf Englisch! →
Bitte nicht auf Englisch →
Auf Englisch bitte nicht. →
Antworte mir nicht auf Englisch, sondern auf Deutsch → language de
nicht auf Englisch sondern auf Deutsch → language de
Auf Deutsch, nicht auf Englisch → language de
Hör auf, auf Englisch zu antworten →
Vermeide es, auf Englisch zu schreiben →
Ich will nicht, dass du auf Englisch antwortest →
Ich möchte keine Antworten auf Englisch →
Schreib das auf keinen Fall auf Französisch →
Statt auf Englisch bitte auf Deutsch → language de
Warum antwortest du nicht auf Deutsch? → language de
Warum nicht auf Deutsch? → language de
Vergiss nicht, auf Deutsch zu antworten → language de
Das war nicht auf Deutsch → language de
Du hast nicht auf Deutsch geantwortet → language de
Nicht als Liste →
Keine Listen bitte → no list
Nicht kürzer bitte →
bitte nicht länger →
nicht mehr als zwei Sätze → most sentences 2
höchstens drei Sätze, keine Emojis → most sentences 3; no emoji
Nicht nur auf Englisch →
Nicht nur auf Englisch, sondern auch auf Deutsch →
Nein, auf Deutsch bitte → language de
Ende nicht mit einer Frage →
weder auf Englisch noch auf Französisch →
Nie ohne Liste →
Nenn mich nicht Sam →
Nenn mich Max, nicht Sam → called Max
Kannst du nicht auf Deutsch antworten? → language de
Kannst du bitte nicht auf Englisch antworten? →
Du antwortest nie auf Deutsch! → language de
Du antwortest nicht mehr auf Englisch →
Geht das nicht kürzer? → shorter
Geht's nicht kürzer? → shorter
Können Sie nicht auf Deutsch antworten? → language de
Kannst du aufhören, auf Englisch zu antworten? →
Kannst du aufhören auf Englisch zu antworten? →
keine Emojis auf Deutsch → no emoji; language de
geht es nicht auch auf Deutsch? → language de
Ich spreche kein Englisch und möchte Antworten auf Deutsch → language de
nicht so lang und auf Deutsch bitte → language de
Hör auf zu schwafeln und antworte auf Deutsch → language de
Antworte in jeder Sprache außer auf Deutsch →
Nicht bloß auf Englisch →
Antworte nicht auf Englisch, oder auf Französisch →
# fr
Jamais en anglais →
Ne réponds pas en anglais →
ne réponds jamais en anglais s'il te plaît →
Ne réponds plus en anglais →
Arrête de répondre en anglais →
N'écris pas en espagnol →
Pas en anglais mais en français → language fr
en français, pas en anglais → language fr
au lieu de répondre en anglais, réponds en français → language fr
Pourquoi pas en français ? → language fr
Pourquoi tu ne réponds pas en français ? → language fr
N'oublie pas de répondre en français → language fr
Ne réponds qu'en français → language fr
Ce n'est pas en français → language fr
pas plus de deux phrases → most sentences 2
pas plus court →
Pas seulement en anglais →
Non, en anglais → language en
ni en anglais ni en espagnol →
ne fais pas de liste → no list
Je ne veux pas que tu répondes en anglais →
Évite de répondre en anglais →
sans emojis et en français → no emoji; language fr
au moins trois phrases →
plus jamais en anglais →
en anglais ? Non merci. →
tu ne réponds jamais en français → language fr
pas de blabla et en français → language fr
tu ne dois jamais répondre en anglais →
Je veux que tu ne répondes jamais en anglais →
Ne réponds pas en anglais, ou en espagnol →
Je ne parle pas anglais réponds en français → language fr
# es
nada de respuestas en inglés →
al menos tres frases, en español → language es
Nunca en inglés →
no respondas en inglés →
No me respondas en inglés por favor →
Deja de responder en inglés →
Evita responder en inglés →
en inglés no →
En inglés nunca, por favor →
no en inglés, en español → language es
No en inglés sino en español → language es
en español, no en inglés → language es
en vez de en inglés, en español → language es
¿Por qué no respondes en español? → language es
No olvides responder en español → language es
No está en español → language es
no más de dos frases → most sentences 2
no más largo →
No solo en inglés →
No, en español → language es
sin listas y en español → no list; language es
ni en inglés ni en francés →
No quiero que respondas en inglés →
nunca respondes en español → language es
sin emojis y más corto → no emoji; shorter
no hablo inglés responde en español → language es
no respondas en inglés, o en francés →
# it
Mai in inglese →
non rispondere in inglese →
Non scrivere mai in inglese, per favore →
Smettila di rispondere in inglese →
Evita di rispondere in inglese →
in inglese no →
non in inglese ma in italiano → language it
in italiano, non in inglese → language it
invece di rispondere in inglese, rispondi in italiano → language it
Perché non rispondi in italiano? → language it
Non dimenticare di rispondere in italiano → language it
Non è in italiano → language it
non più di due frasi → most sentences 2
non più lungo →
Non solo in inglese →
No, in italiano → language it
senza elenchi e in italiano → no list; language it
Basta con le risposte in inglese →
non mi chiami Sam →
almeno tre frasi →
niente risposte in inglese →
non rispondi mai in italiano → language it
non rispondere in inglese, o in francese →
non parlo inglese rispondi in italiano → language it
# pt
nada de respostas em inglês →
pelo menos duas frases →
Nunca em inglês →
não responda em inglês →
Nao responda em inglês →
Pare de responder em inglês →
Evite responder em inglês →
em inglês não →
não em inglês, em português → language pt
em português, não em inglês → language pt
em vez de responder em inglês, responda em português → language pt
Por que não responde em português? → language pt
Não esqueça de responder em português → language pt
Não está em português → language pt
não mais de duas frases → most sentences 2
não mais longo →
Não só em inglês →
Não, em português → language pt
sem listas e em português → no list; language pt
não me chame de Sam →
não me chame de Sam, me chame de Bia → called Bia
Chega de responder em inglês →
você nunca responde em português → language pt
não responda em inglês, ou em francês →
# zh
别用英语 →
请不要用英语回答 →
不要再用英语了 →
禁止用英语回答 →
以后别用英文回答我 →
我不想你用英语回答 →
不要用英语，用中文 → language zh
用中文，不要用英语 → language zh
不是用英语而是用中文回答 → language zh
为什么不用中文回答？ → language zh
能不能用中文回答 → language zh
别忘了用中文回答 → language zh
不要忘记用中文回答 → language zh
不要只用英语 →
不要更短 →
别更长了 →
不要叫我小明，叫我小王 → called 小王
别叫我小明 →
不要列表 → no list
不要超过一句话 → most sentences 1
我看不懂，用中文 → language zh
可不可以用中文 → language zh
用英语不行 →
这个回答特别难懂，用中文 → language zh
不要用一句话回答 →
至少一句话 →
用英语回答就不必了 →
用中文行不行 → language zh
不要就用一句话回答 →
我看不懂英文所以用中文回答 → language zh
# ja
英語で話しかけないでほしい →
英語はやめて日本語で答えて → language ja
英語では答えないで →
英語で書かないでください →
英語で答えるな →
英語で答えるのはやめて →
英語での回答は禁止 →
英語で答えなくていい →
英語ではなく日本語で → language ja
英語で答えないで、日本語で答えて → language ja
日本語で、英語ではなく → language ja
なんで日本語で答えないの？ → language ja
日本語で答えてくれない？ → language ja
日本語でお願いできないでしょうか → language ja
日本語で答えないとだめ → language ja
日本語で答えるのを忘れないで → language ja
日本語でしか答えないで → language ja
英語だけでなく日本語でも →
箇条書きにしないで → no list
箇条書きはやめて → no list
箇条書きなしで → no list
短くしないで →
もっと短くして → shorter
長くしないで →
一文で答えないで →
最後に質問しないで → no question
健太って呼ばないで →
健太って呼んでほしくない →
健太じゃなくて、太郎って呼んで → called 太郎
わからないので日本語で答えて → language ja
英語で答える必要はない →
短く答えて余計なことは書かないで → shorter
英語で答えて欲しくない →
"""


def _split(line: str) -> tuple[str, list[str]]:
    words, wished = line.split("→")
    return words.strip(), [each.strip() for each in wished.split(";") if each.strip()]


DENIALS: Final = [_split(line) for line in _SENTENCES.splitlines() if "→" in line]
