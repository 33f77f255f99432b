"""The HTML report of a run: one self-contained file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment

TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ r.benchmark }} {{ r.method }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#282c34}
table{border-collapse:collapse;margin:.6rem 0 1.4rem}td,th{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}img{max-width:100%;height:auto;image-rendering:pixelated;border:1px solid #ddd}
.n{color:#777;font-size:.9em}.new{background:#eef6ff}svg{max-width:100%;height:auto}code{background:#f4f4f4;padding:0 .2em}
</style></head><body>
<h1>{{ r.benchmark }}: {{ r.method }}</h1>
<p class="n">{{ r.scenario }} scenario, seed {{ r.seed }}, run <code>{{ r.run }}</code>, {{ "%.0f"|format(r.total_seconds) }} s,
peak memory {{ "%.2f"|format(r.peak_rss_bytes / 2**30) }} GiB</p>
<h2>mIoU per step</h2>
<p class="n">Convention C: old and new without background, all with it; full-size images, void left out.</p>
<table data-testid="metrics"><tr><th>step</th><th>classes learnt</th><th>old</th><th>new</th><th>all</th></tr>
{% for s in r.steps %}<tr><td>{{ s.step }}</td><td>{{ s.n_classes }}</td><td>{{ p(s.metrics.old) }}</td>
<td>{{ p(s.metrics.new) }}</td><td>{{ p(s.metrics.all) }}</td></tr>{% endfor %}</table>
{% if r.label_sets %}<h2>Pseudo-labels</h2>
<table><tr><th>label set</th><th>step</th>{% for name in stages %}<th>IoU {{ name }}</th>{% endfor %}</tr>
{% for l in r.label_sets %}<tr><td><code>{{ l.digest[:12] }}</code></td><td>{{ l.step }}</td>
{% for name in stages %}<td>{{ p(l.iou.get(name)) }}</td>{% endfor %}</tr>{% endfor %}</table>{% endif %}
{% for title, picture in pictures %}<h2>{{ title }}</h2><img alt="{{ title }}" src="data:image/png;base64,{{ picture }}">
{% endfor %}
<h2>Loss curves</h2>{{ curves|safe }}
<h2>IoU per class</h2>
<table data-testid="classes"><tr><th>class</th>{% for s in r.steps %}<th>step {{ s.step }}</th>{% endfor %}</tr>
{% for name in r.per_class_iou %}<tr{% if name in new %} class="new"{% endif %}><td>{{ name }}</td>
{% for s in r.steps %}<td>{{ p(s.per_class_iou.get(name)) }}</td>{% endfor %}</tr>{% endfor %}</table>
<h2>Time</h2><table><tr><th>stage</th><th>seconds</th></tr>
{% for name, seconds in r.stage_seconds.items() %}<tr><td>{{ name }}</td><td>{{ "%.1f"|format(seconds) }}</td></tr>{% endfor %}
</table>
<h2>Artefacts</h2><table><tr><th>what</th><th>digest</th></tr>
{% for name, digest in r.artefacts.items() %}<tr><td>{{ name }}</td><td><code>{{ digest }}</code></td></tr>{% endfor %}
</table></body></html>
"""


def percent(value: float | None) -> str:
    """"54.5" for 0.545, a dash for None."""
    return "–" if value is None else f"{100 * value:.1f}"


def render_report(
    report: Mapping[str, Any], pictures: Sequence[tuple[str, bytes]], curves: str, new_classes: Sequence[str]
) -> str:
    """HTML of a report: everything is escaped, nothing is loaded from elsewhere.

    Args:
        report: the content of ``report.json``.
        pictures: (title, PNG bytes).
        curves: an SVG element made by `wilss.measure.render.loss_curves`.
        new_classes: classes of the last step, shaded in the table.
    """
    environment = Environment(autoescape=True)
    encoded = [(title, base64.b64encode(data).decode()) for title, data in pictures]
    stages = [s for s in ("initial", "refined", "final") if any(s in entry["iou"] for entry in report["label_sets"])]
    return environment.from_string(TEMPLATE).render(
        r=report, pictures=encoded, curves=curves, new=set(new_classes), p=percent, stages=stages
    )
