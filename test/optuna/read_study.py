"""Reads studies through Optuna itself and prints what it saw as a JSON list, one object per study.

    python read_study.py URL watch STUDY        follow a running study until it has grown three times
    python read_study.py URL all STUDY ...      everything, and what became of attempts to write

Numbers that JSON lacks are printed as texts.
"""
import datetime
import json
import math
import os
import sys
import time

import optuna
import pandas

url, what, *names = sys.argv[1:]
optuna.logging.set_verbosity(optuna.logging.ERROR)
# Optuna 5 turns the stored UTC into local time, Optuna 4 shows it as it is.
os.environ["TZ"] = "Asia/Tokyo" if int(optuna.__version__.split(".")[0]) >= 5 else "UTC"
time.tzset()


def plain(value):
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def ms(moment):
    return None if moment is None else round(moment.timestamp() * 1000)


def cell(value):
    """A value of a data frame; None where there is none."""
    if isinstance(value, datetime.timedelta):
        return None if pandas.isna(value) else round(value.total_seconds(), 3)
    if isinstance(value, datetime.datetime):
        return None if pandas.isna(value) else ms(value.to_pydatetime())
    return value.item() if hasattr(value, "item") else value


def seen(trial):
    return plain({
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values,
        "params": trial.params,
        "userAttrs": trial.user_attrs,
        "systemAttrs": trial.system_attrs,
        "intermediate": trial.intermediate_values,
        "startMs": ms(trial.datetime_start),
        "completeMs": ms(trial.datetime_complete),
    })


def attempt(write):
    """The name of the exception that a write ends with."""
    try:
        write()
        return "written"
    except Exception as error:
        return type(error).__name__


def watch(study, name):
    """A reader that keeps what it has read sees every trial of a study that goes on, as a fresh one does."""
    sizes, deadline = [], time.monotonic() + 60
    while len(set(sizes)) < 4 and time.monotonic() < deadline:
        trials = study.get_trials(deepcopy=False)
        assert [trial.number for trial in trials] == list(range(len(trials)))
        sizes.append(len(trials))
    finished = [trial for trial in trials if trial.state.is_finished()]
    fresh = optuna.load_study(study_name=name, storage=url).trials
    for trial in finished:
        assert seen(fresh[trial.number]) == seen(trial), trial.number
    return {"grew": sorted(set(sizes)), "fresh": len(fresh), "best": study.best_value}


def everything(study, name):
    several = len(study.directions) > 1
    before = [seen(trial) for trial in study.trials]
    completed = len(study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]))
    frame = study.trials_dataframe()
    storage = study._storage
    study_id, trial_id = study._study_id, study.trials[0]._trial_id
    importances = (
        optuna.importance.get_param_importances(study, target=(lambda trial: trial.values[0]) if several else None)
        if completed >= 20
        else None
    )
    refused = {
        "ask": attempt(study.ask),
        "tell": attempt(lambda: study.tell(next((t.number for t in study.trials if not t.state.is_finished()), 0), 1.0)),
        "enqueue": attempt(lambda: study.enqueue_trial({})),
        "user_attr": attempt(lambda: study.set_user_attr("a", 1)),
        "metric_names": attempt(lambda: study.set_metric_names(["x"] * len(study.directions))),
        "create": attempt(lambda: optuna.create_study(study_name="another", storage=url)),
        "delete": attempt(lambda: optuna.delete_study(study_name=name, storage=url)),
        "trial_attr": attempt(lambda: storage.set_trial_user_attr(trial_id, "a", 1)),
        "system_attr": attempt(lambda: storage.set_study_system_attr(study_id, "a", 1)),
    }
    copy = optuna.create_study(directions=study.directions)
    return {
        "version": optuna.__version__,
        "directions": [direction.name for direction in study.directions],
        "metricNames": study.metric_names,
        "userAttrs": study.user_attrs,
        "summaries": [[each.study_name, each.n_trials] for each in optuna.get_all_study_summaries(url)],
        "trials": before,
        "distributions": {
            key: json.loads(optuna.distributions.distribution_to_json(distribution))
            for trial in study.trials[:1]
            for key, distribution in trial.distributions.items()
        },
        "best": [trial.number for trial in study.best_trials] if several else study.best_trial.number,
        "frame": [{key: cell(value) for key, value in row.items()} for row in frame.to_dict("records")],
        "importances": importances,
        "refused": refused,
        "unchanged": [seen(trial) for trial in optuna.load_study(study_name=name, storage=url).trials] == before,
        # Only what satisfies Optuna's own rules for a trial can be copied.
        "copied": sum(attempt(lambda: copy.add_trial(trial)) == "written" for trial in study.trials),
    }


look = watch if what == "watch" else everything
print(json.dumps([plain(look(optuna.load_study(study_name=name, storage=url), name)) for name in names], allow_nan=False))
