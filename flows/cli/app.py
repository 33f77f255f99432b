"""All commands of ``wilss``."""

from __future__ import annotations

from importlib.metadata import version

from cyclopts import App

from flows.cli.benchmarks import compare, demo, run, runs, step
from flows.cli.data import data_app, protocol
from flows.cli.few_shot import fewshot_app
from flows.cli.few_shot_predict import few_shot_predict
from flows.cli.foundations import foundations_app, pretrain
from flows.cli.inspect import inspect
from flows.cli.labels import labels_app
from flows.cli.models import models_app
from flows.cli.predict import predict
from flows.cli.retrain import retrain
from flows.cli.reviews import labels_apply, labels_review
from flows.cli.settings import settings
from flows.cli.store import store_app
from flows.cli.svf import svf_app

labels_app.command(labels_review, name="review")
labels_app.command(labels_apply, name="apply")
fewshot_app.command(few_shot_predict, name="predict")
app = App(
    name="wilss",
    help="Teach a segmentation model new classes from image-level tags alone.",
    version=lambda: version("wilss"),
    suppress_keyboard_interrupt=False,  # `flows.cli.stopping` says how to go on
)
for command in (
    *(
        demo,
        run,
        step,
        retrain,
        compare,
        runs,
        predict,
        models_app,
        inspect,
        labels_app,
        foundations_app,
        fewshot_app,
        pretrain,
        data_app,
        svf_app,
    ),
    store_app,
    protocol,
    settings,
):
    app.command(command)
