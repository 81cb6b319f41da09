"""The files that the pages' commands read: small, of our own writing, under the names that the pages use."""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.documentation.shell import ROOT
from tests.toy_gold import DOCUMENTS, write_gold


def set_up(folder: Path) -> None:
    """Put the files into a folder.

    ==========================  ============================================================
    `examples/`                 the repository's
    `traces/*.jsonl.gz`         unscored rows: `source`, `problem`, `trace`
    `data.jsonl`                the same rows in one file
    `data.parquet`              the same rows as `messages`
    `labelled.jsonl`            labelled documents
    ==========================  ============================================================
    """
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    rows = _rows()
    (folder / "traces").mkdir()
    for part in range(2):
        packed = gzip.compress(_json_lines(rows[part::2]).encode())
        (folder / "traces" / f"part-{part}.jsonl.gz").write_bytes(packed)
    (folder / "data.jsonl").write_text(_json_lines(rows), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist([_as_messages(row) for row in rows]), folder / "data.parquet")
    write_gold(folder / "labelled.jsonl", DOCUMENTS)


def _rows() -> list[dict[str, Any]]:
    lines = (ROOT / "examples" / "demo" / "traces.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        {"source": f"model-{number % 2}", "problem": row["problem"], "trace": row["trace"]}
        for number, row in enumerate(rows)
    ]


def _as_messages(row: dict[str, Any]) -> dict[str, Any]:
    answer = f"<think>{row['trace']}</think>Done."
    messages = [{"role": "user", "content": row["problem"]}, {"role": "assistant", "content": answer}]
    return {"source": row["source"], "messages": messages}


def _json_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
