"""Times one suggestion of every peer that this Python has (Optuna, Rustuna) on a history that bench/sampler.ts wrote.

Usage: sampler.py HISTORY.json SIZE [SIZE ...]
Prints one JSON line per peer and size: {"peer", "version", "size", "medianMs", "p99Ms", "repeats"}; none if there is no peer.

A suggestion here is what it is in bench/sampler.ts: one result is told, one trial asked for and its 17 parameters suggested,
with 64 trials running. Rustuna can neither be told the number of candidates (it takes 24) nor to look at running trials, and it
has no pruned trials, which it gets as results here: it has less to do than the others.
"""

import importlib
import importlib.metadata
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")

RUNNING = 64
REPEATS = 100
"""A size takes no longer than this, but for the fewest repeats."""
SECONDS_MAX = 20
REPEATS_MIN = 5


def load_peers():
    peers = []
    for name in ["optuna", "rustuna"]:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        if name == "optuna":
            module.logging.set_verbosity(module.logging.CRITICAL)
        peers.append((name, module, importlib.metadata.version(name)))
    return peers


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
    return module.samplers.TPESampler(**settings)


def start_running(peer, module, study, data, size):
    """Numbers of 64 running trials."""
    space = data["space"]
    distributions = {parameter["name"]: distribution(module, parameter) for parameter in space}
    if peer == "rustuna":
        numbers = []
        for _ in range(RUNNING):
            trial = study.ask()
            suggest_all(trial, space)
            numbers.append(trial.number)
        return numbers
    # Asking for them would take as long as everything else together.
    for trial in data["trials"][size : size + RUNNING]:
        study.add_trial(
            module.trial.create_trial(
                state=module.trial.TrialState.RUNNING, params=trial["params"], distributions=distributions
            )
        )
    return list(range(size, size + RUNNING))


def measure(peer, module, data, size):
    space = data["space"]
    distributions = {parameter["name"]: distribution(module, parameter) for parameter in space}
    study = module.create_study(direction="maximize", sampler=make_sampler(peer, module))
    for trial in data["trials"][:size]:
        study.add_trial(
            module.trial.create_trial(params=trial["params"], distributions=distributions, value=trial["value"])
        )
    running = start_running(peer, module, study, data, size)
    times = []
    began = time.perf_counter()
    for i in range(-2, REPEATS):
        if time.perf_counter() - began > SECONDS_MAX and len(times) >= REPEATS_MIN:
            break
        value = data["trials"][(size + i) % len(data["trials"])]["value"]
        start = time.perf_counter()
        study.tell(running.pop(0), value)
        trial = study.ask()
        suggest_all(trial, space)
        if i >= 0:
            times.append((time.perf_counter() - start) * 1000)
        running.append(trial.number)
    times.sort()
    return {
        "medianMs": times[len(times) // 2],
        "p99Ms": times[min(len(times) - 1, int(len(times) * 0.99))],
        "repeats": len(times),
    }


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    for peer, module, version in load_peers():
        for size in map(int, sys.argv[2:]):
            result = measure(peer, module, data, size)
            print(json.dumps({"peer": peer, "version": version, "size": size, **result}), flush=True)


main()
