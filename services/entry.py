"""What `bentoml serve` imports in a Bento. As an entry point it acts when it is imported."""

import os
from typing import Any

from lifecycle.fingerprint import ROOT
from services.packaged import told, translated


def _service() -> Any:
    with translated():
        os.environ.update(told(ROOT, os.environ))
    from services.service import Models

    return Models


SERVICE = _service()
