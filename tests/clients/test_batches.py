"""/v1/files and /v1/batches under the openai package."""

from __future__ import annotations

import io
import json
import time

import openai
import pytest


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def finished(client: openai.OpenAI, batch: str) -> openai.types.Batch:
    for _ in range(300):
        now = client.batches.retrieve(batch)
        if now.status in ("completed", "failed", "cancelled"):
            return now
        time.sleep(0.1)
    raise AssertionError(now)


def test_a_batch(client: openai.OpenAI) -> None:
    body = {"messages": [{"role": "user", "content": "Tell me a story"}], "max_tokens": 12}
    lines = [
        {"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for i in range(8)
    ]
    text = "\n".join(json.dumps(line) for line in lines).encode()
    file = client.files.create(file=("in.jsonl", io.BytesIO(text)), purpose="batch")
    assert file.bytes == len(text)
    assert client.files.content(file.id).read() == text
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    done = finished(client, batch.id)
    assert done.status == "completed"
    assert done.request_counts.completed == 8
    answers = client.files.content(done.output_file_id).text.splitlines()
    assert {json.loads(a)["custom_id"] for a in answers} == {f"r{i}" for i in range(8)}
    assert batch.id in [b.id for b in client.batches.list()]
    assert {file.id, done.output_file_id} <= {f.id for f in client.files.list()}
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_cancel(client: openai.OpenAI) -> None:
    body = {"prompt": "Once", "max_tokens": 200, "ignore_eos": True}
    lines = [
        {"custom_id": f"r{i}", "method": "POST", "url": "/v1/completions", "body": body}
        for i in range(500)
    ]
    text = "\n".join(json.dumps(line) for line in lines).encode()
    file = client.files.create(file=("in.jsonl", io.BytesIO(text)), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/completions", completion_window="24h"
    )
    client.batches.cancel(batch.id)
    assert finished(client, batch.id).status == "cancelled"
