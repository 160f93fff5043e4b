"""A call of every operation by which an owner sees their own, to ask who may do it."""

from collections.abc import Callable
from typing import Any

from lamplighter.desk.desk import Desk

CALLS: dict[str, Callable[[Desk, Any], Any]] = {
    "inbox": lambda desk, _: desk.inbox(),
    "asking": lambda desk, on: desk.asking(on.sent.id),
    "own_cameras": lambda desk, _: desk.own_cameras(),
    "own_camera": lambda desk, _: desk.own_camera("ask-1"),
    "own_clip": lambda desk, on: desk.own_clip(on.clip.clip.id, moved=True),
    "last_clip": lambda desk, _: desk.last_clip("ask-1"),
    "film": lambda desk, on: desk.film(on.clip.clip.id).close(),
    "own_still": lambda desk, on: desk.own_still(on.clip.clip.id),
}
