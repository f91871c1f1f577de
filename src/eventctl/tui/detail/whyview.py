"""Why, as a trace that can be read: headings that fold, sentences as wide as the screen, and a rule that is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from eventctl.cli import why
from eventctl.cli.render import local
from eventctl.errors import EventctlError
from eventctl.tui.detail.sections import Section, told
from eventctl.tui.dialogs import Field, Form
from eventctl.tui.look import Cell, line, plain, said
from eventctl.tui.pane import Pane

if TYPE_CHECKING:
    from eventctl.cli.session import Session
    from eventctl.tui.room import Host
    from eventctl.why import Explanation

SENTENCE_MAX = 2_000
"""As on the command line."""


class WhyView(Pane):
    """Explains a record, a notification or a decision. `ask` says which; nothing is read before."""

    DEFAULT_CSS = """
    WhyView { padding: 0 1; scrollbar-size-vertical: 1; }
    WhyView > Static { height: auto; margin-bottom: 1; }
    WhyView .inside { height: auto; padding-left: 2; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.given, self.rule = "", ""
        self.told: Explanation | None = None
        """What is shown."""

    def compose(self) -> ComposeResult:
        """The title and what to do next; the parts come between them."""
        yield Static("", id="title", markup=False)
        yield Static("", id="next", markup=False)

    @property
    def host(self) -> Host:
        """The app around it."""
        return cast("Host", self.app)

    def ask(self, given: str, rule: str = "") -> None:
        """Explain what `given` names (`n7`, `e42`, `d3`), or why this rule matched it or did not. It is read while keys are heard."""
        if (given, rule) != (self.given, self.rule):
            self.query_one("#title", Static).update(plain("Asking …", "muted"))
        self.given, self.rule = given, rule
        self.host.behind(self._read, "why", part=self)

    def choose(self) -> None:
        """Let the person choose a rule to ask about."""
        self.host.behind(self._choose, "why", part=self)

    async def _read(self) -> None:
        given, rule, session = self.given, self.rule, self.host.desk.session
        try:
            answer = await self.host.desk.search(
                lambda store: why.ask(session, store, given, rule, local) if rule else why.explain(session, store, given, local)
            )
        except EventctlError as wrong:
            if self._wanted(given, rule):
                self.told = None
                await self._fill([], line(Cell(said(wrong.what), "bad"), Cell(said(wrong.hint))), plain(""))
            return
        if self._wanted(given, rule):
            self.told = answer
            steps = [Cell("next:", "muted"), *(Cell(said(step), "accent") for step in answer.next_steps)]
            parts = [(part.heading, told(part.lines, SENTENCE_MAX)) for part in answer.parts]
            await self._fill(parts, plain(answer.title, "strong"), line(*steps) if answer.next_steps else plain(""))

    def _wanted(self, given: str, rule: str) -> bool:
        """Whether nothing else was asked meanwhile."""
        return (given, rule) == (self.given, self.rule)

    async def _fill(self, parts: list[tuple[str, Content]], title: Content, following: Content) -> None:
        self.query_one("#title", Static).update(title)
        self.query_one("#next", Static).update(following)
        there = list(self.query(Section))
        if [section.title for section in there] != [said(heading) for heading, _ in parts]:
            folded = {section.title for section in there if section.folded}
            await self.query(Section).remove()
            there = [Section(heading, Static("", markup=False)) for heading, _ in parts]
            await self.mount_all(there, before="#next")
            for section in there:
                section.fold(section.title in folded)
        for section, (_, text) in zip(there, parts, strict=True):
            section.query_one(".inside", Static).update(text)

    async def _choose(self) -> None:
        session = self.host.desk.session
        rules = await self.host.desk.think(lambda: _rules(session))
        if not rules:
            self.host.tell("there is no rule in this workspace")
            return

        def chosen(values: dict[str, str] | None) -> None:
            if values is not None:
                self.ask(self.given, values["rule"])

        choices: list[str | tuple[str, str]] = [("", "all that there is to say"), *rules]
        field = Field("rule", "rule", self.rule, choices=choices)
        self.app.push_screen(Form(f"Why a rule matched {self.given}, or did not", [field], yes="Ask"), chosen)


def _rules(session: Session) -> list[str]:
    """The rules of the workspace, by the names that `why --rule` takes."""
    from eventctl.cli.wiring import (
        house_of,  # a third of a second, and nobody has asked for a rule when the first screen is painted
    )

    found = [each for each in house_of(session).scan().found if each.manifest.rule is not None]
    return sorted(f"{each.owner}/{each.manifest.id}" if each.owner else each.manifest.id for each in found)
