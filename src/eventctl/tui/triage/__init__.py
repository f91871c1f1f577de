"""Triage: the keys that move notifications, wherever they are pressed, the forms that go with them, and the way back."""
