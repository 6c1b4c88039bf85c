#!/usr/bin/env bash
# A SLURM cluster of one node with two CPUs on the loopback interface, for tests: bash tests/slurm/start.sh <folder>
# Needs root and Debian's packages: apt-get install slurm-wlm munge. All of its files lie in the folder; stop.sh ends it.
# Prints the line that lets srun, sbatch and submitit find it: export SLURM_CONF=<folder>/slurm.conf
set -euo pipefail
folder=$(realpath "$1")
mkdir -p "$folder"/{state,spool,munge}
chmod 755 "$folder"

# munge wants its key, socket and log out of others' reach, below folders that nobody else can write to.
head -c 1024 /dev/urandom > "$folder/munge/key"
chmod 700 "$folder/munge"
chmod 600 "$folder/munge/key"
mkdir -p /run/munge
chmod 755 /run/munge
munged --force --key-file="$folder/munge/key" --socket=/run/munge/munge.socket.2 --pid-file="$folder/munge/pid" \
  --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"

cat > "$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=/run/munge/munge.socket.2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes=localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
# Nothing below uses cgroups, which a container may not write, but slurmd chooses a plug-in for them all the same.
echo "CgroupPlugin=cgroup/v1" > "$folder/cgroup.conf"

export SLURM_CONF="$folder/slurm.conf"
slurmctld
slurmd -N localhost
for _ in $(seq 60); do
  sinfo --noheader --format=%T 2> /dev/null | grep -q -E "idle|mixed" && break
  sleep 1
done
sinfo --noheader --format=%T | grep -q -E "idle|mixed" || { tail "$folder"/slurm*.log >&2; exit 1; }
echo "export SLURM_CONF=$SLURM_CONF"
