"""What makes the repository's own artefacts: the demo's recording, the README's picture, the generated pages. Not shipped."""
