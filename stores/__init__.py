"""What lasts: content-addressed artefacts under one root folder."""
