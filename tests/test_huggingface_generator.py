"""The generator with a language model in this process: a tiny one, by the real libraries."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BloomConfig, BloomForCausalLM, GPT2Config, GPT2LMHeadModel

from lifecycle.bundle import Bundle, Manifest
from lifecycle.errors import ConfigError, GenerationError
from rag.config import GenerationConfig, RagConfig
from rag.generators import Generator, budget, generate, load_generator
from rag.generators.chat import before_stop
from rag.generators.huggingface import HuggingFaceGenerator
from rag.generators.layout import Layout
from rag.generators.local_model import choose_dtype, decoded
from rag.predictor import _device as device_of
from rag.prompt import SYSTEM, messages
from rag.stages.load import needs_hub
from rag.types import Answer, Passage
from tests import corpus, tiny_chat
from tests.test_generators import GeneratorContract

QUESTION = "Why are there no locks in the Suez Canal?"
ANSWER = tiny_chat.REPLIES[QUESTION]
TOKENIZER = tiny_chat.tokenizer()


def made(folder: Path, **changes: Any) -> HuggingFaceGenerator:
    fields = {"provider": "huggingface", "model": str(folder), "max_tokens": 60, "timeout_s": 120}
    return HuggingFaceGenerator(GenerationConfig(**{**fields, **changes}), corpus.embedder())


def ask(generator: Generator, question: str = QUESTION) -> Answer:
    return generate(generator, question, corpus.passages(question))


@pytest.fixture(scope="module")
def shared(tiny_chat_model: Path) -> HuggingFaceGenerator:
    return made(tiny_chat_model)


@pytest.fixture
def endless(tiny_chat_model: Path, tmp_path: Path) -> Path:
    """The tiny model, to which nothing is the end of a reply."""
    return tiny_chat.changed(
        tiny_chat_model, tmp_path / "endless", "generation_config.json", eos_token_id=None
    )


class TestHuggingFace(GeneratorContract):
    @pytest.fixture
    def generator(self, shared: HuggingFaceGenerator) -> Generator:
        return shared

    # Whether a model obeys shows with a real one only; what can be known is in
    # test_hostile_documents.
    test_instructions_in_a_document_do_not_steer_the_answer = None


class TestWriting:
    def test_pieces_come_one_by_one_and_join_to_the_answer(
        self, shared: HuggingFaceGenerator
    ) -> None:
        *pieces, answer = shared.stream(QUESTION, corpus.passages(QUESTION))
        assert isinstance(answer, Answer)
        assert answer.text == ANSWER == "".join(map(str, pieces))
        assert len(pieces) > 5
        assert [citation.chunk.uri for citation in answer.citations] == ["canal.md"]

    def test_the_longest_answer_is_bounded(self, tiny_chat_model: Path) -> None:
        answer = ask(made(tiny_chat_model, max_tokens=4))
        assert ANSWER.startswith(answer.text)
        assert len(tiny_chat.tokenizer().encode(answer.text)) == 4

    @pytest.mark.parametrize(
        ("stop", "shown"),
        [
            (["level at b"], "The water is "),
            (["So", " both"], "The water is level at"),
            (["[1]. So: n"], "The water is level at both ends"),
            (["never said"], ANSWER),
        ],
    )
    def test_a_stop_sequence_ends_the_answer_and_is_not_shown(
        self, tiny_chat_model: Path, stop: list[str], shown: str
    ) -> None:
        generator = made(tiny_chat_model, stop=stop)
        *pieces, answer = generator.stream(QUESTION, corpus.passages(QUESTION))
        assert isinstance(answer, Answer)
        assert answer.text.rstrip() == shown.rstrip()
        assert "".join(map(str, pieces)) == answer.text

    def test_temperature_0_is_greedy_and_above_it_the_seed_decides(
        self, tiny_chat_model: Path
    ) -> None:
        warm = made(tiny_chat_model, temperature=5.0)
        said = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            said.append(ask(warm).text)
        assert said[0] == said[1] != said[2]
        assert ask(made(tiny_chat_model)).text == ANSWER

    def test_the_models_own_beams_do_not_keep_it_from_streaming(
        self, tiny_chat_model: Path, tmp_path: Path
    ) -> None:
        settings = {"num_beams": 4, "max_length": 20}
        folder = tiny_chat.changed(
            tiny_chat_model, tmp_path / "beams", "generation_config.json", **settings
        )
        assert ask(made(folder)).text == ANSWER

    def test_threads_that_ask_at_once_each_get_their_answer(self, tiny_chat_model: Path) -> None:
        generator = made(tiny_chat_model)
        questions = [*tiny_chat.REPLIES] * 2
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda question: ask(generator, question).text, questions)
        assert list(found) == [tiny_chat.REPLIES[question] for question in questions]

    def test_a_caller_that_stops_reading_stops_the_model(self, endless: Path) -> None:
        generator = made(endless, max_tokens=7000)
        calls = []
        generator.model._parts.model.register_forward_hook(lambda *_: calls.append(1))
        stream = generator.stream(QUESTION, corpus.passages(QUESTION, k=1))
        assert [isinstance(piece, str) for piece in islice(stream, 3)] == [True] * 3
        del stream
        generator.model._writer.submit(int).result(timeout=60)  # what waits for its end
        assert len(calls) < 1000

    def test_too_slow(self, tiny_chat_model: Path) -> None:
        generator = made(tiny_chat_model, timeout_s=1e-6)
        with pytest.raises(GenerationError, match=r"wrote nothing for 1e-06 s.*timeout_s"):
            ask(generator)

    def test_a_model_that_fails_says_so_to_the_caller(self, shared: HuggingFaceGenerator) -> None:
        with pytest.raises(GenerationError, match=r"failed \(index out of range.*--debug"):
            list(shared.model.write([99_999]))
        assert ask(shared).text == ANSWER

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
    def test_any_text_is_decoded_piece_by_piece_without_half_a_character(self, text: str) -> None:
        tokens = TOKENIZER.encode(text, add_special_tokens=False, split_special_tokens=True)
        pieces = list(decoded(tokens, TOKENIZER.decode))
        assert "".join(pieces) == text
        assert all(piece in text for piece in pieces)

    @given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=4)), st.data())
    def test_what_is_shown_ends_before_the_first_stop_however_it_is_cut(
        self, text: str, stops: list[str], data: st.DataObject
    ) -> None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
        pieces = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
        ends = [text.find(stop) for stop in stops if stop in text]
        shown = "".join(before_stop(pieces, stops))
        assert not any(stop in shown for stop in stops)
        assert text.startswith(shown)
        if not ends:
            assert shown == text


class TestLayout:
    def test_the_tokens_are_those_of_the_models_own_template(self) -> None:
        asked = messages(QUESTION, corpus.passages(QUESTION))
        conversation = [{"role": role, "content": text} for role, text in asked]
        expected = TOKENIZER.apply_chat_template(
            conversation, add_generation_prompt=True, return_dict=False
        )
        assert Layout(TOKENIZER).encode(asked) == expected

    @pytest.mark.parametrize(
        "template",
        [
            "{% for m in messages %}{% if m.role == 'system' %}"
            "{{ raise_exception('System role not supported') }}{% endif %}"
            "<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}",
            "{% for m in messages %}{% if m.role == 'user' %}"
            "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}",
        ],
        ids=["refused", "left out"],
    )
    def test_without_a_system_role_the_rules_open_the_users_message(self, template: str) -> None:
        prompt = text_of(tiny_chat.tokenizer(template), QUESTION)
        assert prompt.startswith(f"<|im_start|>user\n{SYSTEM}\n\n<passages>")
        assert prompt.count("<|im_start|>") == 1

    def test_without_a_template_the_layout_is_plain(self) -> None:
        prompt = text_of(tiny_chat.tokenizer(None), QUESTION)
        assert prompt.startswith(f"{SYSTEM}\n\n<passages>")
        assert prompt.endswith("</question>\n\nAnswer:")

    @pytest.mark.parametrize(
        "template", ["{{ broken", "{{ 1 + 'x' }}", "{{ 1 / 0 }}", "always this"]
    )
    def test_a_template_that_cannot_be_applied_is_refused(self, template: str) -> None:
        with pytest.raises(ConfigError, match=r"chat template.*cannot be applied"):
            Layout(tiny_chat.tokenizer(template))


class TestContext:
    @pytest.mark.parametrize("room", [420, 470, 600, 900, 1500])
    def test_prompt_and_answer_fit_and_passages_keep_their_numbers(
        self, tiny_chat_model: Path, room: int
    ) -> None:
        generator = made(tiny_chat_model, context_tokens=room + 60)
        passages = corpus.passages(QUESTION)
        kept = generator.fitting(QUESTION, passages)
        prompt = messages(QUESTION, kept)
        assert len(generator.model.encode(prompt)) <= room
        assert kept[:-1] == passages[: len(kept) - 1]
        *_, last = kept
        text = passages[len(kept) - 1].chunk.text
        assert last.chunk.text == text or text.startswith(last.chunk.text.removesuffix(" …"))
        assert QUESTION in prompt[1][1]
        if len(kept) < len(passages):
            assert len(generator.model.encode(messages(QUESTION, passages[: len(kept) + 1]))) > room

    def test_citations_are_of_whole_passages_and_only_of_those_that_were_read(
        self, tiny_chat_model: Path
    ) -> None:
        question = "How are backups kept and restored?"
        passages = corpus.passages(question)
        answer = generate(made(tiny_chat_model, context_tokens=480), question, passages)
        assert answer.text == "For thirty days [1], then they go. See [1]."
        assert [citation.chunk for citation in answer.citations] == [passages[0].chunk]

    def test_a_passage_alone_is_cut_behind_a_sentence_or_else_a_word(self) -> None:
        text = "One two three. Four five six. " + "Seven " * 50
        (alone,) = corpus.passages_from(text)
        found = [budget.fitting([alone], room, words) for room in (0, 2, 5, 8, 9, 200)]
        assert [[one.chunk.text for one in kept] for kept in found] == [
            [],
            ["One two …"],
            ["One two three. …"],
            ["One two three. Four five six. …"],
            ["One two three. Four five six. …"],
            [text],
        ]
        first, second = corpus.passages_from("A b c.", text)
        assert budget.fitting([first, second], 5, words) == [first]

    def test_a_context_too_small_for_rules_and_question_is_an_error_with_numbers(
        self, tiny_chat_model: Path
    ) -> None:
        with pytest.raises(GenerationError, match=r"reads 200 tokens: 60 are .* take 3\d\d, .*max"):
            ask(made(tiny_chat_model, context_tokens=200))

    def test_the_limit_is_the_models_own_whatever_its_architecture_calls_it(
        self, tmp_path: Path
    ) -> None:
        shape = GPT2Config(
            vocab_size=len(TOKENIZER), n_positions=1024, n_embd=16, n_layer=1, n_head=2
        )
        GPT2LMHeadModel(shape).save_pretrained(tmp_path)
        TOKENIZER.save_pretrained(tmp_path)
        assert made(tmp_path).model.context == 1024
        assert made(tmp_path, context_tokens=9000).model.context == 1024
        assert made(tmp_path, context_tokens=900).model.context == 900

    def test_a_model_without_a_limit_needs_one(self, tmp_path: Path) -> None:
        shape = BloomConfig(vocab_size=len(TOKENIZER), hidden_size=16, n_layer=1, n_head=2)
        BloomForCausalLM(shape).save_pretrained(tmp_path)
        TOKENIZER.save_pretrained(tmp_path)
        with pytest.raises(ConfigError, match=r"how much it can read.*context_tokens"):
            ask(made(tmp_path))
        assert made(tmp_path, context_tokens=2000).model.context == 2000


class TestLoading:
    def test_nothing_is_loaded_before_the_first_question_and_then_once(
        self, tiny_chat_model: Path
    ) -> None:
        generator = made(tiny_chat_model)
        assert generator.model._loaded is None
        assert ask(generator, "Which goalkeeper won the football world cup?").abstained
        assert generator.model._loaded is None
        with ThreadPoolExecutor(4) as pool:
            loaded = list(pool.map(lambda _: id(generator.model._parts), range(8)))
        assert len(set(loaded)) == 1

    @pytest.mark.parametrize(
        ("wanted", "device", "bf16", "taken"),
        [
            ("auto", "cpu", False, "fp32"),
            ("auto", "cuda", True, "bf16"),
            ("auto", "cuda", False, "fp16"),
            ("fp16", "cpu", False, "fp16"),
            ("fp32", "cuda", True, "fp32"),
        ],
    )
    def test_auto_takes_the_number_format_that_suits_the_device(
        self, wanted: str, device: str, bf16: bool, taken: str
    ) -> None:
        assert choose_dtype(wanted, device, bf16) == taken

    @pytest.mark.parametrize(
        ("wanted", "found"), [("auto", torch.float32), ("bf16", torch.bfloat16)]
    )
    def test_weights_are_in_the_number_format_asked_for(
        self, tiny_chat_model: Path, wanted: str, found: torch.dtype
    ) -> None:
        generator = made(tiny_chat_model, dtype=wanted)
        assert ask(generator).text
        assert generator.model._parts.model.dtype == found

    def test_a_gpu_that_is_not_there_is_refused(self, tiny_chat_model: Path) -> None:
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
        config = GenerationConfig(provider="huggingface", model=str(tiny_chat_model))
        with pytest.raises(ConfigError, match="finds no GPU"):
            ask(load_generator(config, corpus.embedder(), "cuda"))

    @pytest.mark.parametrize(
        ("model", "reason"),
        [
            ("", r"needs a model.*generation\.model"),
            ("/nowhere/at/all", r"'/nowhere/at/all' is no folder of a model"),
            ("nobody/nothing", r"generation\.model 'nobody/nothing'.*HF_HUB_OFFLINE=0"),
        ],
    )
    def test_a_model_that_is_not_there_is_found_before_anything_is_asked(
        self, model: str, reason: str
    ) -> None:
        with pytest.raises(ConfigError, match=reason):
            load_generator(GenerationConfig(provider="huggingface", model=model), corpus.embedder())

    def test_pickled_weights_are_refused(self, tiny_chat_model: Path, tmp_path: Path) -> None:
        folder = tiny_chat.changed(tiny_chat_model, tmp_path / "pickled", "config.json")
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        with pytest.raises(ConfigError, match=r"no weights in a \.safetensors file.*runs code"):
            made(folder)

    def test_code_in_the_models_folder_is_not_run(
        self, tiny_chat_model: Path, tmp_path: Path
    ) -> None:
        planted = {"model_type": "planted", "auto_map": {"AutoConfig": "planted.Planted"}}
        folder = tiny_chat.changed(tiny_chat_model, tmp_path / "code", "config.json", **planted)
        (folder / "planted.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", "utf-8")
        with pytest.raises(ConfigError, match="cannot be loaded"):
            ask(made(folder))
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        ("file", "content"),
        [
            ("model.safetensors", b"no weights"),
            ("config.json", b"{no JSON"),
            ("config.json", b"[1]"),
            ("tokenizer.json", b'{"version": "1.0"}'),
            ("tokenizer_config.json", b"[]"),
            ("config.json", b'{"model_type": "mistral", "hidden_size": null}'),
        ],
    )
    def test_damaged_files_are_refused(
        self, tiny_chat_model: Path, tmp_path: Path, file: str, content: bytes
    ) -> None:
        folder = tiny_chat.changed(tiny_chat_model, tmp_path / "damaged", "config.json")
        (folder / file).write_bytes(content)
        with pytest.raises(ConfigError, match="cannot be loaded"):
            ask(made(folder))

    @pytest.mark.parametrize(
        ("wanted", "there", "device"),
        [("auto", 0, "cpu"), ("auto", 1, "cuda"), (0, 1, "cpu"), (2, 1, "cuda"), (1, 0, "cpu")],
    )
    def test_a_bundle_answers_on_the_hardware_there_is(
        self, monkeypatch: pytest.MonkeyPatch, wanted: int | str, there: int, device: str
    ) -> None:
        monkeypatch.setattr("lifecycle.resources._device_files", lambda: there)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        manifest = Manifest(
            name="n",
            kind="rag",
            use_case="u",
            data_version="d",
            code_version={},
            resources={"gpus": wanted},
        )
        assert device_of(Bundle(Path(), manifest)) == device

    @pytest.mark.parametrize(
        ("provider", "model", "needed"),
        [
            ("huggingface", "Qwen/Qwen2.5-1.5B-Instruct", True),
            ("huggingface", "/a/folder", False),
            ("openai", "gpt-4o", False),
        ],
    )
    def test_the_hub_is_needed_for_a_hub_model_only(
        self, provider: str, model: str, needed: bool
    ) -> None:
        config = {"generation": {"provider": provider, "model": model}}
        assert needs_hub(RagConfig.model_validate(config)) == needed


def words(passages: Sequence[Passage]) -> int:
    return sum(len(passage.chunk.text.replace("…", "").split()) for passage in passages)


def text_of(tokenizer: Any, question: str) -> str:
    """The prompt as the model reads it."""
    tokens = Layout(tokenizer).encode(messages(question, corpus.passages(question)))
    return str(tokenizer.decode(tokens))
