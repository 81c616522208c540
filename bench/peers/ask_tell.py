"""Optuna behind two commands, one JSON line each: {"ask": true} is answered by {"number", "params"}, {"tell": number,
"value": x} by nothing. The first line names the space, the seed and whether to be joint; the answer is {"version"}."""

import json
import sys
import warnings

warnings.filterwarnings("ignore")


def suggest(trial, parameter):
    name = parameter["name"]
    if "choices" in parameter:
        return trial.suggest_categorical(name, parameter["choices"])
    bounds = dict(low=parameter["low"], high=parameter["high"], step=parameter["step"], log=parameter["log"])
    return trial.suggest_int(name, **bounds) if parameter["kind"] == "int" else trial.suggest_float(name, **bounds)


def main():
    setup = json.loads(sys.stdin.readline())
    try:
        import optuna
    except ImportError:
        print(json.dumps({"missing": True}), flush=True)
        return
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    sampler = optuna.samplers.TPESampler(
        seed=setup["seed"], multivariate=True, constant_liar=True, n_ei_candidates=setup["candidates"]
    )
    study = optuna.create_study(direction="minimize", sampler=sampler)
    print(json.dumps({"version": optuna.__version__}), flush=True)
    running = {}
    for line in sys.stdin:
        command = json.loads(line)
        if "tell" in command:
            study.tell(running.pop(command["tell"]), command["value"])
            continue
        trial = study.ask()
        params = {parameter["name"]: suggest(trial, parameter) for parameter in setup["space"]}
        running[trial.number] = trial
        print(json.dumps({"number": trial.number, "params": params}), flush=True)


main()
