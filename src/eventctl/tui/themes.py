"""The two themes of our own. Whatever is written can be read on whatever it may stand on: 4.5:1 at least, which a test computes.

A list lays its cursor and its marks under words of every tone, so what `primary` and `secondary` give there is near the ground, and
what is to stand out (edges, heads, keys) is named by itself.
"""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="eventctl-dark", dark=True, foreground="#e2e6eb", background="#0f1318", surface="#151b22", panel="#1b232c",
    primary="#1d456b", secondary="#194c47", accent="#c9a2f5", warning="#f5c252", error="#ff9b94", success="#8fd68a",
    variables={
        "text-muted": "#aab4c0", "text-primary": "#8ec5ff", "text-secondary": "#7fd6c8", "text-accent": "#cfaefa",
        "text-warning": "#f5c252", "text-error": "#ff9b94", "text-success": "#8fd68a", "border": "#5aa2e8",
        "footer-key-foreground": "#8ec5ff", "footer-description-foreground": "#c3cad3", "footer-background": "#151b22",
        "block-cursor-background": "#1d456b", "block-cursor-foreground": "#ffffff",
        "input-selection-background": "#1d456b", "scrollbar": "#3a4a5c", "scrollbar-hover": "#56718e",
        "scrollbar-background": "#151b22",
    },
)  # fmt: skip

LIGHT = Theme(
    name="eventctl-light", dark=False, foreground="#16191d", background="#fcfcfb", surface="#f3f4f6", panel="#e8ebef",
    primary="#9cc4ee", secondary="#a3d9d0", accent="#5f1fa0", warning="#6f4100", error="#97141b", success="#12591c",
    variables={
        "text-muted": "#424a54", "text-primary": "#0a4480", "text-secondary": "#00514a", "text-accent": "#5f1fa0",
        "text-warning": "#6f4100", "text-error": "#97141b", "text-success": "#12591c", "border": "#0b5cad",
        "footer-key-foreground": "#0a4480", "footer-description-foreground": "#2f363f", "footer-background": "#f3f4f6",
        "block-cursor-background": "#9cc4ee", "block-cursor-foreground": "#0b0d10",
        "input-selection-background": "#9cc4ee", "scrollbar": "#b4bcc6", "scrollbar-hover": "#8d98a5",
        "scrollbar-background": "#f3f4f6",
    },
)  # fmt: skip

OURS = (DARK, LIGHT)
