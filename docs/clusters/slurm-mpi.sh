#!/bin/sh
#SBATCH --job-name=lmzoo-mpi
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --output=%x-%j.log
# docs/clusters/slurm-mpi.sh: one job, one file of results, a rank for each task.
#
#   sbatch --export=ALL,MODEL=...,REQUESTS=...,RESULTS=... slurm-mpi.sh
#
# mpirun takes the tasks from Slurm. A rank that is killed ends the job; requeued, the same command
# does what is left.
: "${MODEL:?}" "${REQUESTS:?}" "${RESULTS:?}"
mpirun "${LMZOO:-lmzoo}" batch "$MODEL" -i "$REQUESTS" -o "$RESULTS" --order input --mpi \
    --threads "$SLURM_CPUS_PER_TASK" --memory "${MEMORY:-512M}" --quiet
code=$?
case $code in
0 | 1) exit 0 ;;
2 | 3) exit $code ;;
*) scontrol requeue "$SLURM_JOB_ID" && exit $code ;;
esac
