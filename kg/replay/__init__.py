"""The independent checker's own reading of knowledge and claim; it shares only the parsers with the evaluator."""
