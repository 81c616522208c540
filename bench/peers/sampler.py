"""Times one suggestion of Optuna or Rustuna, whichever this Python has, on a history that bench/sampler.ts wrote.

Usage: sampler.py HISTORY.json SIZE [SIZE ...]
Prints one JSON line per size: {"peer", "version", "size", "medianMs", "p99Ms", "repeats"}; or {"missing": reason}.

A suggestion here is what it is in bench/sampler.ts: one result is told, one trial asked for and its 17 parameters suggested,
with 64 trials running.
"""

import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")


def load_peer():
    try:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        return "optuna", optuna, optuna.__version__
    except ImportError:
        pass
    try:
        import importlib.metadata

        import rustuna

        return "rustuna", rustuna, importlib.metadata.version("rustuna")
    except ImportError:
        return None, None, None


def distribution(module, parameter):
    if "choices" in parameter:
        return module.distributions.CategoricalDistribution(parameter["choices"])
    low, high, step = parameter["low"], parameter["high"], parameter["step"]
    if parameter["kind"] == "int":
        return module.distributions.IntDistribution(low, high, log=parameter["log"], step=step)
    return module.distributions.FloatDistribution(low, high, log=parameter["log"], step=step)


def suggest_all(trial, space):
    for parameter in space:
        name = parameter["name"]
        if "choices" in parameter:
            trial.suggest_categorical(name, parameter["choices"])
        elif parameter["kind"] == "int":
            trial.suggest_int(name, parameter["low"], parameter["high"], step=parameter["step"], log=parameter["log"])
        else:
            trial.suggest_float(name, parameter["low"], parameter["high"], step=parameter["step"], log=parameter["log"])


def make_sampler(peer, module):
    settings = dict(seed=42, n_startup_trials=10, multivariate=True)
    if peer == "optuna":
        return module.samplers.TPESampler(constant_liar=True, n_ei_candidates=64, **settings)
    # Rustuna can neither be told the number of candidates (24) nor to look at running trials: it has less to do.
    return module.samplers.TPESampler(**settings)


def measure(peer, module, data, size):
    space = data["space"]
    distributions = {parameter["name"]: distribution(module, parameter) for parameter in space}
    study = module.create_study(direction="maximize", sampler=make_sampler(peer, module))
    for trial in data["trials"][:size]:
        # Rustuna has no pruned trials and takes them as results, which changes nothing about its work.
        study.add_trial(
            module.trial.create_trial(params=trial["params"], distributions=distributions, value=trial["value"])
        )
    running = []
    for _ in range(64):
        trial = study.ask()
        suggest_all(trial, space)
        running.append(trial)
    repeats = 100 if size <= 2500 else 15
    times = []
    for i in range(repeats):
        value = data["trials"][(size + i) % len(data["trials"])]["value"]
        start = time.perf_counter()
        done = running.pop(0)
        study.tell(done if peer == "optuna" else done.number, value)
        trial = study.ask()
        suggest_all(trial, space)
        times.append((time.perf_counter() - start) * 1000)
        running.append(trial)
    times.sort()
    return {
        "medianMs": times[len(times) // 2],
        "p99Ms": times[min(len(times) - 1, int(len(times) * 0.99))],
        "repeats": repeats,
    }


def main():
    peer, module, version = load_peer()
    if peer is None:
        print(json.dumps({"missing": "neither optuna nor rustuna can be imported"}))
        return
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    for size in map(int, sys.argv[2:]):
        result = measure(peer, module, data, size)
        print(json.dumps({"peer": peer, "version": version, "size": size, **result}), flush=True)


main()
