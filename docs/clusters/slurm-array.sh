#!/bin/sh
#SBATCH --job-name=lmzoo
#SBATCH --array=0-3
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --output=%x-%A_%a.log
# docs/clusters/slurm-array.sh: a job for each shard.
#
#   job=$(sbatch --parsable --export=ALL,MODEL=...,REQUESTS=...,RESULTS=... slurm-array.sh)
#   sbatch --dependency=afterok:$job --wrap "lmzoo merge $RESULTS.*.jsonl -o $RESULTS --order input"
#
# Exit code 4 (environment) and 143 (preempted: Slurm sends SIGTERM) put the shard back into the
# queue, where it goes on; 1 says that some rows were refused, which is an end; 2 and 3 fail the
# array.
: "${MODEL:?}" "${REQUESTS:?}" "${RESULTS:?}"
"${LMZOO:-lmzoo}" batch "$MODEL" -i "$REQUESTS" -o "$RESULTS.$SLURM_ARRAY_TASK_ID.jsonl" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --threads "$SLURM_CPUS_PER_TASK" --quiet &
run=$!
trap 'kill -TERM $run' TERM
wait $run
code=$?
[ $code -gt 128 ] && wait $run && code=$?
case $code in
0 | 1) exit 0 ;;
4 | 143) scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" ;;
esac
exit $code
