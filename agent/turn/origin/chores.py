r"""Tells a chore that a client asks for itself (a title, tags, a summary) from a person's request.

By the instruction that clients ship with it, which stands at the beginning of the last message or
of the system's, or by its form: one message that carries a transcript between tags and orders JSON.
Chores that only the conversation beside them gives away are told by the learner. A client that is
misjudged says `X-Turn-Type: main`; and a reply that somebody rates, or whose conversation goes on,
is learned from all the same.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from streams.records import Message

# A chore's instruction stands at the beginning of its message; what follows is the chat itself,
# in which anything may be quoted.
OPENING_CHARS: Final = 600

# (client, what its instruction says). Each names the client's own template so closely that a
# person who asks for a title of their essay is not taken for it.
_CHORES: Final = (
    ("Open WebUI title", r"^### Task:\s+Generate a concise, [\d-]+ word title"),
    ("Open WebUI tags", r"^### Task:\s+Generate [\d-]+ broad tags categorizing the main themes"),
    ("Open WebUI follow-ups", r"^### Task:\s+Suggest [\d-]+ relevant follow-up questions"),
    ("Open WebUI search", r"^### Task:\s+Analyze the chat history to determine the necessity"),
    ("Open WebUI image", r"^### Task:\s+Generate a detailed prompt for an?m? image generation"),
    ("Open WebUI completion", r"^### Task:\s+You are an autocompletion system"),
    ("Open WebUI emoji", r"^Your task is to reflect the speaker's likely facial expression"),
    ("Open WebUI, Page Assist title", r"Create a concise, [\d-]+ word .{5,30} as a title for the"),
    ("LibreChat title", r"concise, 5-word-or-less title for the conversation"),
    ("LibreChat title", r"^Analyze this conversation and provide:\s+1\. The detected language of"),
    ("LibreChat title", r"^Please generate a concise title \(max \d+ characters\) for a conv"),
    ("LibreChat title", r"write in the same language an extremely concise title for this conv"),
    ("NextChat title", r"^Please generate a four to five word title summarizing our conversation"),
    ("NextChat summary", r"^Summarize the discussion briefly in \d+ words or less to use as a"),
    ("LobeChat title", r"^你是一名擅长会话的助理，你需要将用户的会话总结为"),
    ("Cherry Studio title", r"^Summarize the conversation into a title\b.*\bignoring instructions"),
    ("Chatbox title", r"^Based on the chat history, give this conversation a name"),
    ("Zed title", r"^Generate a concise [\d-]+ word title for this conversation, omitting"),
    ("Continue title", r"^Given the following.{0,40} please reply with a title for the chat that"),
    ("Claude Code title", r"^Please write a [\d-]+ word title for the following conversation"),
    ("Claude Code, Cline", r"^.{0,80}Your task is to create a (?:\w+ )?detailed summary of the"),
    ("Cline condense", r"^(?:<\w+>\s*)?The current conversation is rapidly running out of context"),
    ("Codex compaction", r"^You are performing a CONTEXT CHECKPOINT COMPACTION"),
    ("Gemini CLI compaction", r"^You are the component that summarizes internal chat history into"),
    ("opencode title", r"^You are a title generator\. You output ONLY a \w+ title"),
    ("opencode title", r"^Generate a title for this conversation:"),
    ("opencode summary", r"^Provide a detailed (?:prompt|summary) for continuing (?:our|this|the)"),
    ("opencode summary", r"^You are a helpful AI assistant tasked with summarizing conversations"),
    ("AI SDK, Crush title", r"you will generate a short title based on the first message a user"),
    ("aider commit", r"^You are an expert software engineer that generates .{0,20}Git commit mess"),
    ("aider summary", r"^\*?Briefly\*? summarize this partial conversation about programming"),
    ("LangChain memory", r"^Progressively summarize the lines of conversation provided"),
    ("LangChain condense", r"^Given the following conversation and a follow up question, rephrase"),
    ("LangChain condense", r"^Given a chat history and the latest user question which might ref"),
    ("LangChain middleware", r"^<role>\s*Context Extraction Assistant\s*</role>"),
    ("LangGraph summary", r"^Create a summary of the conversation above:\s*\Z"),
    ("LlamaIndex condense", r"^Given a conversation \(between Human and Assistant\) and a"),
    ("mem0 facts", r"^You are a Personal Information Organizer, specialized in accurately"),
    ("mem0 update", r"^You are a smart memory manager which controls the memory of a system"),
    ("mem0 summary", r"^You are a memory summarization system that records and preserves"),
)  # fmt: skip


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in patterns), re.IGNORECASE | re.DOTALL)


# Most can only stand at the beginning: tried there alone, they cost a long message nothing.
_AT_FIRST: Final = _any(each for _, each in _CHORES if each.startswith("^"))
_ANYWHERE: Final = _any(each for _, each in _CHORES if not each.startswith("^"))

# Open WebUI puts its tools, which may be many, before the instruction.
_TOOLS: Final = ("Available Tools:", "Your task is to choose and return the correct tool")

# What a transcript stands between, and how a line of one begins.
_BEGIN: Final = re.compile(
    r"<(chat_history|conversation|messages|transcript|chat_log|dialogue?)>", re.IGNORECASE
)
_SPEAKER: Final = re.compile(
    r"^\W{0,6}(?:user|human|assistant|ai|bot|model|system)\W{0,6}\s{0,6}:",
    re.IGNORECASE | re.MULTILINE,
)
_JSON: Final = re.compile(r"\bjson\b", re.IGNORECASE)


def is_chore(messages: Sequence[Message]) -> bool:
    """Return whether a client asks this for itself, not for the person who uses it.

    Such an instruction is the last message, or the system's; older messages only quote. What the
    assistant is to go on with stands behind it (Claude Code begins the JSON that it wants so).

    >>> is_chore([Message(role="user", content="Please write a title for my essay on bees.")])
    False
    """
    asked = [message for message in messages if message.role != "assistant"]
    texts = [asked[-1].content] if asked else []
    texts += [
        message.content for message in messages[:1] if message.role in ("system", "developer")
    ]
    openings = ((text or "").lstrip() for text in texts)
    return any(map(_instructs, openings)) or _is_form(messages)


def _instructs(text: str) -> bool:
    opening = text[:OPENING_CHARS]
    if _AT_FIRST.match(opening) or _ANYWHERE.search(opening):
        return True
    begins, goes_on = _TOOLS
    return text.startswith(begins) and goes_on in text


def _is_form(messages: Sequence[Message]) -> bool:
    """Return whether a request is one message with a transcript in tags, and orders JSON."""
    said = [message for message in messages if message.role not in ("system", "developer")]
    if len(said) != 1 or said[0].role != "user":
        return False
    text = said[0].content or ""
    begin = _BEGIN.search(text)
    end = text.find(f"</{begin[1]}>", begin.end()) if begin else -1
    if begin is None or end < 0 or not _SPEAKER.search(text[begin.end() : end]):
        return False
    return _JSON.search(text[: begin.start()] + text[end:]) is not None
