"""The web service: what the engine does, over HTTP."""
