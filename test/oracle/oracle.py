"""Optuna as an oracle: one question per line of standard input, one answer per line of standard output, all JSON.

First line out: {"version"}, or {"missing": reason} where there is no Optuna. Questions:

  {"suggest": INPUT}      INPUT as `coordinator suggest` takes it        -> {"suggestions": [{"seed", "params"}, ...]}
  {"importance": INPUT}   the same, COMPLETE trials are looked at        -> {"importance": {name: share}}
  {"hypervolume": {"points", "reference"}}                               -> {"hypervolume": number}
  {"ranks": {"points", "enough"}}                                        -> {"ranks": [number, ...]}
  {"subset": {"points", "reference", "count"}}                           -> {"subset": [position, ...]}

A question that Optuna cannot answer is answered by {"error": text}. Sorting is made stable: equal observations keep the
order of their trials, where NumPy's own order depends on its version and the processor.
"""

import json
import math
import sys
import warnings

warnings.filterwarnings("ignore")


def number(value):
    """Objective values are floats in Optuna; NaN and the infinities come as words."""
    return float(value)


def stable_sorting(numpy):
    sort = numpy.argsort

    def argsort(a, axis=-1, kind=None, **rest):
        return sort(a, axis=axis, kind=kind or "stable", **rest)

    numpy.argsort = argsort


def distribution(optuna, parameter):
    if "choices" in parameter:
        return optuna.distributions.CategoricalDistribution(parameter["choices"])
    low, high, step, log = parameter["low"], parameter["high"], parameter.get("step"), parameter.get("log", False)
    if parameter.get("int"):
        return optuna.distributions.IntDistribution(low, high, log=log, step=step or 1)
    return optuna.distributions.FloatDistribution(low, high, log=log, step=step)


def ask(trial, parameter):
    name = parameter["name"]
    if "choices" in parameter:
        return trial.suggest_categorical(name, parameter["choices"])
    low, high, step, log = parameter["low"], parameter["high"], parameter.get("step"), parameter.get("log", False)
    if parameter.get("int"):
        return trial.suggest_int(name, low, high, step=step or 1, log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)


def frozen(optuna, entry, position, space):
    """A stored trial. Made without Optuna's checks: values may lie outside their range, as enqueued ones do."""
    import datetime

    state = optuna.trial.TrialState[entry["state"]]
    present = {**{p["name"]: p for p in space}, **{p["name"]: p for p in entry.get("space", [])}}
    params = entry.get("params", {})
    values = entry.get("values") if state == optuna.trial.TrialState.COMPLETE else None
    attributes = {}
    if entry.get("constraints") is not None:
        attributes["constraints"] = [number(value) for value in entry["constraints"]]
    now = datetime.datetime.now()
    return optuna.trial.FrozenTrial(
        number=position,
        state=state,
        value=None,
        values=None if values is None else [number(value) for value in values],
        datetime_start=None if state == optuna.trial.TrialState.WAITING else now,
        datetime_complete=now if state.is_finished() else None,
        params=params,
        distributions={name: distribution(optuna, present[name]) for name in params},
        user_attrs={},
        system_attrs=attributes,
        intermediate_values={step: number(value) for step, value in entry.get("reports", [])},
        trial_id=-1,
    )


def study_of(optuna, data, sampler=None):
    study = optuna.create_study(directions=data.get("directions", ["minimize"]), sampler=sampler)
    for position, entry in enumerate(data.get("trials", [])):
        study._storage.create_new_trial(
            study._study_id, template_trial=frozen(optuna, entry, position, data["space"])
        )
    return study


def sampler_of(optuna, data, seed):
    settings = {
        name: data[name]
        for name in ("n_startup_trials", "n_ei_candidates", "multivariate", "constant_liar", "group")
        if name in data
    }
    if optuna.__version__.startswith("4") and any("constraints" in entry for entry in data.get("trials", [])):
        settings["constraints_func"] = lambda trial: trial.system_attrs.get("constraints", [math.inf])
    return optuna.samplers.TPESampler(seed=seed, **settings)


def suggestion(optuna, data, seed):
    study = study_of(optuna, data, sampler_of(optuna, data, seed))
    # Beside the queue: study.ask would take a WAITING trial of the history.
    trial_id = study._storage.create_new_trial(study._study_id)
    if data.get("fixed"):
        study._storage.set_trial_system_attr(trial_id, "fixed_params", data["fixed"])
    trial = optuna.trial.Trial(study, trial_id)
    return {"seed": seed, "params": {parameter["name"]: ask(trial, parameter) for parameter in data["space"]}}


def importance(optuna, data):
    from optuna.importance import PedAnovaImportanceEvaluator

    return dict(optuna.importance.get_param_importances(study_of(optuna, data), evaluator=PedAnovaImportanceEvaluator()))


def answer(optuna, numpy, question):
    ((kind, data),) = question.items()
    if kind == "suggest":
        return {"suggestions": [suggestion(optuna, data, seed) for seed in data["seeds"]]}
    if kind == "importance":
        return {"importance": importance(optuna, data)}
    points = numpy.array([[number(value) for value in point] for point in data["points"]], dtype=float)
    if kind == "ranks":
        from optuna.study._multi_objective import _fast_non_domination_rank

        return {"ranks": _fast_non_domination_rank(points, n_below=data["enough"]).tolist()}
    reference = numpy.array([number(value) for value in data["reference"]], dtype=float)
    if kind == "hypervolume":
        from optuna._hypervolume import compute_hypervolume

        return {"hypervolume": float(compute_hypervolume(points, reference))}
    from optuna._hypervolume.hssp import _solve_hssp

    positions = numpy.arange(len(points))
    return {"subset": [int(i) for i in _solve_hssp(points, positions, data["count"], reference)]}


def main():
    try:
        import numpy
        import optuna
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    stable_sorting(numpy)
    print(json.dumps({"version": optuna.__version__}), flush=True)
    for line in sys.stdin:
        try:
            print(json.dumps(answer(optuna, numpy, json.loads(line))), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


main()
