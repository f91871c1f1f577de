"""A JSON value as a tree that is built as far as somebody looks: what is not open costs nothing, and what is long says how much more there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, NamedTuple

import orjson
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from eventctl.text import safe_text
from eventctl.tui.look import said

PAGE = 100
"""Nodes that are added at once under one node; the last then says how many more there are, and choosing it adds as many again."""

UNFOLDED = 24
"""Nodes that are opened without anybody's asking."""

KEY_MAX = 60
LINE_MAX = 96
"""Characters of a text that stand beside its key, and on each line below it when it is longer."""

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """What a node stands for. `rest` is how many of its parent's children are left out, for the node that says so."""

    path: Path
    key: str
    value: Any
    line: bool = False
    rest: int = 0


class PayloadTree(Tree[Place]):
    """Shows a value. Space and enter open and close, a click too."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"payload--key", "payload--text", "payload--word", "payload--muted"}

    DEFAULT_CSS = """
    PayloadTree {
        height: auto; background: transparent; padding: 0; scrollbar-size-horizontal: 1;
        & > .payload--key { color: $text-primary; }
        & > .payload--word { color: $text-accent; }
        & > .payload--muted { color: $text-muted; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("right", "open", "Open", show=False),
        Binding("left", "shut", "Close, or go to what it stands in", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(Text(""), Place((), "", {}), id=id)
        self.set_reactive(PayloadTree.show_root, False)
        self.set_reactive(PayloadTree.guide_depth, 2)
        self._drawn = b""

    def show(self, value: Any, *, anew: bool = False) -> None:
        """Show this value instead. What was open stays open, and the cursor where it was; `anew` begins from the top, for another thing."""
        drawn = orjson.dumps(value)
        if drawn == self._drawn and not anew:
            return
        first = anew or not self._drawn
        opened, at = dict(self._opened(self.root)), self.cursor_node and self.cursor_node.data
        self._drawn = drawn
        self.unselect()
        self.reset(Text(""), Place((), "", value))
        self._load(self.root, PAGE)
        self.root.expand()
        there = None
        if first:
            self._unfold()
        else:
            there = self._reopen(self.root, opened, at.path if at else None)
        if self.has_focus or there is not None:
            self._stand(there)

    @property
    def nodes(self) -> int:
        """How many nodes there are now, the root left out."""
        return sum(1 for _ in _below(self.root))

    def on_tree_node_expanded(self, message: Tree.NodeExpanded[Place]) -> None:
        """Somebody looks into it."""
        message.stop()
        self._load(message.node, PAGE)

    def on_tree_node_selected(self, message: Tree.NodeSelected[Place]) -> None:
        """More of a long one is wanted."""
        message.stop()
        node = message.node
        parent, place = node.parent, node.data
        if parent is None or place is None or not place.rest:
            return
        count = len(parent.children) - 1
        self.unselect()
        self._load(parent, count + PAGE)
        self._stand(parent.children[count])

    def action_open(self) -> None:
        """Open the node under the cursor."""
        if self.cursor_node and self.cursor_node.allow_expand:
            self.cursor_node.expand()

    def action_shut(self) -> None:
        """Close it, or go up from one that is closed."""
        node = self.cursor_node
        if node and node.allow_expand and node.is_expanded:
            node.collapse()
        else:
            self.action_cursor_parent()

    def on_focus(self) -> None:
        """There is a cursor where keys are heard."""
        if self.cursor_line < 0:
            self._stand(None)

    def scroll_to_line(self, line: int, animate: bool = True) -> None:
        """A key has moved the cursor: it stays in sight also where not the tree scrolls but what it stands in."""
        super().scroll_to_line(line, animate=False)
        at = self.region.y + line - self.scroll_offset.y
        around = next((each for each in self.ancestors if isinstance(each, Widget) and each.allow_vertical_scroll), None)
        if around is not None:
            area = around.content_region
            by = min(0, at - area.y) or max(0, at - area.bottom + 1)
            around.scroll_relative(y=by, animate=False, immediate=True)

    def on_resize(self, event: events.Resize) -> None:
        """Labels are cut to the width."""
        self._invalidate()

    def render_label(self, node: TreeNode[Place], base_style: Style, style: Style) -> Text:
        """A key and what stands at it, each in its own colour; letters, and nothing but letters."""
        place = node.data or Place((), "", {})
        sign = ("▾ " if node.is_expanded else "▸ ") if node.allow_expand else "  "
        value, tone = ("", "muted") if place.line else _words(place)
        label = Text.assemble(
            (sign, base_style), (said(place.key, LINE_MAX if place.line else KEY_MAX), self._tone("key", place))
        )
        if value:
            label.append("  ")
            label.append(value, self._tone(tone, place))
        label.stylize(style)
        return label

    def _stand(self, node: TreeNode[Place] | None) -> None:
        """Put the cursor on a node, None for the first, without scrolling."""
        if self.last_line >= 0:  # asking for it lays out the lines
            self.cursor_line = 0 if node is None else node.line

    def _tone(self, name: str, place: Place) -> Style:
        name = "muted" if place.rest else "text" if place.line else name
        return self.get_component_rich_style(f"payload--{name}", partial=True)

    def _load(self, node: TreeNode[Place], count: int) -> None:
        """See to it that so many children of the node are there, or all; and below them one that counts the others."""
        if node.data is None:
            return
        place, more = node.data, _rest(node)
        total, children = _children(place)
        here = len(node.children) - more
        if here >= min(count, total):
            return
        if more:
            node.children[-1].remove()
        for child in islice(children, here, count):
            node.add(Text(""), child, allow_expand=_expandable(child))
        if total > count:
            words = f"… {total - count:,} more"
            node.add(Text(""), Place((*place.path, "…"), words, None, rest=total - count), allow_expand=False)

    def _unfold(self) -> None:
        """Open what is small, level by level, until it fills its part of a screen."""
        level = list(self.root.children)
        room = UNFOLDED - len(level)
        while level:
            below: list[TreeNode[Place]] = []
            for node in level:
                size = len(node.data.value) if node.data and isinstance(node.data.value, dict | list) else 0
                if 0 < size <= room:
                    self._load(node, PAGE)
                    node.expand()
                    room -= size
                    below += node.children
            level = below

    def _opened(self, node: TreeNode[Place]) -> Iterator[tuple[Path, int]]:
        for child in node.children:
            if child.is_expanded and child.allow_expand and child.data:
                yield child.data.path, len(child.children)
                yield from self._opened(child)

    def _reopen(self, node: TreeNode[Place], opened: dict[Path, int], at: Path | None) -> TreeNode[Place] | None:
        found = None
        for child in list(node.children):
            place = child.data
            if place is None:
                continue
            found = child if place.path == at else found
            if place.path in opened and child.allow_expand:
                self._load(child, max(PAGE, opened[place.path]))
                child.expand()
                found = self._reopen(child, opened, at) or found
        return found


def _below(node: TreeNode[Place]) -> Iterator[TreeNode[Place]]:
    for child in node.children:
        yield child
        yield from _below(child)


def _rest(node: TreeNode[Place]) -> bool:
    """Whether its last child counts those that are not there yet."""
    last = node.children[-1].data if node.children else None
    return bool(last and last.rest)


def _expandable(place: Place) -> bool:
    if place.line or place.rest:
        return False
    return _long(place.value) if isinstance(place.value, str) else isinstance(place.value, dict | list) and bool(place.value)


def _long(text: str) -> bool:
    return len(text) > LINE_MAX or "\n" in text


def _children(place: Place) -> tuple[int, Iterator[Place]]:
    """How many there are, and they."""
    value, path = place.value, place.path
    if isinstance(value, dict):
        return len(value), (Place((*path, str(key)), str(key), value[key]) for key in value)
    if isinstance(value, list):
        return len(value), (Place((*path, at), str(at), each) for at, each in enumerate(value))
    lines = _lines(str(value))
    return len(lines), (Place((*path, at), text, None, line=True) for at, text in enumerate(lines))


def _lines(text: str) -> Sequence[str]:
    """A long text in lines that fit."""
    safe = safe_text(text, newline=True).expandtabs(4)
    return [line[at : at + LINE_MAX] for line in safe.split("\n") for at in range(0, max(1, len(line)), LINE_MAX)]


def _words(place: Place) -> tuple[str, str]:
    """What a value is in words, and its tone. A text stands in quotes, so that "7" is not 7."""
    value = place.value
    if place.rest:
        return "", "muted"
    if isinstance(value, dict):
        return f"{{{len(value):,}}}" if value else "{}", "muted"
    if isinstance(value, list):
        return f"[{len(value):,}]" if value else "[]", "muted"
    if isinstance(value, str):
        return f'"{said(value, LINE_MAX)}"', "text"
    named = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return said(named, KEY_MAX), "word"
