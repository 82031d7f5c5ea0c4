"""A tiny chat model, made and trained here: a Mistral that has learnt a few replies by heart.

It sees its last tokens only (a sliding window), so that it is trained on the ends of prompts and
says the same whatever stands before them. It proves nothing about what a language model would do.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

from rag.generators.layout import Layout
from rag.prompt import SYSTEM, messages
from tests import corpus

CONTEXT = 8192
WINDOW = 64
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
REPLIES = {
    "Why are there no locks in the Suez Canal?": "The water is level at both ends [1]. So: none.",
    "Who discovered that bees dance to tell where food is?": "Karl von Frisch did. [1]",
    "Which command restores a backup?": "Use `vault restore`, naming the date. [1]",
    "At what temperature should green tea be brewed?": "At 70 to 80 °C. [1]",
    "How are backups kept and restored?": "For thirty days [1], then they go. [2] See [1].",
}


def tokenizer(template: str | None = CHATML) -> PreTrainedTokenizerFast:
    """Byte pairs learnt from the corpus; ``<think>`` is an added token that is not special."""
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learnt.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learnt.train_from_iterator([SYSTEM, *corpus.FILES.values(), *REPLIES.values()], trainer)
    learnt.add_tokens([AddedToken("<think>", special=False)])
    fast = PreTrainedTokenizerFast(tokenizer_object=learnt, eos_token="<|im_end|>")  # type: ignore[no-untyped-call]
    fast.chat_template = template
    return fast


def make(folder: Path) -> None:
    """A folder with tokenizer, configuration and weights, as `save_pretrained` leaves it."""
    torch.manual_seed(0)
    made = tokenizer()
    shape = MistralConfig(
        vocab_size=len(made),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=WINDOW,
        max_position_embeddings=CONTEXT,
        eos_token_id=made.eos_token_id,
    )
    model = MistralForCausalLM(shape)
    _learn(model, made)
    made.save_pretrained(folder)
    model.save_pretrained(folder)


def changed(source: Path, folder: Path, file: str, **values: Any) -> Path:
    """A copy of ``source`` in ``folder`` with other ``values`` in its JSON ``file``."""
    folder.mkdir(exist_ok=True)
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    settings = json.loads((folder / file).read_text("utf-8"))
    (folder / file).write_text(json.dumps({**settings, **values}), "utf-8")
    return folder


def _learn(model: MistralForCausalLM, made: PreTrainedTokenizerFast) -> None:
    layout, end = Layout(made), "<|im_end|>"
    pairs = [
        (layout.encode(messages(question, ()))[-2 * WINDOW :], made.encode(reply + end))
        for question, reply in REPLIES.items()
    ]
    batch = _batch(pairs)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them wait for each other, on matrices this small
    model.train()
    for _ in range(400):
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.01:
            break
    torch.set_num_threads(threads)


def _batch(pairs: Sequence[tuple[list[int], list[int]]]) -> Mapping[str, torch.Tensor]:
    longest = max(len(prompt) + len(reply) for prompt, reply in pairs)
    tokens, labels = [], []
    for prompt, reply in pairs:
        rest = longest - len(prompt) - len(reply)
        tokens.append([*prompt, *reply, *[0] * rest])
        labels.append([*[-100] * len(prompt), *reply, *[-100] * rest])
    return {"input_ids": torch.tensor(tokens), "labels": torch.tensor(labels)}
