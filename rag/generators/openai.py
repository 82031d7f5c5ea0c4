"""Answers written by a language model behind any OpenAI-compatible chat completions API."""

import json
import os
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from lifecycle.errors import ConfigError, GenerationError
from rag import prompt
from rag.generators.chat import ChatGenerator, one_line

if TYPE_CHECKING:
    from langchain_openai import ChatOpenAI

    from rag.config import GenerationConfig
    from rag.embedder import Embedder

MAX_RETRIES = 2
_DEFAULT_URL = "https://api.openai.com/v1"
# Local servers want no key, but the client insists on one.
_NO_KEY = "none"


class OpenAIGenerator(ChatGenerator):
    """Asks a chat model on a server; see ``ChatGenerator``."""

    def __init__(self, config: "GenerationConfig", embedder: "Embedder") -> None:
        """Opens no connection. Raises ConfigError where the model or a needed key is missing."""
        if not config.model:
            raise ConfigError(
                "generation.provider=openai needs the name of a model.",
                "Set generation.model, and generation.base_url for a server of your own.",
            )
        super().__init__(config, embedder)
        self.url = config.base_url or os.environ.get("OPENAI_BASE_URL", "") or _DEFAULT_URL
        self.model = _chat_model(config, self.url)

    @property
    def name(self) -> str:
        return f"openai:{self.config.model}"

    def pieces(self, messages: Sequence[prompt.Message]) -> Generator[str, None, None]:
        import openai

        try:
            for chunk in self.model.stream(list(messages)):
                yield chunk.text
        except openai.APITimeoutError as error:
            limit = f"did not answer within {self.config.timeout_s:g} s"
            raise self.error(limit, "Raise generation.timeout_s.") from error
        except openai.APIConnectionError as error:
            reason = _root_cause(error)
            remedy = "Start the server, or mend generation.base_url."
            raise self.error(f"cannot be reached or broke off ({reason})", remedy) from error
        except openai.APIStatusError as error:
            raise self._refused(error.status_code, one_line(error.message)) from error
        except (openai.OpenAIError, json.JSONDecodeError) as error:
            failure = f"failed: {one_line(str(error))}"
            raise self.error(failure, "See the server's log.") from error

    def _refused(self, status: int, message: str) -> GenerationError:
        remedies = {
            401: f"Set {self.config.api_key_env} to a valid key.",
            403: f"Set {self.config.api_key_env} to a key that may use the model.",
            404: f"Check generation.base_url and generation.model={self.config.model!r}.",
            429: "Wait, or raise the account's limit.",
        }
        remedy = remedies.get(status, "See the server's log.")
        return self.error(f"refused with HTTP {status} ({message})", remedy)

    def error(self, problem: str, remedy: str) -> GenerationError:
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
        stop=config.stop or None,
        max_retries=MAX_RETRIES,
        use_responses_api=False,
    )


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(str(error)) or type(error).__name__
