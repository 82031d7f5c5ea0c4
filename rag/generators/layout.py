"""From messages to a model's tokens, so that no text of a message can become a control token.

The tokenizer's chat template is applied to stand-ins, and the contents are tokenised apart from
what it puts around them. Only the template's own pieces may hold control tokens. What reads like
one in a content gets a blank inside; this also holds for the marks that a template writes as plain
text, such as ``[INST]``. If a tokenizer still makes a control token of a content (Unigram ones have
them in their vocabulary), it is left out.

A model without a system role gets the system's text at the beginning of the user's. One without a
chat template gets both texts, then ``Answer:``.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lifecycle.errors import ConfigError
from rag.prompt import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_STAND_INS = {"system": "CONTENT-OF-SYSTEM-8D1A", "user": "CONTENT-OF-USER-8D1A"}
_STAND_IN = re.compile(f"({'|'.join(_STAND_INS.values())})")
_MARK = re.compile(r"[<\[]{1,2}[^\s<>\[\]]{1,60}[>\]]{1,2}")


class Layout:
    """How ``tokenizer``'s model wants a system and a user message. Not for several threads.

    Raises ConfigError where the chat template cannot be applied.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        parts = list(filter(None, _STAND_IN.split(_rendered(tokenizer))))
        around = [part for part in parts if part not in _STAND_INS.values()]
        control = {
            number: token.content
            for number, token in tokenizer.added_tokens_decoder.items()
            if token.special or _MARK.fullmatch(token.content)
        }
        self._forbidden = frozenset(control)
        self._marks = _any_of({*control.values(), *_MARK.findall("\n".join(around))})
        names = {text: role for role, text in _STAND_INS.items()}
        self._parts = [names.get(part) or self._encoded(part) for part in parts]

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's tokens, up to where the model's reply begins."""
        contents: Mapping[str, str] = dict(messages)
        tokens: list[int] = []
        for part in self._parts:
            tokens += self._plain(contents[part]) if isinstance(part, str) else part
        return tokens

    def _plain(self, text: str) -> list[int]:
        broken = self._marks.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
        tokens = self._encoded(broken, split_special_tokens=True)
        return [token for token in tokens if token not in self._forbidden]

    def _encoded(self, text: str, **options: Any) -> list[int]:
        found = self._tokenizer(text, add_special_tokens=False, verbose=False, **options)
        return list(found["input_ids"])


def _rendered(tokenizer: "PreTrainedTokenizerBase") -> str:
    """The prompt with stand-ins for the contents."""
    import jinja2

    both = "\n\n".join(_STAND_INS.values())
    if not tokenizer.chat_template:
        return f"{tokenizer.bos_token or ''}{both}\n\nAnswer:"
    apart = [{"role": role, "content": text} for role, text in _STAND_INS.items()]
    problem = "it leaves out what the user says"
    for messages in (apart, [{"role": "user", "content": both}]):
        try:
            rendered = str(
                tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            )
        except (jinja2.TemplateError, ValueError, TypeError, LookupError, ArithmeticError) as error:
            problem = str(error)
            continue
        if all(rendered.count(text) == 1 for text in _STAND_INS.values()):
            return rendered
    raise ConfigError(
        f"the chat template of generation.model cannot be applied: {problem}.",
        "Use a model made for chat.",
    )


def _any_of(texts: set[str]) -> re.Pattern[str]:
    longest_first = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
