"""Whole trials per second of Optuna on a PostgreSQL server: several processes that ask, suggest and tell, nothing else.

Usage: throughput.py rdb|proxy URL random|tpe PROCESSES SECONDS
Prints one JSON line {"peer", "version", "mode", "trials", "seconds"}, or {"missing": reason}.

`proxy` puts Optuna's gRPC storage proxy between the processes and the database.
"""

import json
import multiprocessing
import os
import socket
import sys
import time
import warnings

warnings.filterwarnings("ignore")

GRIDS = [
    ("dropout", 0.01, 0.4, 0.01), ("focal_gamma", 0.5, 4, 0.1), ("gradient_clip", 0.5, 5, 0.25),
    ("reg_weight", 0.5, 4, 0.1), ("cls_weight", 0.1, 3, 0.1), ("unc_weight", 0, 1, 0.05),
    ("sign_hinge_weight", 0, 1.5, 0.05),
]
CHOICES = [
    ("hermite_version", ["probabilist", "physicist"]), ("hermite_degree", [4, 5, 6, 7, 8]),
    ("hermite_maps_a", [4, 5, 6, 7, 8, 9]), ("hermite_maps_b", [1, 2, 3, 4, 5]),
    ("hermite_hidden_dim", [64, 96, 128, 160, 192]), ("lstm_hidden", [32, 48, 64, 80, 96]),
    ("classification_loss", ["bce", "focal"]),
]


def one_trial(study):
    trial = study.ask()
    for name, choices in CHOICES:
        trial.suggest_categorical(name, choices)
    value = 0.0
    for name, low, high, step in GRIDS:
        value += trial.suggest_float(name, low, high, step=step)
    value += trial.suggest_float("learning_rate", 5e-6, 5e-3, log=True)
    value += trial.suggest_float("weight_decay", 1e-5, 0.1, log=True)
    value += trial.suggest_int("feature_window", 16, 256, step=8) / 256
    study.tell(trial, value)


def sampler_of(optuna, name, seed):
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(
        seed=seed, multivariate=True, constant_liar=True, n_ei_candidates=64, n_startup_trials=10
    )


def storage_of(optuna, mode, where):
    if mode == "rdb":
        return optuna.storages.RDBStorage(where, engine_kwargs={"pool_size": 2})
    host, port = where.split(":")
    return optuna.storages.GrpcStorageProxy(host=host, port=int(port))


def work(mode, where, name, sampler, seed, seconds, started, counts):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    study = optuna.load_study(
        study_name=name, storage=storage_of(optuna, mode, where), sampler=sampler_of(optuna, sampler, seed)
    )
    started.wait()
    end = time.time() + seconds
    trials = 0
    while time.time() < end:
        one_trial(study)
        trials += 1
    counts.put(trials)


def serve(url, port):
    import optuna

    optuna.storages.run_grpc_proxy_server(optuna.storages.RDBStorage(url), host="127.0.0.1", port=port)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    mode, url, sampler, processes, seconds = sys.argv[1:6]
    try:
        import optuna

        if mode == "proxy" and not hasattr(optuna.storages, "run_grpc_proxy_server"):
            raise ImportError("this Optuna has no gRPC storage proxy")
        optuna.logging.set_verbosity(optuna.logging.CRITICAL)
        name = f"bench-{os.getpid()}"
        optuna.create_study(study_name=name, storage=optuna.storages.RDBStorage(url))
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    context = multiprocessing.get_context("spawn")
    where, server = url, None
    if mode == "proxy":
        port = free_port()
        server = context.Process(target=serve, args=(url, port), daemon=True)
        server.start()
        where = f"127.0.0.1:{port}"
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
    started = context.Barrier(int(processes) + 1)
    counts = context.Queue()
    workers = [
        context.Process(target=work, args=(mode, where, name, sampler, seed, float(seconds), started, counts))
        for seed in range(int(processes))
    ]
    for worker in workers:
        worker.start()
    started.wait()
    start = time.time()
    trials = sum(counts.get() for _ in workers)
    elapsed = time.time() - start
    for worker in workers:
        worker.join()
    if server is not None:
        server.terminate()
    print(
        json.dumps({"peer": "optuna", "version": optuna.__version__, "mode": mode, "trials": trials, "seconds": elapsed}),
        flush=True,
    )


if __name__ == "__main__":
    main()
