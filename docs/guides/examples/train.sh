#!/bin/sh
# A trainer in 10 lines: parameters come as PARZEN_PARAM_ variables, JSON lines go out.
set -eu
echo "trial $PARZEN_TRIAL of $PARZEN_STUDY, attempt $PARZEN_ATTEMPT"
# Each step lowers the loss by the factor 1 - rate.
for step in 0 1 2; do
  loss=$(awk -v rate="$PARZEN_PARAM_RATE" -v step="$step" 'BEGIN { print (1 - rate) ^ (step + 1) }')
  printf '{"step":%d,"loss":%s}\n' "$step" "$loss"
done
printf '{"done":{"loss":%s,"auc":%s}}\n' "$loss" "$(awk -v l="$loss" 'BEGIN { print 1 / (1 + l) }')"
