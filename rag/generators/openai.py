"""Answers written by a language model behind any OpenAI-compatible chat completions API."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lifecycle.errors import ConfigError, GenerationError
from rag import prompt
from rag.answers import CitationReader, abstention, citations, is_abstention
from rag.evidence import weigh
from rag.types import Answer, Passage

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

    from rag.config import GenerationConfig
    from rag.embedder import Embedder

MAX_RETRIES = 2
_DEFAULT_URL = "https://api.openai.com/v1"
# Local servers want no key, but the client insists on one.
_NO_KEY = "none"


class OpenAIGenerator:
    """Streams an answer from a chat model; see ``rag.generators.Generator``.

    On weak evidence it abstains without calling the model. ``confidence`` is that of the evidence,
    and 0 where the model cited none of it.
    """

    def __init__(self, config: "GenerationConfig", embedder: "Embedder") -> None:
        """Opens no connection. Raises ConfigError where the model or a needed key is missing."""
        if not config.model:
            raise ConfigError(
                "generation.provider=openai needs the name of a model.",
                "Set generation.model, and generation.base_url for a server of your own.",
            )
        self.config = config
        self.embedder = embedder
        self.url = config.base_url or os.environ.get("OPENAI_BASE_URL", "") or _DEFAULT_URL
        self.model = _chat_model(config, self.url)

    @property
    def name(self) -> str:
        return f"openai:{self.config.model}"

    def stream(self, question: str, passages: Sequence[Passage]) -> Iterator[str | Answer]:
        confidence = weigh(question, passages, self.embedder).confidence
        if not passages or confidence < self.config.min_confidence:
            declined = abstention(confidence)
            yield declined.text
            yield declined
            return
        yield from self._ask(question, passages, confidence)

    def _ask(
        self, question: str, passages: Sequence[Passage], confidence: float
    ) -> Iterator[str | Answer]:
        reader, said = CitationReader(len(passages)), []
        for piece in self._pieces(prompt.messages(question, passages)):
            ready = reader.feed(piece)
            if ready:
                said.append(ready)
                yield ready
        if rest := reader.flush():
            said.append(rest)
            yield rest
        yield self._finished("".join(said), reader.numbers, passages, confidence)

    def _finished(
        self, text: str, numbers: Sequence[int], passages: Sequence[Passage], confidence: float
    ) -> Answer:
        if not text.strip():
            raise self._error("sent an empty answer", "Raise generation.max_tokens.")
        if is_abstention(text):
            return Answer(text, (), confidence, abstained=True)
        cited = citations(numbers, passages)
        return Answer(text, cited, confidence if cited else 0.0, abstained=False)

    def _pieces(self, messages: Sequence[prompt.Message]) -> Iterator[str]:
        import openai

        try:
            for chunk in self.model.stream(list(messages)):
                yield chunk.text
        except openai.APITimeoutError as error:
            limit = f"did not answer within {self.config.timeout_s:g} s"
            raise self._error(limit, "Raise generation.timeout_s.") from error
        except openai.APIConnectionError as error:
            reason = _root_cause(error)
            remedy = "Start the server, or mend generation.base_url."
            raise self._error(f"cannot be reached or broke off ({reason})", remedy) from error
        except openai.APIStatusError as error:
            raise self._refused(error.status_code, _one_line(error.message)) from error
        except (openai.OpenAIError, json.JSONDecodeError) as error:
            failure = f"failed: {_one_line(str(error))}"
            raise self._error(failure, "See the server's log.") from error

    def _refused(self, status: int, message: str) -> GenerationError:
        remedies = {
            401: f"Set {self.config.api_key_env} to a valid key.",
            403: f"Set {self.config.api_key_env} to a key that may use the model.",
            404: f"Check generation.base_url and generation.model={self.config.model!r}.",
            429: "Wait, or raise the account's limit.",
        }
        remedy = remedies.get(status, "See the server's log.")
        return self._error(f"refused with HTTP {status} ({message})", remedy)

    def _error(self, problem: str, remedy: str) -> GenerationError:
        return GenerationError(f"the language model at {self.url} {problem}.", remedy)


def _chat_model(config: "GenerationConfig", url: str) -> "ChatOpenAI":
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    key = os.environ.get(config.api_key_env, "")
    if not key and url.rstrip("/") == _DEFAULT_URL:
        raise ConfigError(
            f"{url} needs a key, and {config.api_key_env} is not set.",
            "Set it, or set generation.base_url to a server of your own.",
        )
    return ChatOpenAI(
        model=config.model,
        base_url=url,
        api_key=SecretStr(key or _NO_KEY),
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        timeout=config.timeout_s,
        max_retries=MAX_RETRIES,
        use_responses_api=False,
    )


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return _one_line(str(error)) or type(error).__name__


def _one_line(text: str, limit: int = 200) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"
