"""The dashboard: the workspace on a terminal that stays open. It knows how things look and which key does what.

It reads through `views` and makes the moves that the command line makes, with the same functions; there is no server between, and
nothing here decides anything. What a screen needs stands in a folder of its own, with the screen itself in `screen.py`; what all of
them share stands here. Arrows go one way:

    app            the screens and keys, the beat; themes, stylesheet, remembered, running (the runner), terminal (how it ends)
      inbox/ decisions/ live/ cartridges/ held/ health/      the six screens
        detail/    one notification, record or reason, whole; opened from any of them
        triage/    the keys that move notifications, their forms, and the way back
      help palette          every key, made from the bindings (keys); every command
        room       what every screen has: reading anew, telling what went wrong, undo; topline above it, keyline below
        dialogs chips rows   a form over the screen; one of a few names; the one list: paged, marked, drawn line by line
        pane standing        something to read beside it; how a decision stands, in words
        look harmless        glyphs, words and colours; the two doors for text of strangers
        desk       the way to the workspace: who asks, a thread that reads, one that moves
"""
