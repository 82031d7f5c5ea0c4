"""Answers written by a language model of the Hugging Face kind in this process."""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import ConfigError, GenerationError
from rag import prompt
from rag.generators import budget
from rag.generators.chat import ChatGenerator
from rag.generators.local_model import LocalModel
from rag.hub import from_hub, is_hub_id
from rag.types import Passage

if TYPE_CHECKING:
    from rag.config import GenerationConfig
    from rag.embedder import Embedder

_EXAMPLE = "the folder of a chat model"


class HuggingFaceGenerator(ChatGenerator):
    """Asks a local chat model, which is loaded for the first question; see ``ChatGenerator``.

    Passages that do not fit into the model's context beside ``max_tokens`` of reply are left out,
    the last ones first.
    """

    def __init__(
        self, config: "GenerationConfig", embedder: "Embedder", device: str = "cpu"
    ) -> None:
        """Reads no weights. Raises ConfigError where there is no such model, or only a pickle."""
        super().__init__(config, embedder)
        self.model = LocalModel(_folder(config.model), config, device)

    @property
    def name(self) -> str:
        return f"huggingface:{self.config.model}"

    def error(self, problem: str, remedy: str) -> GenerationError:
        return self.model.error(problem, remedy)

    def pieces(self, messages: Sequence[prompt.Message]) -> Generator[str, None, None]:
        return self.model.write(self.model.encode(messages))

    def fitting(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        def tokens(some: Sequence[Passage]) -> int:
            return len(self.model.encode(prompt.messages(question, some)))

        room = self.model.context - self.config.max_tokens
        kept = budget.fitting(passages, room, tokens)
        if not kept:
            raise self.error(
                f"reads {self.model.context} tokens: {self.config.max_tokens} are for the answer, "
                f"rules and question take {tokens([])}, and no passage fits beside them",
                "Lower generation.max_tokens, or take a model with a larger context.",
            )
        return kept


def _folder(model: str) -> Path:
    if not model:
        raise ConfigError(
            "generation.provider=huggingface needs a model.",
            "Set generation.model to a folder, or to a hub id like 'Qwen/Qwen2.5-1.5B-Instruct'.",
        )
    if is_hub_id(model):
        return from_hub(model, "generation.model", _EXAMPLE)
    folder = Path(model).expanduser().resolve()
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"generation.model {model!r} is no folder of a model (it has no config.json).",
            f"Use {_EXAMPLE}, or a hub id like 'Qwen/Qwen2.5-1.5B-Instruct'.",
        )
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"generation.model {model!r} has no weights in a .safetensors file; pickled ones "
            "(.bin, .pt) are not read, since loading a pickle runs code.",
            "Use a model that is published as safetensors.",
        )
    return folder
