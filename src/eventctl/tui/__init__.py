"""The dashboard: the workspace on a terminal that stays open. This room knows how things look and which key does what.

It reads through `views` and makes the moves that the command line makes, with the same functions; there is no server between, and
nothing here decides anything. Arrows go one way:

    app        the screens and keys, the beat; themes, remembered, running (the runner), terminal (how it ends)
      inbox detail decisions live cartridges held health      a screen a file: what it shows, and its keys
      help palette          every key, made from the bindings (keys); every command
        room   what every screen has: reading anew, telling what went wrong, undo; topline above it
        rows   the one list: paged, marked, drawn line by line
        look   glyphs, words and colours; the one door for text of strangers
        desk   the way to the workspace: who asks, a thread that reads, one that moves
"""
