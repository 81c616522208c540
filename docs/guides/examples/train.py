#!/usr/bin/env python3
"""A trainer in 20 lines: reads its parameters, reports every step, prints its result."""
import json
import os
import random
import sys

params = json.load(sys.stdin)
random.seed(int(os.environ["PARZEN_SEED"]))
print("trial", os.environ["PARZEN_TRIAL"], "of", os.environ["PARZEN_STUDY"])

loss = 1.0
for step in range(5):
    loss *= 1 - params["rate"] * random.uniform(0.9, 1.1)
    print(json.dumps({"step": step, "loss": loss}), flush=True)
    if not abs(loss) < 1e6:
        print(json.dumps({"failed": "diverged", "message": f"loss {loss} at step {step}"}))
        sys.exit()

print(json.dumps({"done": {"loss": loss, "auc": 1 / (1 + loss)}}))
