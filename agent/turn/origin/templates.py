"""The instructions by which clients ask for chores of their own, as they ship them.

Each names the client's own template so closely that a person who asks for a title of their essay
is not taken for it. What clients word anew is told by what it orders (agent.turn.origin.orders).
"""

import re
from collections.abc import Iterable
from typing import Final

# An instruction stands at the beginning of its message; what follows is the chat itself, in which
# anything may be quoted.
OPENING_CHARS: Final = 600

# (client, what its instruction says)
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
    ("LangChain condense", r"^Given the following conversation and a follow[- ]up question, reph"),
    ("LangChain condense", r"^Given a chat history and the latest user question which might ref"),
    ("LangChain middleware", r"^<role>\s*Context Extraction Assistant\s*</role>"),
    ("LangGraph summary", r"^Create a summary of the conversation above:\s*\Z"),
    ("LlamaIndex condense", r"^Given a conversation \(between Human and Assistant\) and a"),
    ("mem0 facts", r"^You are a Personal Information Organizer, specialized in accurately"),
    ("mem0 update", r"^You are a smart memory manager which controls the memory of a system"),
    ("mem0 summary", r"^You are a memory summarization system that records and preserves"),
    ("Open WebUI mixture", r"^You have been provided with a set of responses from various models"),
    ("LibreChat summary", r"^Summarize the conversation by integrating new lines into the current"),
    ("NextChat title", r"^使用四到五个字直接返回这句话的简要主题"),
    ("NextChat summary", r"^简要总结一下(?:对话|聊天)内容，用作后续的上下文提示"),
    ("LobeChat language", r"^你是一名精通全世界语言的语言专家，你需要识别用户输入的内容"),
    ("LobeChat emoji", r"^You are an emoji expert who selects the most appropriate emoji"),
    ("Jan title", r"^Summarize in a \d+-word Title\b"),
    ("Big-AGI title", r"^Analyze the given short conversation \(every line is truncated\)"),
    ("HuggingChat title", r"^You are a summarization AI\b.{0,20}Your task is to summarize user re"),
    ("Zed summary", r"^Generate a detailed summary of this conversation\. Include:"),
    ("Zed commit", r"^You are an expert at writing Git commits\. Your job is to write a short cle"),
    ("Cline commit", r"^Based on the provided git diff, generate a .{0,40}commit message"),
    ("Copilot commit", r"^You are an AI programming assistant, helping .{0,60}git commit message"),
    ("Copilot follow-up", r"^Write a short one-sentence question that the user can ask that natur"),
    ("Copilot title", r"^Please write a brief title for the following request:"),
    ("Roo, Kilo prompt", r"^Generate an enhanced version of this prompt \(reply with only the"),
    ("Goose name", r"^Based on the conversation so far, provide a concise description of this ses"),
    ("Goose compaction", r"^## Task Context\s+- An llm context limit was reached"),
    ("Goose judge", r"^You are a good analyst and can detect whether operations have read-only"),
    ("Goose judge", r"analyze the tool requests and list the tools that perform read-only"),
    ("Claude Code topic", r"^Analyze if this message indicates a new conversation topic"),
    ("Claude Code summary", r"^Summarize this coding (?:conversation|session) in under \d+"),
    ("Claude Code command", r"^Extract any file paths that this command reads or modifies\."),
    ("Claude Code command", r"^Your task is to process Bash commands that an AI coding agent"),
    ("Claude Code quota", r"^(?:quota|Warmup)\Z"),
    ("Claude Code suggestion", r"^\[SUGGESTION MODE:"),
    ("Gemini CLI next speaker", r"^Analyze \*only\* the content and structure of your immediately"),
    ("Gemini CLI loop", r"^You are a sophisticated AI diagnostic agent specializing in identifyin"),
    ("Cherry Studio search", r"^You are an AI question rephraser\b"),
    ("Page Assist search", r"^You will give a follow-up question\.\s+You need to rephrase the fo"),
    ("Llama Guard", r"^Task: Check if there is unsafe content in '\w+' messages in conversations"),
    ("Perplexica", r"^You are an AI suggestion generator\b"),
    ("Dify title", r"^You need to decompose the user's input into \"subject\" and \"intention\""),
    ("Dify questions", r"Please help me predict the three most likely questions that human would"),
    ("FastGPT queries", r"^(?:## 你的任务\s+)?你?作为一个向量检索助手"),
    ("FastGPT questions", r"^You are an AI assistant tasked with predicting the user's next quest"),
    ("RAGFlow question", r"Generate a full user question that would follow the conversation"),
    ("RAGFlow keywords", r"^#+ ?Role[:\s]+You are a text analyzer\.?\s+#+ ?Task\b"),
    ("LlamaIndex queries", r"^You are a helpful assistant that generates multiple search queries"),
    ("LangChain queries", r"^You are an AI language model assistant\. Your task is\s+to generate"),
    ("LangChain entities", r"^You are an AI assistant reading the transcript of a conversation be"),
    ("Khoj title", r"^You are an extremely smart and helpful title generator"),
    ("LangMem", r"^You are a long-term memory manager maintaining a core store"),
    ("Letta summary", r"^Your job is to summarize a history of previous messages in a conversatio"),
    ("Graphiti", r"^You are an (?:AI assistant|expert fact extractor) that extracts\b"),
    ("OpenHands compaction", r"^You are maintaining a context-aware state summary for an interact"),
    ("SillyTavern summary", r"^\[?Ignore previous instructions\. Summarize the most important fac"),
    ("Plandex name", r"^You are an AI namer that creates a name for"),
    ("CrewAI memory", r"^Assess the quality of the task completed based on the description, expec"),
    ("Chatbox, Morphic", r"^As a professional web researcher\b.*\bdetermine the optimal "),
    ("HuggingChat queries", r"^You are tasked with generating web search queries\."),
    ("Perplexica", r"^<role>\s*Assistant is an advanced AI system designed to analyze the user q"),
    ("Lepton questions", r"^You are a helpful assistant that helps the user to ask related"),
    ("Khoj queries", r"^You are Khoj, an? [\w ]{0,40}search assistant\b"),
    ("SillyTavern emotion", r"^\[?Ignore previous instructions\. Classify the emotion of the"),
    ("SillyTavern objective", r"^\[?Ignore previous instructions\. Determine if this task"),
    ("SillyTavern image", r"^\[?In the next response I want you to provide only a detailed"),
    ("SillyTavern vectors", r"^\[?Ignore previous instructions\. Summarize the most important p"),
    ("LangGraph grader", r"^You are a grader assessing (?:the )?(?:relevance|whether)\b"),
    ("LangGraph router", r"^You are an expert at routing a user question to a vectorstore or"),
    ("LangGraph rewriter", r"^You are? a question re-?writer that converts an input question"),
    ("LlamaIndex passage", r"^Please write a passage to answer the question\s+Try to incl"),
    ("Ragas", r"^Given a question, an answer,? and sentences from the answer analyze the complexi"),
    ("Azure follow-ups", r"^Generate \d+ very brief follow-up questions that the user would"),
)  # fmt: skip


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in patterns), re.IGNORECASE | re.DOTALL)


# Most can only stand at the beginning: tried there alone, they cost a long message nothing.
_AT_FIRST: Final = _any(each for _, each in _CHORES if each.startswith("^"))
_ANYWHERE: Final = _any(each for _, each in _CHORES if not each.startswith("^"))
# Each of the others has one of these in it; most messages have none, and are told by that.
_WORDS: Final = ("concise", "short title", "tool requests", "likely questions", "user question")

# Open WebUI puts its tools, which may be many, before the instruction.
_TOOLS: Final = ("Available Tools:", "Your task is to choose and return the correct tool")


def instructs(text: str) -> bool:
    """Return whether a message, stripped at its beginning, is a client's own instruction."""
    opening = text[:OPENING_CHARS]
    lower = opening.lower()
    if _AT_FIRST.match(opening) or (
        any(word in lower for word in _WORDS) and _ANYWHERE.search(opening)
    ):
        return True
    begins, goes_on = _TOOLS
    return text.startswith(begins) and goes_on in text
