"""Requests that several tests send."""

from __future__ import annotations

from typing import Any

STORY: list[Any] = [{"role": "user", "content": "Tell me a story"}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "count",
            "description": "counts",
            "parameters": {
                "type": "object",
                "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
                "required": ["n"],
                "additionalProperties": False,
            },
        },
    }
]
SCHEMA = TOOLS[0]["function"]["parameters"]
