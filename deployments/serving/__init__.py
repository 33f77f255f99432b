"""``wilss serve``: a student behind HTTP, which follows its alias; see docs/serving.md."""
