"""The endpoint of a model of rows. The model here is a toy: what counts is what is around it."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.bundle import Manifest
from services.files import rows_of, uploaded
from services.guard.asgi import Refused
from services.routes.tabular import Predicted
from services.served import Holder, Model
from tests.serving import Service, service


class Column(SimpleNamespace):
    def model_dump(self) -> dict[str, Any]:
        return dict(vars(self))


def column(kind: str, **more: Any) -> Column:
    facts = {"nullable": False, "min": None, "max": None, "values": (), "description": ""}
    return Column(**(facts | {"type": kind, "sensitive": False} | more))


class Doubles:
    """Predicts twice the amount; a row without one has an error."""

    def __init__(self) -> None:
        manifest = Manifest(
            name="toy",
            kind="classic",
            use_case="toy",
            data_version="d1",
            code_version={},
            settings={"problem": "regression"},
        )
        self.bundle = SimpleNamespace(manifest=manifest)
        columns = {"amount": column("number"), "iban": column("text", sensitive=True)}
        self.model = SimpleNamespace(
            schema=SimpleNamespace(columns=columns, features=["amount", "iban"], target="double"),
            preparation=SimpleNamespace(values={}),
        )

    def predict(self, rows: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [self._one(row) for row in rows]

    def _one(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if row.get("amount") is None:
            return {"error": "amount is missing"}
        amount = float(row["amount"])
        return {"prediction": 2 * amount, "low": amount, "high": 3 * amount}


class Toys:
    def wanted(self) -> Model | None:
        return Model("toy", 1, "d1")

    def load(self, model: Model) -> Any:
        return Doubles()


@pytest.fixture
def toy() -> Service:
    holder = Holder(Toys())
    assert holder.check(), holder.failure
    return service(holder)


def test_rows_are_predicted_in_order_and_a_bad_one_fails_alone(toy: Service) -> None:
    rows = [{"amount": 1}, {"amount": None}, {"amount": 2.5, "iban": "DE"}]
    found = toy.post("/v1/predict", {"rows": rows}).json()
    Predicted.model_validate(found)
    first, second, third = found["predictions"]
    assert (first["prediction"], third["high"]) == (2.0, 7.5)
    assert second == {"error": "amount is missing"}
    assert (found["model"], found["version"], found["data_version"]) == ("toy", 1, "d1")
    text = toy.get("/metrics").text
    assert 'mlops_rows_total{model="toy",outcome="predicted",version="1"} 2.0' in text
    assert 'mlops_rows_total{model="toy",outcome="refused",version="1"} 1.0' in text


def test_many_rows_take_the_other_way_and_give_the_same(toy: Service) -> None:
    rows = [{"amount": number} for number in range(1_000)]
    found = toy.post("/v1/predict", {"rows": rows}).json()["predictions"]
    assert [one["prediction"] for one in found] == [2.0 * number for number in range(1_000)]
    refused = toy.post("/v1/predict", {"rows": [*rows, rows[0]]})
    assert refused.status_code == 422 and "1001 rows" in refused.json()["error"]["message"]


def test_sensitive_columns_are_not_kept(toy: Service) -> None:
    toy.post("/v1/predict", {"rows": [{"amount": 1, "iban": "DE89"}]})
    (row,) = toy.kept.rows
    assert row["features"] == [{"amount": 1}] and "DE89" not in json.dumps(row)
    assert row["output"][0]["prediction"] == 2.0


@pytest.mark.parametrize(
    ("payload", "status"),
    [({"rows": []}, 422), ({}, 422), ({"rows": [1]}, 422), ({"rows": [{"a": [1]}]}, 422)],
)
def test_what_are_no_rows_is_refused(toy: Service, payload: Any, status: int) -> None:
    assert toy.post("/v1/predict", payload).status_code == status


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def test_a_file_may_be_sent_as_the_body_or_in_a_form(toy: Service) -> None:
    csv = b'\xef\xbb\xbfamount,iban\r\n1.5,"a,b"\r\n,x\r\n'
    files = {"text/csv; charset=utf-8": csv, "application/vnd.apache.parquet": None}
    stored = parquet([{"amount": 1.5, "iban": "a,b"}, {"amount": None, "iban": "x"}])
    wanted = [{"prediction": 3.0, "low": 1.5, "high": 4.5}, {"error": "amount is missing"}]
    for kind, content in files.items():
        body = content or stored
        headers = {"content-type": kind}
        whole = toy.request("POST", "/v1/predict", content=body, headers=headers)
        assert whole.json()["predictions"] == wanted
        name = "rows.csv" if content else "rows.parquet"
        form = toy.request("POST", "/v1/predict", files={"file": (name, body)})
        assert form.json()["predictions"] == wanted


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        ("text/csv", b"a,b\n1,2,3\n", 400, "line 2 has more fields"),
        ("text/csv", b"a\n\xff\n", 400, "no CSV in UTF-8"),
        ("text/csv", b"", 422, "no rows"),
        ("text/csv", b"a\n", 422, "no rows"),
        ("text/csv", b"a\n" + b"1\n" * 1_001, 422, "more than 1000 rows"),
        ("application/octet-stream", b"PAR1 nothing PAR1", 400, "no Parquet file"),
        ("application/octet-stream", parquet([{"a": 1}] * 1_001), 422, "more than 1000 rows"),
        ("multipart/form-data; boundary=x", b"--x--", 400, "the form has no file"),
        ("image/png", b"x", 415, "the body is 'image/png'"),
    ],
)
def test_files_that_cannot_be_read_are_refused(
    toy: Service, kind: str, body: bytes, status: int, words: str
) -> None:
    found = toy.request("POST", "/v1/predict", content=body, headers={"content-type": kind})
    assert found.status_code == status and words in found.json()["error"]["message"]


@given(content=st.binary(max_size=300), name=st.text("abc .-", max_size=8))
def test_a_form_brings_a_file_byte_by_byte(content: bytes, name: str) -> None:
    head = f'--edge\r\nContent-Disposition: form-data; name="f"; filename="{name}x.csv"\r\n\r\n'
    body = head.encode() + content + b"\r\n--edge--\r\n"
    if b"--edge" not in content:
        assert uploaded("multipart/form-data; boundary=edge", body) == ("text/csv", content)


@given(st.binary(max_size=200), st.sampled_from(["text/csv", "application/octet-stream"]))
def test_any_bytes_are_rows_or_are_refused(body: bytes, kind: str) -> None:
    try:
        assert rows_of(kind, body, 5)
    except Refused as error:
        assert error.http_status in (400, 413, 422)


def test_a_full_log_drops_rows_and_counts_them(
    toy: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.kept, "append", lambda record: False)
    assert toy.post("/v1/predict", {"rows": [{"amount": 1}]}).status_code == 200
    given = {"request_id": "r", "rating": "up"}
    assert toy.post("/v1/feedback", given).json()["kept"] is False
    assert "mlops_records_dropped_total 2.0" in toy.get("/metrics").text


def test_the_columns_are_told_for_the_form(toy: Service, tmp_path: Path) -> None:
    info = toy.get("/v1/info").json()
    assert list(info["columns"]) == ["amount", "iban"]
    assert info["columns"]["amount"]["type"] == "number" and info["surface"] == "tabular"
