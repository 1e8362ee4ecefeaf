"""Chat templates in the manner of the families that are served, and the tokens that each writes.

Short, and of our own wording; what they refuse, leave out or want otherwise is what the families'
own templates do.
"""

from dataclasses import dataclass
from typing import Any

from tokenizers import AddedToken

from tests.tiny import CHAT_TEMPLATE, MISTRAL_TEMPLATE, tiny_pieces_tokenizer, tiny_tokenizer

# SmolLM2: fails on content None, knows no tools, speaks for a system that says nothing.
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
    "Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Gemma: no system; the assistant is called model; texts are trimmed.
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{{ '<start_of_turn>' + ('model' if message.role == 'assistant' "
    "else message.role) + '\n' + message.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
# Phi: role markers that are added tokens, not special; a system is passed over in silence.
PHI = (
    "{% for message in messages %}{% if message.role == 'user' %}"
    "{{ '<|user|>\n' + message.content + '<|end|>\n' }}"
    "{% elif message.role == 'assistant' %}{{ '<|assistant|>\n' + message.content + '<|end|>\n' }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
# Llama 3: tools in the user's message, calls as JSON, results of the role ipython.
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{% set role = 'ipython' if message.role == 'tool' else message.role %}"
    "{{ '<|start_header_id|>' + role + '<|end_header_id|>\n\n' }}"
    "{% if loop.first and tools %}{{ 'Functions: ' + tools | tojson + '\n' }}{% endif %}"
    "{% if message.tool_calls %}{% if message.tool_calls | length != 1 %}"
    "{{ raise_exception('only one call at once') }}{% endif %}"
    "{% set call = message.tool_calls[0].function %}"
    "{{ '{\"name\": \"' + call.name + '\", \"parameters\": ' + call.arguments | tojson + '}' }}"
    "{% else %}{{ message.content | trim }}{% endif %}{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
# Qwen 3: thoughts are taken out of earlier replies, and the last one has room for some.
QWEN3 = (
    "{% if tools %}{{ '<|im_start|>system\n<tools>' + tools | tojson + '</tools><|im_end|>\n' }}"
    "{% endif %}{% for message in messages %}"
    "{% set content = message.content.split('</think>')[-1].lstrip('\n') %}"
    "{{ '<|im_start|>' + message.role + '\n' }}"
    "{% if message.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ content }}{% for call in message.tool_calls or [] %}"
    "{{ '<tool_call>' + call.function | tojson + '</tool_call>' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Mistral with tools: ids of nine characters.
MISTRAL_TOOLS = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'user' %}{% if loop.last and tools or tools %}"
    "{{ '[AVAILABLE_TOOLS]' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{% endif %}"
    "{{ '[INST] ' + message.content + ' [/INST]' }}"
    "{% elif message.tool_calls %}{% for call in message.tool_calls %}"
    "{% if call.id | length != 9 %}{{ raise_exception('ids have nine characters') }}{% endif %}"
    "{{ '[TOOL_CALLS]' + call.function | tojson + call.id }}{% endfor %}{{ eos_token }}"
    "{% elif message.role == 'tool' %}"
    "{{ '[TOOL_RESULTS]' + message.content + message.tool_call_id + '[/TOOL_RESULTS]' }}"
    "{% elif message.role == 'system' %}{{ raise_exception('no system here') }}"
    "{% else %}{{ ' ' + message.content + eos_token }}{% endif %}{% endfor %}"
)
# Content as a list of parts, as templates of models that see pictures want it.
PARTS = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A template, the tokens that it writes, and whether its tokenizer calls them special."""

    template: str
    tokens: tuple[str, ...] = ()
    special: bool = True
    pieces: bool = False  # sentence pieces instead of bytes

    def tokenizer(self) -> Any:
        """A tokenizer of this family."""
        tokenizer = tiny_pieces_tokenizer() if self.pieces else tiny_tokenizer()
        tokenizer.chat_template = self.template
        tokenizer.add_tokens([AddedToken(name, special=self.special) for name in self.tokens])
        return tokenizer


FAMILIES = {
    "chatml": Family(CHAT_TEMPLATE),
    "smollm2": Family(SMOLLM2),
    "gemma": Family(GEMMA, ("<start_of_turn>", "<end_of_turn>")),
    "phi": Family(PHI, ("<|user|>", "<|assistant|>", "<|end|>"), special=False),
    "llama3": Family(LLAMA3, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
    "qwen3": Family(QWEN3, ("<think>", "</think>", "<tool_call>", "</tool_call>"), special=False),
    "mistral": Family(MISTRAL_TEMPLATE, ("[INST]", "[/INST]"), special=False, pieces=True),
    "mistral_tools": Family(MISTRAL_TOOLS, ("[INST]", "[/INST]", "[TOOL_CALLS]"), pieces=True),
    "parts": Family(PARTS),
}
# What each renders as it comes; the rest is rewritten.
KNOWS_SYSTEM = {"chatml", "smollm2", "llama3", "qwen3", "parts"}
KNOWS_TOOLS = {"chatml", "llama3", "qwen3", "mistral_tools"}
