"""The chores of clients are told from what people ask, by their own instructions or their form."""

import time

import pytest

from agent.turn.origin import templates
from agent.turn.origin.chores import is_chore
from agent.turn.origin.sessions import purpose_of
from streams.records import Message

ASK = [Message(role="user", content="What is a quickset?")]
LATER = [
    *ASK,
    Message(role="assistant", content="A living hedge."),
    Message(role="user", content="And a hawthorn?"),
]

# What clients send as the last user message.
CHORES = [
    "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.",
    "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history",
    "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally",
    "### Task:\nAnalyze the chat history to determine the necessity of generating search queries",
    "### Task:\nGenerate a detailed prompt for am image generation task based on the given",
    "### Task:\nYou are an autocompletion system. Continue the text in `<text>` based on",
    "Create a concise, 3-5 word title with an emoji as a title for the chat history, in",
    "Here is the query:\n\nhello\n\nCreate a concise, 3-5 word phrase as a title for the previous",
    "Provide a concise, 5-word-or-less title for the conversation, using title case conventions.",
    "Analyze this conversation and provide:\n1. The detected language of the conversation\n2. A",
    "Please generate a four to five word title summarizing our conversation without any lead-in",
    "Generate a concise 3-7 word title for this conversation, omitting punctuation. Go straight",
    "Given the following... please reply with a title for the chat that is 3-4 words in length",
    "Please write a 5-10 word title for the following conversation:\n\nUser: hi",
    "你是一名擅长会话的助理，你需要将用户的会话总结为 10 个字以内的标题",
    "Your task is to reflect the speaker's likely facial expression through a fitting emoji.",
    "Generate a title for this conversation:\n",
    "Provide a detailed prompt for continuing our conversation above.\nFocus on information",
    "Provide a detailed summary for continuing our conversation above.",
    "Your task is to create a detailed summary of the conversation so far, paying close attention",
    "CRITICAL: Respond with TEXT ONLY.\n\nYour task is to create a detailed summary of the",
    "<explicit_instructions>\nThe current conversation is rapidly running out of context. Now",
    "Progressively summarize the lines of conversation provided, adding onto the previous summary",
    "Given the following conversation and a follow up question, rephrase the follow up question to",
    "Create a summary of the conversation above:",
    "You are a smart memory manager which controls the memory of a system.\nYou can perform four",
    "You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary for another LLM",
    # a template of somebody's own, in the form that Open WebUI's have
    "Titel auf Deutsch, als JSON.\n<chat_history>\nUSER: hi\nASSISTANT: Hallo!\n</chat_history>",
    'Return JSON only: {"facts": []}\n<conversation>\n**User:** I am Ann.\n</conversation>',
]
# What clients put into the system message; the user's message is the chat.
SYSTEMS = [
    "You are a title generator. You output ONLY a thread title. Nothing else.",
    "You are a helpful AI assistant tasked with summarizing conversations.",
    "You are an expert software engineer that generates concise, one-line Git commit messages",
    "*Briefly* summarize this partial conversation about programming.\nInclude less detail about",
    "You are a Personal Information Organizer, specialized in accurately storing facts, user",
    "Given a chat history and the latest user question which might reference context in the chat",
    'Available Tools: [{"name": "weather"}]' + "\n" * 900
    + "Your task is to choose and return the correct tool(s) from the list of available tools",
    "<role>\nContext Extraction Assistant\n</role>\n\n<primary_objective>",
]  # fmt: skip


@pytest.mark.parametrize("text", CHORES, ids=lambda text: text[:40])
def test_chores_of_chat_clients_are_recognised(text: str) -> None:
    """What a client asks for itself is told by its own instruction."""
    assert is_chore([Message(role="user", content=text)])
    assert purpose_of([Message(role="user", content=text)], {}) == "chore"


@pytest.mark.parametrize("text", CHORES[:-2], ids=lambda text: text[:40])
def test_an_instruction_may_come_at_the_end_of_the_chat(text: str) -> None:
    """Compaction sends the history as it is, and its instruction last."""
    assert is_chore([*LATER, Message(role="user", content=f"  {text}")])


@pytest.mark.parametrize("text", SYSTEMS, ids=lambda text: text[:40])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_chore_may_stand_in_the_system_message(text: str, role: str) -> None:
    """Coding agents and memories keep their instruction there."""
    assert is_chore([Message(role=role, content=text), *ASK])


@pytest.mark.parametrize(
    "text",
    [
        "Please write a title for my essay on hawthorns.",
        "Generate a concise title for this chapter, 3-5 words.",
        "Summarize our conversation so far.",
        "Create a summary of the conversation above, but funny.",
        "### Task:\nRespond to the user query using the provided context, with citations.",
        "Suggest three follow-up questions for my interview.",
        "Give me five tags for this article, as JSON: The hedges of Devon are old.",
        "Answer in JSON only: the three largest cities of Italy.",
        "Who is right here?\nUser: It rained.\nAssistant: It did not.",
        "Here is a chat. Make JSON of it.\nUser: hi\nAssistant: hello",
        "In Python, what does 'Generate 1-3 broad tags' in a prompt do?",
        "Write a commit message for: fix the clock.",
        "What does <chat_history> in a JSON template mean?",
        "x " * 400 + "Provide a concise, 5-word-or-less title for the conversation",
    ],
    ids=lambda text: text[:40],
)
def test_a_person_who_asks_for_a_title_is_not_a_chore(text: str) -> None:
    """People's own requests are trained on, also when they resemble a chore."""
    assert not is_chore([Message(role="user", content=text)])
    assert not is_chore([*LATER, Message(role="user", content=text)])


def test_a_chore_may_have_its_reply_begun() -> None:
    """What the assistant shall go on with stands behind the instruction."""
    begun = Message(role="assistant", content="{")
    assert is_chore([Message(role="user", content=CHORES[0]), begun])
    assert not is_chore([*ASK, begun])


def test_what_tells_most_messages_passes_no_instruction_over() -> None:
    """Each instruction that may stand anywhere has one of the words that are looked for first."""
    for _, instruction in templates._CHORES:
        if not instruction.startswith("^"):
            assert any(word in instruction.lower() for word in templates._WORDS), instruction


def test_a_quoted_chore_in_the_history_is_no_chore() -> None:
    """Only the last message and the system message instruct."""
    assert not is_chore([Message(role="user", content=CHORES[0]), *LATER])


def test_a_client_that_is_misjudged_can_say_so() -> None:
    """X-Turn-Type: main counts before any guess."""
    asked = [Message(role="user", content=CHORES[0])]
    assert purpose_of(asked, {"X-Turn-Type": "main"}) == "main"


@pytest.mark.parametrize(
    "hostile",
    [
        "<messages>" * 100_000,
        "<conversation>" + "*user\n" * 100_000 + "</conversation>",
        "*" * 10**6,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_texts_take_no_longer(hostile: str) -> None:
    """A megabyte of marks costs well under a second of processor (three on a slow machine)."""
    began = time.thread_time()
    is_chore([Message(role="user", content=hostile)])
    assert time.thread_time() - began < 3.0
