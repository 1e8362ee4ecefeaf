"""Open WebUI's requests, written as its source writes them: python -m tests.clients.written.

Its server is a heavy installation of its own, so that nobody records it here. What its backend
(0.6) does to a chat, in the order of its source: the system prompt with the clock in it
(utils/task.py, prompt_variables_template), what it remembers (utils/middleware.py,
chat_memory_handler), what it found around the last message (config.py, RAG template; utils/task.py,
rag_template), thoughts as <details> (utils/middleware.py), and its own requests behind a reply
(config.py: title, tags, follow-ups, queries). Headers that name the chat come only where an
administrator asks for them.
"""

from typing import Any, Final

from tests.clients.recording import FOLDER, Recorded, Sent

VERSION: Final = "0.6"
SOURCE: Final = "written as its backend does (utils/middleware.py, utils/task.py, config.py)"
BREAD: Final = "For bread, mix 500 g of flour with 350 g of water, and let it rise for a night."
SHORT: Final = "Flour, water, a night."
RYE: Final = "A third of it [1], and ten grams more water."
THOUGHT: Final = (
    '<details type="reasoning" done="true" duration="2">\n'
    "<summary>Thought for 2 seconds</summary>\n> They want it short.\n</details>\n"
)
CHAT_ID: Final = {"X-OpenWebUI-Chat-Id": "f0f8d8d5-5c6e-4b0c-b6a9-0d3c3f3a2c51"}
OWN: Final = {
    "title": "Generate a concise, 3-5 word title with an emoji summarizing the chat history.",
    "tags": "Generate 1-3 broad tags categorizing the main themes of the chat history, along with "
    "1-3 more specific subtopic tags.",
    "follow_ups": "Suggest 3-5 relevant follow-up questions or prompts that the user might "
    "naturally ask next in this conversation as a **user**, based on the chat history, to help "
    "continue or deepen the discussion.",
    "queries": "Analyze the chat history to determine the necessity of generating search queries, "
    "in the given language. By default, **prioritize generating 1-3 broad and relevant search "
    "queries** unless it is absolutely certain that no additional information is required.",
}


def main() -> None:
    """Write both: with the chat named by headers, and without, as it comes."""
    for name, headers in (("open_webui", {}), ("open_webui_named", CHAT_ID)):
        steps = list(chat(headers))
        follows: list[int | None] = [each for each, _ in steps]
        sent = [each for _, each in steps]
        Recorded("Open WebUI", VERSION, SOURCE, follows, sent).write(FOLDER / f"{name}.json")


def chat(headers: dict[str, str]) -> list[tuple[int | None, Sent]]:
    """A chat of four questions and Open WebUI's own requests between them; what each follows."""
    asked = ["How do I bake bread?", "Too long, please.", "And with rye?", "Good, thanks!"]
    one = [user(asked[0])]
    two = [*one, said(BREAD), user(asked[1])]
    three = [*two, said(THOUGHT + SHORT), user(asked[2])]
    four = [*three, said(RYE), user(asked[3])]
    found = [*three[:-1], user(retrieved(asked[2]))]
    return [
        (None, turn(headers, system(0), *one, says=BREAD)),
        (None, own(headers, "title", one, says='{"title": "🍞 Bread"}')),
        (None, own(headers, "tags", one, says='{"tags": ["Cooking"]}')),
        (None, own(headers, "follow_ups", one, says='{"follow_ups": ["And with rye?"]}')),
        (0, turn(headers, system(1), *two, says=f"<think>They want it short.</think>{SHORT}")),
        (None, own(headers, "follow_ups", two, says='{"follow_ups": ["How hot?"]}')),
        (None, own(headers, "queries", three, says='{"queries": ["rye bread"]}')),
        (4, turn(headers, system(2), *found, says=RYE)),
        (7, turn(headers, system(3), *four, says="You are welcome.")),
    ]


def turn(headers: dict[str, str], *messages: dict[str, Any], says: str) -> Sent:
    """A person's question."""
    body = {"model": "quickset", "stream": True, "stream_options": {"include_usage": True}}
    return Sent("/v1/chat/completions", headers, body | {"messages": list(messages)}, says)


def own(headers: dict[str, str], name: str, history: list[dict[str, Any]], *, says: str) -> Sent:
    """One of its own requests, about the last messages."""
    lines = "\n".join(f"{each['role'].upper()}: {each['content']}" for each in history[-6:])
    text = (
        f"### Task:\n{OWN[name]}\n### Guidelines:\n- Use the chat's primary language.\n"
        f'### Output:\nJSON format: {{ "{name}": [] }}\n'
        f"### Chat History:\n<chat_history>\n{lines}\n</chat_history>"
    )
    body = {"model": "quickset", "stream": False, "messages": [user(text)]}
    return Sent("/v1/chat/completions", headers, body, says)


def system(minute: int) -> dict[str, Any]:
    """The system prompt, whose clock moves and to which memories are added."""
    text = f"You are a baker. It is 2026-03-01 12:{minute:02d}:07."
    remembered = ["1. [2026-02-01]. The user bakes.", "2. [2026-03-01]. The user likes it short."]
    notes = "\n".join(remembered[: max(0, minute - 1)])
    return {"role": "system", "content": f"{text}\nUser Context:\n{notes}" if notes else text}


def user(text: str) -> dict[str, Any]:
    """A message."""
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    """A reply, as it is kept."""
    return {"role": "assistant", "content": text}


def retrieved(question: str) -> str:
    """What was found stands around the question."""
    return (
        "### Task:\nRespond to the user query using the provided context, incorporating inline "
        "citations in the format [id] **only when the <source> tag includes an explicit id "
        'attribute** (e.g., <source id="1">).\n\n### Output:\nProvide a clear and direct response '
        'to the user\'s query.\n\n<context>\n<source id="1" name="rye.pdf">Rye takes more water.'
        f"</source>\n</context>\n\n<user_query>\n{question}\n</user_query>\n"
    )


if __name__ == "__main__":
    main()
