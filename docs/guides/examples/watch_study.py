#!/usr/bin/env python3
"""How is the study going? Optuna's own functions, on a study that is running.

    python watch_study.py v6-stage1 "$(cat parzen-data/optuna-url)"
"""
import sys

import optuna

name, url = sys.argv[1:3]
study = optuna.load_study(study_name=name, storage=url)

states = [trial.state.name for trial in study.trials]
print(f"{len(states)} trials:", ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))))
print(f"best: trial {study.best_trial.number}, value {study.best_value:.4f}, {study.best_params}")

frame = study.trials_dataframe()
print(frame.sort_values("value", ascending=False).head(10)[["number", "value", "duration"]].to_string(index=False))

evaluator = optuna.importance.PedAnovaImportanceEvaluator()  # fANOVA takes a minute for thousands of trials
for parameter, importance in optuna.importance.get_param_importances(study, evaluator=evaluator).items():
    print(f"{importance:6.1%}  {parameter}")
