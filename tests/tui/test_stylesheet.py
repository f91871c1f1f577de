"""What a key costs that a screen is opened with: styles are parsed once for each theme, and keys drawn when they are others."""

from __future__ import annotations

from textual.css import stylesheet
from textual.css.stylesheet import Stylesheet

from eventctl.tui.keyline import KeyLine
from eventctl.tui.stylesheet import Parsed
from tests.tui.kit import play, press, settled

CSS = "Label { color: $ink; }"


def parsing(monkeypatch):
    """Which texts are parsed from now on."""
    texts = []
    parse = stylesheet.parse

    def counted(scope, css, *more, **named):
        texts.append(css)
        return parse(scope, css, *more, **named)

    monkeypatch.setattr(stylesheet, "parse", counted)
    return texts


def colours(sheet):
    return [rules.styles.color.hex for rules in sheet.rules]


def test_what_was_parsed_is_kept_until_a_colour_is_another(monkeypatch):
    sheet = Parsed(variables={"ink": "#ff0000"})
    sheet.add_source(CSS, read_from=("here", "first"))
    assert ["#FF0000"] == colours(sheet)
    texts = parsing(monkeypatch)
    sheet.set_variables({"ink": "#ff0000"})
    sheet.reparse()
    assert ["#FF0000"] == colours(sheet)
    assert [] == texts
    sheet.set_variables({"ink": "#00ff00"})
    sheet.reparse()
    assert ["#00FF00"] == colours(sheet)


def test_what_is_added_is_parsed_alone(monkeypatch):
    sheet = Parsed(variables={"ink": "#ff0000"})
    sheet.add_source(CSS, read_from=("here", "first"))
    assert 1 == len(sheet.rules)
    texts = parsing(monkeypatch)
    sheet.add_source("Button { color: blue; }", read_from=("here", "second"))
    assert 2 == len(sheet.rules)
    assert ["Button { color: blue; }"] == texts


def test_a_form_that_is_opened_again_parses_nothing_and_a_theme_everything(busy, monkeypatch):
    monkeypatch.setattr(Stylesheet, "_parse_rules", Stylesheet._parse_rules.__wrapped__)

    async def script(pilot, app):
        await press(pilot, "z", "escape")
        texts = parsing(monkeypatch)
        await press(pilot, "z", "escape")
        assert [] == texts
        await press(pilot, "t")
        assert len(app.stylesheet.source) <= len(texts)

    play(busy, script)


def test_keys_are_drawn_again_only_when_they_are_others(busy):
    async def script(pilot, app):
        line = app.screen.query_one(KeyLine)
        before = list(line.children)
        assert before
        app.screen.refresh_bindings()
        await settled(pilot)
        assert before == list(line.children)
        await press(pilot, "slash")
        assert before != list(line.children)

    play(busy, script)
