"""A causal language model in this process: its loading, and its text as it is written.

Weights come from safetensors files only, and no code in the model's folder is run.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from lifecycle.errors import ConfigError, GenerationError
from rag.config import GenerationConfig
from rag.generators.chat import one_line
from rag.generators.layout import Layout
from rag.hub import check_device
from rag.prompt import Message

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Tokenizers without a limit of their own state a number far beyond this.
_NO_LIMIT = 10**9
# What transformers raises over a model's files that are damaged, missing or of another shape.
_MISREAD = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, ImportError)


class LocalModel:
    """The model in ``folder``, loaded at first use. Safe to use from several threads: replies are
    written one after the other.

    Every method may raise ConfigError where the model cannot be loaded.
    """

    def __init__(self, folder: Path, config: GenerationConfig, device: str) -> None:
        self.folder = folder
        self._config = config
        self._device = device
        self._loading = threading.Lock()
        self._tokenizing = threading.Lock()
        self._loaded: _Loaded | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="generation")

    @property
    def context(self) -> int:
        """The most tokens that prompt and reply may have together."""
        return self._parts.context

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's tokens; see ``Layout``."""
        parts = self._parts
        with self._tokenizing:
            return parts.layout.encode(messages)

    def error(self, problem: str, remedy: str) -> GenerationError:
        return GenerationError(f"the language model in {self.folder} {problem}.", remedy)

    def write(self, prompt: Sequence[int]) -> Generator[str, None, None]:
        """The reply to ``prompt`` in pieces; closing it stops the model at its next token.

        Raises GenerationError where the model fails, or writes nothing for ``timeout_s``.
        """
        parts, reply = self._parts, _Reply()
        running = self._writer.submit(parts.generate, prompt, self._config, reply)
        running.add_done_callback(reply.end)
        try:
            yield from decoded(self._tokens(reply), self._decode)
            self._check(running)
        finally:
            reply.abandoned.set()
            running.cancel()

    def _tokens(self, reply: "_Reply") -> Iterator[int]:
        unseen = self._parts.ends
        try:
            while (token := reply.tokens.get(timeout=self._config.timeout_s)) is not None:
                if token not in unseen:
                    yield token
        except Empty as error:
            limit = f"wrote nothing for {self._config.timeout_s:g} s"
            remedy = "Raise generation.timeout_s, or take a smaller model."
            raise self.error(limit, remedy) from error

    def _check(self, running: "Future[None]") -> None:
        failure = running.exception()
        if failure is not None:
            reason = one_line(str(failure)) or type(failure).__name__
            remedy = "See more with --debug; if memory ran out, lower generation.context_tokens."
            raise self.error(f"failed ({reason})", remedy) from failure

    def _decode(self, tokens: Sequence[int]) -> str:
        with self._tokenizing:
            text = self._parts.tokenizer.decode(
                list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        return str(text)

    @property
    def _parts(self) -> "_Loaded":
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self.folder, self._config, self._device)
            return self._loaded


def decoded(tokens: Iterable[int], decode: Callable[[Sequence[int]], str]) -> Iterator[str]:
    """The text of ``tokens`` piece by piece, never half a character.

    Only the last few are decoded each time: those shown last, as a token's text depends on what
    stands before it, and those not shown yet.
    """
    window: list[int] = []
    shown = 0
    for token in tokens:
        window.append(token)
        before, text = decode(window[:shown]), decode(window)
        if len(text) > len(before) and not text.endswith("\ufffd"):
            yield text[len(before) :]
            window, shown = window[shown:], len(window) - shown
    yield decode(window)[len(decode(window[:shown])) :]


def choose_dtype(wanted: str, device: str, bf16: bool) -> str:
    """``wanted``, or for ``auto`` what suits: ``bf16`` says whether the GPU computes in that."""
    if wanted != "auto":
        return wanted
    if device == "cpu":
        return "fp32"
    return "bf16" if bf16 else "fp16"


class _Reply:
    """What a running generation and its reader share; called by ``generate`` after each token."""

    def __init__(self) -> None:
        self.tokens: SimpleQueue[int | None] = SimpleQueue()
        self.abandoned = threading.Event()

    def __call__(self, tokens: "torch.Tensor", *_: Any, **__: Any) -> "torch.Tensor":
        """Takes the newest of ``tokens``, shape (1, n); whether to stop, shape (1,)."""
        self.tokens.put(int(tokens[0, -1]))
        return tokens.new_full((1,), self.abandoned.is_set()).bool()

    def end(self, _: object) -> None:
        self.tokens.put(None)


@dataclass(frozen=True)
class _Loaded:
    """``ends``: the tokens that end a reply."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    layout: Layout
    context: int
    ends: frozenset[int]

    def generate(self, prompt: Sequence[int], config: GenerationConfig, reply: _Reply) -> None:
        """Greedy at temperature 0; else sampled, by the model's own settings for the rest."""
        import torch
        from transformers import StoppingCriteriaList

        if reply.abandoned.is_set():
            return
        tokens = torch.tensor([prompt], device=self.model.device)
        sampling = {"temperature": config.temperature} if config.temperature else {}
        self.model.generate(  # type: ignore[operator]
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=config.max_tokens,
            do_sample=bool(sampling),
            num_beams=1,
            pad_token_id=self.tokenizer.pad_token_id or 0,
            stopping_criteria=StoppingCriteriaList([reply]),
            **sampling,
        )


def _load(folder: Path, config: GenerationConfig, device: str) -> _Loaded:
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    check_device(device)
    disable_progress_bar()  # type: ignore[no-untyped-call]
    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    bf16 = device != "cpu" and torch.cuda.is_bf16_supported(including_emulation=False)
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **safe)
        model = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtypes[choose_dtype(config.dtype, device, bf16)],
            use_safetensors=True,
            **safe,
        )
        model.to(device).eval()  # type: ignore[arg-type]
    except (*_MISREAD, SafetensorError, StrictDataclassError) as error:
        detail = one_line(str(error)) or type(error).__name__
        raise ConfigError(f"the language model in {folder} cannot be loaded: {detail}") from error
    return _Loaded(
        model, tokenizer, Layout(tokenizer), _context(model, tokenizer, config), _ends(model)
    )


def _context(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", config: GenerationConfig
) -> int:
    own = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    limits = [own, tokenizer.model_max_length, config.context_tokens]
    known = [int(limit) for limit in limits if limit and limit < _NO_LIMIT]
    if not known:
        raise ConfigError(
            f"generation.model={config.model!r} does not say how much it can read.",
            "Set generation.context_tokens.",
        )
    return min(known)


def _ends(model: "PreTrainedModel") -> frozenset[int]:
    ends = model.generation_config.eos_token_id
    return frozenset([ends] if isinstance(ends, int) else ends or [])
